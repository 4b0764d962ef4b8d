"""Pruned trials: real programs, told to end by what they print."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.pruners.curves import curve_of, entry_of
from hpo_workflow.pruners.pruner import is_audited
from hpo_workflow.runner.pruning import LOOK_S, PAUSE_S, Pruning

from .conftest import Study, is_running, wait_for

MEDIAN = {"name": "median", "startup": 3, "warmup": 0, "interval": 0, "audit": 0}
PATIENT = {"name": "patient", "patience": 2, "min_delta": 0, "warmup": 0, "audit": 0}
HOPELESS = "step 2: the best loss so far, 0.9, is worse than the median 0.4 of 3 trials"


def curve_line(number: int, *losses: float, fidelity: float | None = None) -> str:
    """A complete trial that printed these losses at steps 1, 2, ..."""
    curve = curve_of(list(enumerate(losses, start=1)))
    assert curve is not None
    return json.dumps(entry_of(number, fidelity, losses[-1], losses[-1], curve)) + "\n"


def add_others(study: Study, text: str | None = None) -> Path:
    """Three trials that had 0.5, 0.4 and 0.3 at step 2, and went on to step 9."""
    path = Path(study.paths.curve_index("m1"))
    path.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        text = "".join(curve_line(n, 0.8, loss, *[loss] * 7) for n, loss in enumerate((0.5, 0.4, 0.3)))
    with path.open("a") as file:
        file.write(text)
    return path


@pytest.fixture
def pruned(study: Study) -> Study:
    """A study with a median pruner and three complete trials."""
    study.spec.update(pruner=dict(MEDIAN), seed=0)
    study.spec["metrics"]["step"] = "epoch"
    add_others(study)
    return study


def prints(*losses: object, first: int = 1, end: str = "sleep 20") -> str:
    """A program that prints losses, a step each, slowly enough to be judged at each of them."""
    steps = "".join(f"echo epoch={step} loss={loss}; sleep 0.2; " for step, loss in enumerate(losses, start=first))
    return f"{steps}{end}"


# ---- whether -----------------------------------------------------------------------------------------------
def test_a_hopeless_trial_is_ended_and_recorded_with_step_and_reason(pruned: Study) -> None:
    pruned.use(prints(0.9, 0.9))
    begun = time.monotonic()
    code, said = pruned.run()
    assert time.monotonic() - begun < 6
    result = pruned.result
    assert code == 0
    assert result["end"]["kind"] == "pruned"
    assert result["end"]["reason"] == "median"
    assert result["end"]["detail"] == "step 1: the best loss so far, 0.9, is worse than the median 0.8 of 3 trials"
    assert result["pruning"] == {
        "rule": "median",
        "step": 1,
        "reason": result["end"]["detail"],
        "audited": False,
    }
    assert result["metrics"]["points"]["loss"] == [[1, 0.9]]
    assert result["attempts"][-1]["end"] == "pruned"
    assert pruned.done["end"] == result["end"]
    assert pruned.claim() is None
    assert f"trial 12: {result['end']['detail']}; ending the program" in said


@pytest.mark.parametrize(
    ("losses", "detail"),
    [
        ((0.75, 0.5), "step 2: the best loss so far, 0.5, is worse than the median 0.4 of 3 trials"),
        (("nan", 0.9), HOPELESS),
        ((0.75, "nan", 0.6), "step 3: the best loss so far, 0.6, is worse than the median 0.4 of 3 trials"),
    ],
)
def test_what_is_not_a_finite_number_stops_nothing_and_is_passed_over(
    pruned: Study, losses: tuple[Any, ...], detail: str
) -> None:
    pruned.use(prints(*losses))
    pruned.run()
    assert pruned.result["end"]["detail"] == detail


@pytest.mark.parametrize(
    "losses",
    [("nan", "inf", "nan"), (0.1, 0.9, 0.9), (0.7, 0.4, 0.9)],
    ids=["never_finite", "the_best_so_far", "as_good_as_the_median"],
)
def test_other_trials_end_by_themselves(pruned: Study, losses: tuple[Any, ...]) -> None:
    pruned.use(prints(*losses, end="true"))
    pruned.run()
    assert pruned.result["end"]["kind"] == "done"
    assert "pruning" not in pruned.result


def test_trials_of_another_fidelity_do_not_count(pruned: Study) -> None:
    Path(pruned.paths.curve_index("m1")).write_text(
        "".join(curve_line(n, *[0.1] * 9, fidelity=27) for n in range(8)) + curve_line(9, 0.99, 0.99)
    )
    pruned.use(prints(0.9, 0.9, end="true"))
    pruned.run()
    assert pruned.result["end"]["kind"] == "done"


def test_a_trial_that_has_ended_by_itself_is_complete(pruned: Study) -> None:
    """It is told to end only after its last output was read, and by then it has gone."""
    pruned.use("echo epoch=1 loss=0.9; echo epoch=2 loss=0.9")
    hook = "import time; from hpo_workflow.runner import pruning; real = pruning.Pruning.judge\n"
    hook += "pruning.Pruning.judge = lambda self: (time.sleep(0.3), real(self))[1]\n"
    code, said = run_with(pruned, hook)
    assert (code, "ending the program" in said) == (0, False)
    assert pruned.result["end"] == {"kind": "done", "reason": None, "detail": ""}
    assert "pruning" not in pruned.result


@pytest.mark.parametrize(
    ("end", "kind", "reason"),
    [("true", "done", None), ("exit 3", "failed", "exit_code"), ("sleep 20", "pruned", "median")],
)
def test_a_trial_that_ends_by_itself_just_before_the_order_is_what_it_was(
    pruned: Study, end: str, kind: str, reason: str | None
) -> None:
    """It still runs when the order is decided, and has gone when it is given."""
    pruned.use(f"echo epoch=1 loss=0.9; sleep 0.1; {end}")
    hook = "import time; real = process.Program.signal\n"
    hook += "process.Program.signal = lambda self, n: (time.sleep(0.6 if n == 15 else 0), real(self, n))[1]\n"
    run_with(pruned, hook)
    assert (pruned.result["end"]["kind"], pruned.result["end"]["reason"]) == (kind, reason)
    assert ("pruning" in pruned.result) == (kind == "pruned")


def test_the_target_comes_before_the_pruner(pruned: Study) -> None:
    """A value that reaches the target while the program ends, because it was hopeless, counts."""
    pruned.spec["objective"].update(target=0.05, reduce="best")
    pruned.use("trap 'echo epoch=3 loss=0.01; exit 0' TERM; echo epoch=1 loss=0.9; while :; do sleep 0.05; done")
    pruned.run()
    assert (pruned.result["end"]["kind"], pruned.result["end"]["reason"]) == ("done", "target")
    assert "pruning" not in pruned.result


def test_both_in_one_piece_of_output_are_the_target(pruned: Study) -> None:
    pruned.spec["objective"].update(target=0.05, reduce="best")
    (pruned.launch / "two").write_text("epoch=1 loss=0.9\nepoch=2 loss=0.01\n")
    pruned.use("cat two; sleep 20")
    pruned.run()
    assert pruned.result["end"]["reason"] == "target"


# ---- how ---------------------------------------------------------------------------------------------------
def test_a_program_that_ignores_the_order_is_killed_with_its_children(pruned: Study) -> None:
    pruned.use("trap '' TERM; (trap '' TERM; sleep 30) & echo $! > child; echo epoch=1 loss=0.9; sleep 30; sleep 30")
    begun = time.monotonic()
    pruned.run()
    assert 1 <= time.monotonic() - begun < 8
    assert pruned.result["end"]["kind"] == "pruned"
    assert pruned.result["exit_code"] == -9
    assert not is_running(int((pruned.launch / "child").read_text()))


def test_a_program_that_saves_and_leaves_when_told_is_pruned(pruned: Study) -> None:
    pruned.use("trap 'echo saved; exit 0' TERM; echo epoch=1 loss=0.9; while :; do sleep 0.05; done")
    pruned.run()
    assert (pruned.result["end"]["kind"], pruned.result["exit_code"]) == ("pruned", 0)
    assert "saved" in pruned.log()


def test_a_runner_that_is_told_to_end_loses_the_attempt_and_prunes_nothing(pruned: Study) -> None:
    pruned.use("trap 'echo epoch=2 loss=0.9; sleep 0.3; exit 0' TERM; echo started; while :; do sleep 0.05; done")
    process = pruned.start()
    wait_for(lambda: "started" in pruned.log())
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 75
    assert not Path(pruned.paths.result_record(12)).exists()


def test_a_second_attempt_is_judged_by_what_it_prints_itself(pruned: Study) -> None:
    pruned.use(prints(0.9, first=7))
    pruned.run(attempt=2)
    assert pruned.result["end"]["detail"].startswith("step 7: ")


def test_an_attempt_that_goes_on_is_judged_by_what_the_earlier_ones_printed_too(pruned: Study) -> None:
    pruned.spec["retry"] = {"timeouts": 3, "ooms": 0, "mem": 2.0}
    pruned.use("echo epoch=1 loss=0.2; sleep 20")
    pruned.run("--runtime-s", "1.6")
    assert pruned.done["again"] == "timeout"
    pruned.use(prints(0.9, first=7, end=""))
    pruned.run("--runtime-s", "60")
    assert pruned.result["end"]["kind"] == "done", "its best loss so far is 0.2"


def test_a_quick_report_is_judged_soon_even_if_nothing_follows(pruned: Study) -> None:
    """The second one comes within the pause after the first was judged."""
    pruned.use("echo epoch=1 loss=0.7; sleep 0.03; echo epoch=2 loss=0.7; sleep 20")
    begun = time.monotonic()
    pruned.run()
    assert pruned.result["end"]["detail"].startswith("step 2: ")
    assert time.monotonic() - begun < 6


def test_values_of_the_metrics_file_stand_for_printed_ones(pruned: Study) -> None:
    record = "import json, os, time\n"
    record += "for step, loss in ((1, 0.75), (2, 0.45)):\n"
    record += "    print(f'epoch={step} loss=0.01', flush=True)\n"
    record += "    open(os.environ['HPO_METRICS_FILE'], 'a').write(json.dumps({'epoch': step, 'loss': loss}) + '\\n')\n"
    record += "    time.sleep(0.5)\n"
    (pruned.launch / "p.py").write_text(record + "time.sleep(20)\n")
    pruned.use([[sys.executable], ["p.py"]])
    pruned.run()
    assert pruned.result["end"]["detail"] == (
        "step 2: the best loss so far, 0.45, is worse than the median 0.4 of 3 trials"
    )


# ---- audit -------------------------------------------------------------------------------------------------
def test_an_audited_trial_runs_on_and_says_when_it_would_have_been_stopped(pruned: Study) -> None:
    pruned.spec["pruner"]["audit"] = 0.5
    pruned.spec["seed"] = next(seed for seed in range(99) if is_audited(seed, 12, 0.5))
    pruned.use(prints(0.75, 0.9, end="sleep 0.6; echo epoch=3 loss=0.01"))
    code, said = pruned.run()
    assert (code, said) == (0, "")
    assert pruned.result["end"]["kind"] == "done"
    found = pruned.result["pruning"]
    assert (found["rule"], found["step"], found["audited"]) == ("median", 2, True)
    assert found["reason"] == "step 2: the best loss so far, 0.75, is worse than the median 0.4 of 3 trials"


# ---- the index ---------------------------------------------------------------------------------------------
def test_trials_that_end_meanwhile_are_compared_with(pruned: Study) -> None:
    index = Path(pruned.paths.curve_index("m1"))
    text = index.read_text()
    index.unlink()
    pruned.use(f"echo epoch=1 loss=0.9; while [ ! -e {index} ]; do sleep 0.05; done; sleep 1.2; {prints(0.9, first=2)}")
    process = pruned.start()
    wait_for(lambda: "epoch=1" in pruned.log())
    time.sleep(0.2)
    index.write_text(text[:-30])
    time.sleep(0.2)
    index.write_text(text)
    process.communicate(timeout=20)
    assert pruned.result["end"]["detail"] == HOPELESS


@pytest.mark.parametrize("trouble", ["absent", "garbage", "folder", "empty"])
def test_an_index_in_trouble_stops_nobody_and_harms_nobody(pruned: Study, trouble: str) -> None:
    index = Path(pruned.paths.curve_index("m1"))
    index.unlink()
    if trouble == "garbage":
        index.write_bytes(os.urandom(3000) + b'\n{"number": 1}\n')
    elif trouble == "folder":
        index.mkdir()
    elif trouble == "empty":
        index.touch()
    pruned.use(prints(0.9, 0.9, end="true"))
    assert pruned.run() == (0, "")
    assert pruned.result["end"]["kind"] == "done"


# ---- the pace ----------------------------------------------------------------------------------------------
class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def pruning(tmp_path: Path, **settings: Any) -> tuple[Pruning, Clock]:
    clock = Clock()
    objective = {"metric": "loss", "direction": "minimize"}
    spec = {"objective": objective, "pruner": {**PATIENT, **settings}, "seed": 0}
    (tmp_path / "i").write_text(curve_line(1, 0.5))
    return Pruning(spec, 3, None, str(tmp_path / "i"), clock), clock


def test_judgements_keep_their_distance_and_none_is_forgotten(tmp_path: Path) -> None:
    made, clock = pruning(tmp_path)
    made.report([], False)
    assert made.due is None
    made.report([(1, 9.0)], False)
    assert made.due == clock.now
    assert made.judge() is None
    assert made.due is None
    made.report([(2, 9.0), (3, 9.0)], False)
    assert made.due == clock.now + PAUSE_S
    assert made.judge() is None
    assert made.finding is None
    clock.now += PAUSE_S
    found = made.judge()
    assert found is made.finding
    assert found is not None
    assert found.sentence == "step 3: no better loss than 9 in 2 reports"
    made.report([(4, 9.0)], False)
    assert made.due is None


def test_the_index_is_looked_at_once_a_second(tmp_path: Path) -> None:
    made, clock = pruning(tmp_path, patience=99)
    seen = []
    for step in range(30):
        if step == 1:
            (tmp_path / "i").write_text(curve_line(1, 0.5) + curve_line(2, 0.4))
        made.report([(step, 9.0)], False)
        made.judge()
        seen.append(len(made._index.others))
        clock.now += PAUSE_S
    assert seen.index(2) == pytest.approx(LOOK_S / PAUSE_S, abs=1)


# ---- helpers -----------------------------------------------------------------------------------------------
def run_with(study: Study, hook: str) -> tuple[int, str]:
    """Run the runner with something done to it before."""
    from . import conftest

    lines = conftest.IMPATIENT.splitlines()
    lines.insert(len(lines) - 1, hook)
    original = conftest.IMPATIENT
    conftest.IMPATIENT = "\n".join(lines)
    try:
        return study.run()
    finally:
        conftest.IMPATIENT = original
