"""Studies in a temporary folder whose trials have ended without having been run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hpo_workflow.cli.propose import make_batch
from hpo_workflow.reading.opened import load_plan
from hpo_workflow.store.atomic import publish, replace, to_json, unseal
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.study_folder import StudyFolder

STUDY: dict[str, Any] = {
    "study": "s",
    "command": "echo loss=${hpo.x} ${trial.dir}",
    "space": {"x": {"type": "float", "low": 0.0, "high": 1.0}, "k": 3},
    "env": {"K": "${hpo.k}"},
    "objective": {"metric": "loss", "direction": "minimize"},
    "sampler": "random",
    "budget": {"trials": 4, "parallel": 2},
}


def write_study(**changes: Any) -> str:
    """Write study.yaml into the current folder; gives its name."""
    Path("study.yaml").write_text(yaml.safe_dump({**STUDY, **changes}, sort_keys=False))
    return "study.yaml"


def emit(study: str, n_batches: int = 1) -> tuple[StudyFolder, Plan]:
    """Let the study propose `n_batches` batches; nothing runs."""
    plan, _ = load_plan(study)
    folder = StudyFolder(plan.spec.root)
    plan.store(folder)
    first = len(folder.batches())
    for batch in range(first, first + n_batches):
        make_batch(folder, folder.paths.plan(plan.digest), batch)
    return folder, plan


def end(
    folder: StudyFolder,
    plan: Plan,
    outcomes: Mapping[int, float | str],
    log: Sequence[str] = ("loss=0.5",),
    host: str = "",
) -> None:
    """Let trials end: a number is the value of a complete trial, a text the reason why it failed."""
    emitted = {t["number"]: (r["batch"], t) for r in folder.batches() for t in r["trials"]}
    for number, came in outcomes.items():
        batch, trial = emitted[number]
        failed = isinstance(came, str)
        path = Path(folder.paths.log(number, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in log))
        metric = {
            "number": number,
            "batch": batch,
            "config": trial["config"],
            "state": "failed" if failed else "complete",
            "reason": came if failed else None,
            "detail": f"it ended with {came}" if failed else None,
            "value": None if failed else came,
            "metrics": {} if failed else {"loss": came},
            "seconds": 90.0,
            "max_rss_mb": 10.0,
            "host": host,
        }
        kind = {"kind": "failed", "reason": came} if failed else {"kind": "done", "reason": None}
        result = {"number": number, "end": kind, "seconds": 90.0, "log": f"trials/000/{number}/log"}
        publish(folder.paths.result_record(number), result)
        replace(folder.paths.metric(plan.spec.metrics_digest, number, batch), to_json(metric) + "\n")


def finished_study(**changes: Any) -> tuple[str, StudyFolder, Plan]:
    """A study of four trials that are all complete; the best is trial 2."""
    study = write_study(**changes)
    folder, plan = emit(study)
    end(folder, plan, {0: 0.5, 1: 0.25})
    emit(study)
    end(folder, plan, {2: 0.125, 3: 0.75})
    return study, folder, plan


def read(path: str) -> Any:
    """A JSON file."""
    return unseal(Path(path).read_bytes())
