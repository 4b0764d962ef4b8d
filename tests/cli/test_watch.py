"""`hpo status --watch`: a study looked at from outside until it ends, with its exit code."""

from __future__ import annotations

import io
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli import watch as watch_module
from hpo_workflow.cli.watch import watch
from hpo_workflow.reading.opened import open_study
from hpo_workflow.store.atomic import publish, replace, to_json
from hpo_workflow.store.processes import this_process
from hpo_workflow.store.study_folder import StudyFolder
from tests.cli.conftest import Hpo
from tests.cli.studies import emit, end, finished_study, write_study
from tests.terminal import Pty

Step = Callable[[], object]


@pytest.fixture(autouse=True)
def without_squeue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo_workflow.cli.standing.shutil.which", lambda name: None)


@pytest.fixture
def play(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Watch study.yaml into a file; at each pause of the watching, the next step happens."""

    def watched(*steps: Step, argument: str = "study.yaml") -> tuple[int, str]:
        waiting = list(steps)

        def pause(seconds: float) -> None:
            assert waiting, "it does not end"
            waiting.pop(0)()

        monkeypatch.setattr(watch_module.time, "sleep", pause)
        stream = io.StringIO()
        code = watch(open_study(argument), 0.5, stream)
        assert not waiting, f"it ended before {len(waiting)} steps"
        return code, stream.getvalue()

    return watched


def nothing() -> None:
    """Only time passes."""


def session(folder: StudyFolder, **changes: Any) -> None:
    """Somebody runs the study."""
    publish(folder.paths.session, {**this_process(), "since_unix": time.time() - 65, "token": "t", **changes})


def leave(folder: StudyFolder) -> Step:
    return Path(folder.paths.session).unlink


def test_a_study_that_has_ended_is_told_at_once(play: Any) -> None:
    finished_study()
    code, said = play()
    lines = said.splitlines()
    assert code == 0 and lines[0] == "study s: 4 of 4 trials done"
    assert lines[1].startswith("best loss 0.125 (trial 2): x=") and lines[2].startswith("command: K=3 echo loss=")


def test_a_study_is_waited_for_and_watched_to_its_end(play: Any) -> None:
    study = write_study()
    known: list[Any] = []

    def begin() -> None:
        known.extend(emit(study))
        session(known[0])

    def second_batch() -> None:
        end(*known, {0: 0.5, 1: "timeout"})
        emit(study)

    code, said = play(
        nothing,
        begin,
        second_batch,
        lambda: end(*known, {2: 0.25, 3: 0.75}),
        nothing,
        lambda: leave(known[0])(),
    )
    lines = said.splitlines()
    assert code == 0
    assert lines[0].startswith("study s has not run yet") and "waiting until it starts (Ctrl-C leaves)" in lines
    assert sum("waiting" in line for line in lines) == 1
    shown = [line for line in lines if line.startswith(("study s: runs", "["))]
    assert shown[0].startswith("study s: runs for 1 min (process ") and shown[0].endswith("; 0 of 4 trials done")
    assert [line.split(" in ")[0] for line in shown[1:]] == [f"[{n + 1}/4] trial {n}" for n in range(4)]
    assert lines[-3] == "study s: 4 of 4 trials done" and lines[-2].startswith("best loss 0.25 (trial 2)")


def test_a_failed_study_gives_1_and_the_reason(play: Any) -> None:
    folder, plan = emit(write_study(budget={"trials": 9, "parallel": 5}))
    end(folder, plan, dict.fromkeys(range(5), "exit_code"), log=["cannot open data.npz"])
    code, said = play()
    assert code == 1
    assert "study s failed: the first 5 trials all failed" in said and "  | cannot open data.npz" in said


def test_a_study_that_is_stopped_while_it_is_watched_gives_130(play: Any) -> None:
    folder, plan = emit(write_study())
    session(folder)
    end(folder, plan, {0: 0.5})
    code, said = play(nothing, leave(folder), nothing)
    assert code == 130
    assert said.splitlines()[-1] == "study s: stopped; 1 of 4 trials done. `hpo run study.yaml` goes on."


def test_a_study_that_nobody_runs_is_waited_for(play: Any) -> None:
    folder, plan = emit(write_study())

    def both_end() -> None:
        end(folder, plan, {0: 0.5, 1: 0.5})
        emit("study.yaml")

    code, said = play(
        nothing,
        nothing,
        lambda: session(folder),
        both_end,
        lambda: end(folder, plan, {2: 0.5, 3: 0.5}),
        leave(folder),
    )
    assert code == 0 and said.splitlines()[:2] == [
        "study s: nobody runs it; 0 of 4 trials done",
        "waiting until somebody runs it (Ctrl-C leaves)",
    ]


def test_between_two_heads_it_waits(play: Any) -> None:
    folder, plan = emit(write_study(budget={"trials": 2, "parallel": 2}))
    head = {"state": "handed over", "job": "7", "next": "8", "settings": {}}
    replace(folder.paths.head, to_json(head))
    session(folder)
    steps = [nothing, leave(folder), nothing, nothing, nothing, lambda: session(folder)]
    code, said = play(*steps, lambda: end(folder, plan, {0: 0.5, 1: 0.25}), leave(folder))
    assert code == 0 and "stopped" not in said


def test_an_edited_study_is_watched_on_under_its_new_plan(play: Any) -> None:
    _, folder, _ = finished_study()
    Path("study.yaml").write_text(Path("study.yaml").read_text().replace("trials: 4", "trials: 6"))
    session(folder)
    known: list[Any] = []
    code, said = play(
        lambda: known.extend(emit("study.yaml")),
        lambda: end(*known, {4: 0.0625, 5: 0.5}),
        leave(folder),
    )
    assert code == 0 and "study s: 6 of 6 trials done" in said
    assert "[5/6] trial 4" in said


def test_whoever_runs_an_ended_study_and_goes_on_with_other_things_is_not_waited_for(
    play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder, _ = finished_study()
    session(folder)
    monkeypatch.setattr(watch_module, "LEAVING_S", -1.0)
    assert play()[0] == 0


def test_a_long_line_of_outcomes_is_read_without_pauses(play: Any) -> None:
    folder, plan = emit(write_study(budget={"trials": 200, "parallel": 200}))
    session(folder)
    code, said = play(lambda: end(folder, plan, dict.fromkeys(range(200), 0.5)), leave(folder))
    assert code == 0 and said.count("] trial ") == 200


# ---- on a terminal -----------------------------------------------------------------------------------------
@pytest.fixture
def terminal(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pty]:
    monkeypatch.setenv("TERM", "xterm")
    opened = Pty(60, 16)
    yield opened
    opened.close()


def test_ctrl_c_ends_the_watching_with_0_and_leaves_the_study_and_the_picture_alone(
    terminal: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, plan = emit(write_study())
    session(folder)
    end(folder, plan, {0: 0.5})
    before = {path: path.stat().st_mtime_ns for path in Path("results").rglob("*")}
    looks = iter(range(3))

    def pause(seconds: float) -> None:
        if next(looks) == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(watch_module.time, "sleep", pause)
    assert watch(open_study("study.yaml"), 0.5, terminal.stream) == 0
    lines = terminal.read().lines
    assert lines[0].startswith("s  runs for 1 min (process ") and any("1 of 4 trials done" in line for line in lines)
    assert {path: path.stat().st_mtime_ns for path in Path("results").rglob("*")} == before


def test_at_the_end_the_result_takes_the_place_of_the_picture(terminal: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, plan = emit(write_study(budget={"trials": 2, "parallel": 2}))
    session(folder)
    steps = iter([lambda: end(folder, plan, {0: 0.5, 1: 0.25}), leave(folder)])
    monkeypatch.setattr(watch_module.time, "sleep", lambda seconds: next(steps)())
    assert watch(open_study("results/s"), 0.5, terminal.stream) == 0
    lines = terminal.read().lines
    assert "study s: 2 of 2 trials done" in lines and not any(line.startswith("slots") for line in lines)


# ---- the command -------------------------------------------------------------------------------------------
def test_the_command_watches(hpo: Hpo) -> None:
    finished_study()
    answer = hpo("status", "study.yaml", "--watch", "--interval", "0.2")
    assert answer.code == 0 and answer.out.startswith("study s: 4 of 4 trials done\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--watch", "--json"], "--watch and --json: give one of them"),
        (["--interval", "5"], "--interval is the time between two looks of --watch"),
        (["--watch", "--interval", "0"], "0.2<=x<=3600"),
    ],
)
def test_options_that_do_not_go_together_are_refused(hpo: Hpo, words: list[str], said: str) -> None:
    answer = hpo("status", "study.yaml", *words)
    assert answer.code == 2 and said in answer.err
