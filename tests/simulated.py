"""A study whose trials run in no time: batches and outcomes come from the package's own verbs, results from here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpo_workflow import parse
from hpo_workflow.cli.propose import make_batch
from hpo_workflow.metrics import MetricReader
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.atomic import publish, replace, to_json
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.study_folder import StudyFolder
from tests.records import spec


class Simulated:
    """A study below `root`.

    Attributes:
        live: Trials that a batch has emitted and that have not ended, as number -> (batch, record).
    """

    def __init__(self, root: Path, **changes: Any) -> None:
        self.folder = StudyFolder(str(root))
        self.live: dict[int, tuple[int, dict[str, Any]]] = {}
        self.spec = spec()
        self.identity = "identity-a"
        self.use(**changes)

    def use(self, identity: str = "identity-a", **changes: Any) -> None:
        """Go on under another study file."""
        self.spec = StudySpec(
            **{**{name: getattr(self.spec, name) for name in self.spec.__dataclass_fields__}, **changes}
        )
        self.identity = identity
        plan = Plan(self.spec, identity, {}, "study.yaml")
        plan.store(self.folder)
        self.plan = self.folder.paths.plan(plan.digest)

    @property
    def current(self) -> dict[str, Any]:
        """The plan in force."""
        plan: dict[str, Any] = json.loads(Path(self.plan).read_text())
        return plan

    def wants_batch(self) -> bool:
        """Whether it is time to propose."""
        return self.folder.state(self.current).wants_batch()

    def propose(self) -> list[int]:
        """Ask for the next batch; gives the numbers of its trials."""
        number = len(self.folder.batches())
        record = make_batch(self.folder, self.plan, number)
        for trial in record["trials"]:
            self.live[trial["number"]] = (number, trial)
        return [trial["number"] for trial in record["trials"]]

    def end(self, number: int, text: str | None = None, kind: str = "done", reason: str | None = None) -> None:
        """A trial has printed `text` and ended; without `text` a loss that depends on its parameters."""
        batch, trial = self.live.pop(number)
        if text is None:
            numbers = [float(value) for value in trial["params"].values() if isinstance(value, (int, float))]
            text = f"loss={sum((value - 0.3) ** 2 for value in numbers)!r}\n"
        plan = self.current
        log = Path(self.folder.paths.log(number, 1))
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(text)
        reader = MetricReader(plan["spec"]["metrics"], plan["spec"]["objective"])
        reader.feed(text.encode())
        result = {
            "schema": 1,
            "number": number,
            "config": trial["config"],
            "batch": batch,
            "digest": trial["digest"],
            "identity": self.identity,
            "params": trial["params"],
            "fidelity": trial["fidelity"],
            "attempts": [],
            "cached": None,
            "end": {"kind": kind, "reason": reason, "detail": ""},
            "exit_code": 0 if kind == "done" else 1,
            "seconds": 1.0,
            "max_rss_mb": 10.0,
            "gpus": 0,
            "host": "here",
            "started": "2026-01-01T00:00:00Z",
            "ended": "2026-01-01T00:00:01Z",
            "log": str(log.relative_to(self.folder.root)),
            "log_bytes": len(text),
            "log_dropped": 0,
            "metrics": {"digest": plan["metrics_digest"], **reader.close().to_json()},
        }
        publish(self.folder.paths.result_record(number), result)
        self.parse(number, batch)

    def lose(self, number: int, *reasons: str) -> None:
        """Nothing came of a trial, in all its attempts so far; `timeout` and `oom` are such that are tried again."""
        batch, _ = self.live.pop(number)
        attempts: list[dict[str, Any]] = [{"end": "lost", "reason": "node"}]
        if reasons:
            kind = {"timeout": "failed", "oom": "failed"}
            attempts = [
                {"attempt": i, "end": kind.get(reason, "lost"), "reason": reason} for i, reason in enumerate(reasons, 1)
            ]
        done: dict[str, Any] = {"number": number, "batch": batch, "lost": True, "attempts": attempts}
        if attempts[-1]["end"] == "failed":
            done["again"] = attempts[-1]["reason"]
        replace(self.folder.paths.done(number, batch), to_json(done))
        self.parse(number, batch)

    def parse(self, number: int, batch: int) -> None:
        """Read a trial's outcome under the present plan."""
        digest = self.current["metrics_digest"]
        out = self.folder.paths.metric(digest, number, batch)
        call = ["--root", self.folder.root, "--plan", self.plan, "--number", str(number), "--batch", str(batch)]
        assert parse.run([*call, "--out", out]) == 0

    def read_again(self) -> None:
        """Read all outcomes under the present plan, as the graph does after the metric settings changed."""
        for record in self.folder.batches():
            for trial in record["trials"]:
                if self.folder.result(trial["number"]) is not None:
                    self.parse(trial["number"], record["batch"])

    def run(self, trials: int, choose: Callable[[list[int]], int] = min) -> None:
        """Propose and end trials, one at a time as `choose` says, until `trials` have ended."""
        ended = 0
        while ended < trials:
            if self.wants_batch():
                self.propose()
            self.end(choose(sorted(self.live)))
            ended += 1

    def edit(self, path: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change a record, as nobody should."""
        record = json.loads(Path(path).read_text())
        record.pop("crc32", None)
        change(record)
        Path(path).write_text(json.dumps(record))
