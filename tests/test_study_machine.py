"""Any order of asking, ending, crashing, losing, editing and sealing: results count once, and the study is what its
records say.

A model keeps what was published; after every step the study as read from its folder must agree with it.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hpo_workflow.cli.propose import make_batch
from hpo_workflow.objective import loss_of
from hpo_workflow.spec import Budget, Objective
from hpo_workflow.store.compaction import Settled, compact, find_bundles, unpack
from hpo_workflow.store.sealed import Sealed, publish
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.trial import TrialState
from tests.simulated import Simulated
from tests.soak import IS_SOAK, size

OBJECTIVES = {"loss": Objective("loss", "minimize"), "acc": Objective("acc", "maximize")}
VALUES = st.one_of(st.integers(-3, 3).map(lambda n: n / 4), st.just(None), st.just(float("nan")))
INDEXES = ("torn", "gone", "garbled", "doubled", "shuffled")


class Study(RuleBasedStateMachine):
    """A study and what must be true of it.

    Attributes:
        printed: What the program of each trial that has ended printed, by metric; None where it failed.
        records: The content of each result record as it was published.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp(prefix="hpo-machine-")
        self.root = Path(self.folder) / "s"
        self.printed: dict[int, dict[str, Any] | None] = {}
        self.records: dict[Path, bytes] = {}
        self.unread: set[int] = set()
        self.metric = "loss"

    @initialize(parallel=st.integers(1, 4), refill=st.sampled_from(["rolling", "rounds"]))
    def begin(self, parallel: int, refill: str) -> None:
        self.budget = Budget(6, parallel)
        self.run = Simulated(self.root, budget=self.budget, refill=refill)

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def state(self) -> Any:
        return self.run.folder.state(self.run.current)

    # ---- what happens to a study --------------------------------------------------------------------------
    @precondition(lambda self: self.run.wants_batch())
    @rule(again=st.booleans())
    def ask(self, again: bool) -> None:
        """Perhaps the process dies after its batch was published: the next one gives the same."""
        number = len(self.run.folder.batches())
        self.run.propose()
        if again:
            record = self.run.folder.batch(number)
            assert make_batch(StudyFolder(str(self.root)), self.run.plan, number) == record

    @precondition(lambda self: self.run.live)
    @rule(draw=st.randoms(use_true_random=False), loss=VALUES, acc=VALUES, failed=st.booleans(), crash=st.booleans())
    def end(self, draw: random.Random, loss: Any, acc: Any, failed: bool, crash: bool) -> None:
        """A trial ends, in any order; perhaps nobody reads it, because Snakemake dies."""
        number = draw.choice(sorted(self.run.live))
        batch, _ = self.run.live[number]
        text = "".join(f"{name}={value}\n" for name, value in (("loss", loss), ("acc", acc)) if value is not None)
        kind = "failed" if failed and draw.random() < 0.4 else "done"
        self.run.end(number, text, kind, "exit_code" if kind == "failed" else None)
        self.printed[number] = None if kind == "failed" else {"loss": loss, "acc": acc}
        path = Path(self.run.folder.paths.result_record(number))
        self.records[path] = path.read_bytes()
        if crash:
            Path(self.run.folder.paths.metric(self.run.current["metrics_digest"], number, batch)).unlink()
            self._drop_from_index(number)
            self.unread.add(number)

    def _drop_from_index(self, number: int) -> None:
        index = Path(self.run.folder.paths.metric_index(self.run.current["metrics_digest"]))
        lines = index.read_bytes().splitlines(keepends=True)
        index.write_bytes(b"".join(line for line in lines if f'"number":{number},'.encode() not in line))

    @precondition(lambda self: self.printed)
    @rule(draw=st.randoms(use_true_random=False))
    def a_second_copy_ends(self, draw: random.Random) -> None:
        """It was started twice, and the slower one has another result: the first one stays."""
        number = draw.choice(sorted(self.printed))
        record = self.run.folder.result(number)
        assert record is not None
        other = {**record, "end": {"kind": "failed", "reason": "oom", "detail": ""}, "seconds": 9.0}
        assert not publish(self.run.folder.paths, self.run.folder.paths.result_record(number), other)

    @precondition(lambda self: self.run.live)
    @rule(draw=st.randoms(use_true_random=False))
    def lose(self, draw: random.Random) -> None:
        self.run.lose(draw.choice(sorted(self.run.live)))

    @rule(how=st.sampled_from(INDEXES), seed=st.integers(0, 99))
    def lose_an_index(self, how: str, seed: int) -> None:
        rng = random.Random(seed)
        for path in (self.root / "state" / "index").glob("*"):
            data = path.read_bytes()
            lines = data.splitlines(keepends=True)
            if how == "gone" or not data:
                path.unlink()
            elif how == "torn":
                path.write_bytes(data[: rng.randrange(len(data))])
            elif how == "garbled":
                at = rng.randrange(len(data))
                path.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :])
            elif how == "doubled":
                path.write_bytes(data + data)
            else:
                rng.shuffle(lines)
                path.write_bytes(b"".join(lines))

    @rule(more=st.integers(1, 4))
    def extend(self, more: int) -> None:
        self.budget = Budget(self.budget.trials + more, self.budget.parallel)
        self.run.use(budget=self.budget)

    @rule(metric=st.sampled_from(sorted(OBJECTIVES)))
    def change_the_metric(self, metric: str) -> None:
        """All outputs are read again, also those that nobody had read."""
        self.metric = metric
        self.run.use(objective=OBJECTIVES[metric])
        self.run.read_again()
        self.unread.clear()

    @rule()
    def resume(self) -> None:
        """Another process goes on from the folder alone: it reads what has ended and starts what has not."""
        self.run.folder = StudyFolder(str(self.root))
        live = self.state().live
        for number, emission in live.items():
            if self.run.folder.result(number) is not None:
                self.run.parse(number, emission.batch)
        self.unread.clear()
        self.run.live = {
            number: (emission.batch, self.run.folder.trial_record(number, emission.batch))
            for number, emission in live.items()
            if self.run.folder.result(number) is None
        }

    @rule(all_finished=st.booleans(), logs=st.booleans(), killed=st.booleans())
    def compact(self, all_finished: bool, logs: bool, killed: bool) -> None:
        """What has ended is sealed; perhaps whoever does it is killed before the originals have gone."""
        emitted = {r["batch"]: [trial["number"] for trial in r["trials"]] for r in self.run.folder.batches()}
        settled = Settled.of(emitted, self.state().pending, all_finished=all_finished)
        bundles = find_bundles(self.run.folder.paths, settled, texts_of=settled.trials if logs else ())
        originals = {path: Path(path).read_bytes() for bundle in bundles for path in bundle.files.values()}
        assert not compact(self.run.folder.paths, bundles).left
        for path, data in list(originals.items())[::2] if killed else ():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_bytes(data)

    @rule()
    def take_it_back(self) -> None:
        assert not unpack(self.run.folder.paths).left
        assert not list(self.root.rglob("*.zip"))

    # ---- what must be true --------------------------------------------------------------------------------
    def expected(self) -> dict[int, tuple[TrialState, float | None]]:
        known = {}
        for number, printed in self.printed.items():
            if number in self.unread:
                continue
            value = None if printed is None else printed[self.metric]
            good = value is not None and value == value
            known[number] = (TrialState.COMPLETE, value) if good else (TrialState.FAILED, None)
        return known

    @invariant()
    def every_result_counts_once(self) -> None:
        state = self.state()
        assert {n: (trial.state, trial.value) for n, trial in state.finished.items()} == self.expected()
        assert state.n_counted == len(self.expected())

    @invariant()
    def no_result_is_changed(self) -> None:
        sealed = Sealed(self.run.folder.paths)
        for path, data in self.records.items():
            assert (path.read_bytes() if path.exists() else sealed.sealed(str(path))) == data

    @invariant()
    def the_best_is_the_best(self) -> None:
        direction = OBJECTIVES[self.metric].direction
        values = [(loss_of(v, direction), n) for n, (_, v) in self.expected().items() if v is not None]
        best = self.state().incumbent
        assert (None if best is None else best.number) == (min(values)[1] if values else None)

    @invariant()
    def no_configuration_is_proposed_twice_and_the_budget_holds(self) -> None:
        emitted: dict[int, dict[str, Any]] = {}
        for record in self.run.folder.batches():
            for trial in record["trials"]:
                known = emitted.setdefault(trial["number"], trial["params"])
                assert known == trial["params"], "a trial that is emitted again is the same"
        assert sorted(emitted) == list(range(len(emitted)))
        assert len({json.dumps(params) for params in emitted.values()}) == len(emitted)
        assert len(emitted) <= self.budget.trials
        assert len(self.state().live) <= self.budget.parallel

    @invariant()
    def a_study_that_goes_on_can_go_on(self) -> None:
        state = self.state()
        assert state.ending() is not None or state.wants_batch() or state.live, "nothing runs and nothing is asked for"


TestStudy = pytest.mark.soak(pytest.mark.timeout(3600)(Study.TestCase))
TestStudy.settings = settings(
    max_examples=size(12, 1000),
    stateful_step_count=size(20, 50),
    deadline=None,
    derandomize=True,
    phases=[Phase.generate] if IS_SOAK else [Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
