"""What `keep:` deletes while a study goes on: never what somebody goes on from, and each folder is looked at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli import disk
from hpo_workflow.cli.collect import collect
from hpo_workflow.cli.outcome import best_lines
from hpo_workflow.cli.propose import free_after
from hpo_workflow.cli.schedule import stages_of_best
from hpo_workflow.multifidelity import METHODS
from hpo_workflow.reading.best import best_record
from hpo_workflow.runner.command import resume_from
from hpo_workflow.spec import Budget, Fidelity, Objective, Template
from hpo_workflow.store.atomic import unseal
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.store.trial_files import delete_files
from hpo_workflow.study_state import StudyState
from tests.simulated import Simulated

PBT = {"exploit": "truncation", "quantile": 0.25, "explore": "factor", "resample": 0.25, "fixed": []}


def fidelity(method: str, high: float = 9) -> Fidelity:
    if METHODS[method].shape == "interval":
        return Fidelity("epochs", "int", 2, high, method=method, interval=2, options=PBT)
    return Fidelity("epochs", "int", 1, high, 3, method)


class Deleting(Simulated):
    """A study whose programs leave a file `model`; like the rule, `propose` deletes when its batch is there."""

    def __init__(self, root: Path, **changes: Any) -> None:
        settings = {"keep": "best", "sampler": {"name": "random"}, "budget": Budget(9, 3)}
        super().__init__(root, **{**settings, **changes})
        self.warnings: list[str] = []

    def propose(self) -> list[int]:
        numbers = super().propose()
        self.free()
        return numbers

    def free(self) -> list[str]:
        self.warnings = free_after(self.folder, self.plan)
        return self.warnings

    def end(self, number: int, *arguments: Any, **options: Any) -> None:
        self.model(number).parent.mkdir(parents=True, exist_ok=True)
        self.model(number).write_text(str(number))
        super().end(number, *arguments, **options)

    def model(self, number: int) -> Path:
        return Path(self.folder.paths.trial_dir(number), "model")

    def models(self) -> set[int]:
        """Trials whose file is there."""
        return {number for number in self.state.emissions if self.model(number).exists()}

    @property
    def state(self) -> StudyState:
        return self.folder.state(self.current)

    def collect(self) -> list[str]:
        """What the last job says."""
        root = Path(self.folder.root)
        return collect(self.folder, self.plan, str(root / "best.json"), str(root / "report.html"))[1]

    def to_the_end(self, seed: int = 0, troubled: bool = False) -> None:
        """Run it; whoever goes on from another trial must find its file."""
        chance = random.Random(seed)
        while True:
            if self.wants_batch():
                self.propose()
            if not self.live:
                return
            number = chance.choice(sorted(self.live))
            draw = chance.random()
            parent = self.live[number][1]["parent"]
            if parent is not None:
                assert self.model(parent).exists(), f"trial {number} goes on from {parent}, which was emptied"
            if troubled and draw < 0.15:
                self.lose(number)
            elif troubled and draw < 0.3:
                self.end(number, "", "failed", "exit_code")
            else:
                trial = self.live[number][1]
                self.end(number, f"loss={(trial['params']['x'] - 0.3) ** 2 + 1 / (trial['fidelity'] or 1)!r}\n")


def incumbent(run: Deleting) -> int:
    best = run.state.incumbent
    assert best is not None
    return best.number


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize("troubled", [False, True])
def test_whoever_goes_on_finds_the_file_of_its_parent(tmp_path: Path, method: str, troubled: bool) -> None:
    run = Deleting(tmp_path, fidelity=fidelity(method), budget=Budget(5 if method == "pbt" else 14, 4, failures=99))
    run.to_the_end(seed=3, troubled=troubled)
    during = run.models()
    run.collect()
    failed = {trial.proposal.parent for trial in run.state.finished.values() if trial.state == "failed"}
    assert run.models() == {incumbent(run), *(parent for parent in failed if parent is not None)}
    assert len(during) < len(run.state.finished) / 2, "disk was freed only at the end"
    assert run.warnings == []


def test_without_fidelity_each_new_best_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    run = Deleting(tmp_path, budget=Budget(5, 1))
    for loss, kept in [(3.0, {0}), (2.0, {1}), (2.5, {1}), (1.0, {3})]:
        run.end(run.propose()[0], f"loss={loss}\n")
        run.free()
        assert run.models() == kept
    run.end(run.propose()[0], "", "failed", "exit_code")
    run.free()
    assert run.models() == {3}
    assert all(Path(run.folder.paths.log(number, 1)).exists() for number in range(5))


def test_all_keeps_everything_and_looks_at_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Deleting(tmp_path, keep="all", fidelity=fidelity("asha"))
    monkeypatch.setattr(disk, "delete_files", None)
    run.to_the_end()
    run.collect()
    assert run.models() == set(run.state.emissions)
    assert not os.path.exists(run.folder.paths.emptied)


def test_none_keeps_the_best_until_the_study_has_ended(tmp_path: Path) -> None:
    run = Deleting(tmp_path, keep="none", budget=Budget(3, 1))
    run.run(3)
    run.free()
    assert run.models() == {incumbent(run)}
    said = run.collect()
    assert run.models() == set()
    assert any("The files of this trial were deleted" in line for line in said)
    best = json.loads(Path(run.folder.root, "best.json").read_text())
    assert best["files_deleted"] == [best["trial"]]


def test_a_study_that_failed_keeps_its_best(tmp_path: Path) -> None:
    run = Deleting(tmp_path, keep="none", budget=Budget(9, 1, failures=1))
    run.end(run.propose()[0], "loss=1\n")
    run.end(run.propose()[0], "", "failed", "exit_code")
    run.collect()
    assert run.models() == {0}


def test_after_the_target_only_the_best_is_left_and_after_the_wall_what_could_go_on(tmp_path: Path) -> None:
    for name, budget, target in [("wall", Budget(9, 3, wall_s=1e-9), None), ("target", Budget(9, 3), 0.5)]:
        run = Deleting(tmp_path / name, keep="best", fidelity=fidelity("asha"))
        for number in run.propose():
            run.end(number, f"loss={number + 0.5}\n")
        run.use(budget=budget, objective=Objective("loss", "minimize", target=target))
        if name == "wall":
            record = unseal(Path(run.folder.paths.batch_record(0)).read_bytes())
            Path(run.folder.paths.batch_record(0)).write_text(json.dumps({**record, "elapsed_s": 5.0}))
            os.unlink(run.folder.paths.batch_index)
        run.collect()
        assert run.models() == ({0, 1, 2} if name == "wall" else {0})


def promoted_from_another_than_the_best(root: Path) -> tuple[Deleting, int]:
    """A study whose last trial, 7, goes on from trial 4, and the best one, 3, from trial 0."""
    run = Deleting(root, fidelity=fidelity("asha"), budget=Budget(6, 1))
    for loss in (0.1, 0.2, 0.3, 0.05, 0.11, 0.4, 0.5):
        run.end(run.propose()[0], f"loss={loss}\n")
    (promoted,) = run.propose()
    assert (promoted, run.live[promoted][1]["parent"]) == (7, 4)
    return run, promoted


def test_a_trial_that_was_lost_keeps_its_own_file_and_that_of_its_parent(tmp_path: Path) -> None:
    run, promoted = promoted_from_another_than_the_best(tmp_path)
    run.model(promoted).parent.mkdir(parents=True)
    run.model(promoted).write_text("half")
    run.lose(promoted)
    run.free()
    assert run.models() == {3, 4, promoted}
    assert run.propose() == [promoted]
    assert run.models() == {3, 4, promoted}
    run.end(promoted, "loss=0.06\n")
    run.collect()
    assert run.models() == {3}


def test_the_parent_of_a_failed_trial_stays_for_those_who_retry_it(tmp_path: Path) -> None:
    run, promoted = promoted_from_another_than_the_best(tmp_path)
    run.end(promoted, "", "failed", "oom")
    run.collect()
    assert run.models() == {3, 4}
    run.folder.decide({"kind": "retry_failed", "numbers": [promoted]})
    run.free()
    assert run.models() == {3, 4}
    (again,) = run.propose()
    assert run.live[again][1]["parent"] == 4 and run.models() == {3, 4}
    run.end(again, "loss=0.06\n")
    run.collect()
    assert run.models() == {3}


def test_each_directory_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Deleting(tmp_path, budget=Budget(40, 1))
    looked: list[int] = []
    delete = delete_files

    def count(paths: Any, number: int, *rest: Any) -> dict[str, str]:
        looked.append(number)
        return delete(paths, number, *rest)

    monkeypatch.setattr(disk, "delete_files", count)
    run.run(8)
    run.free()
    assert sorted(looked) == sorted(set(range(8)) - {incumbent(run)})
    os.unlink(run.folder.paths.emptied)
    run.free()
    assert len(looked) == 14
    Path(run.folder.paths.emptied).write_text("garbage")
    run.free()
    assert len(looked) == 21


def test_what_is_left_is_told_once_and_tried_again_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Deleting(tmp_path, budget=Budget(2, 1))
    run.end(run.propose()[0], "loss=1\n")
    run.end(run.propose()[0], "loss=0\n")
    monkeypatch.setattr(disk, "delete_files", lambda *_: {"a\n\x1b": "busy", "b": "busy", "c": "busy", "d": "busy"})
    (warning,) = run.free()
    assert warning.endswith(r"not deleted: a\n\x1b (busy), b (busy), c (busy) and 1 more") and "000/0" in warning
    assert run.free() == []
    monkeypatch.undo()
    assert run.free() == [] and run.models() == {0, 1}
    run.collect()
    assert run.models() == {1}


def test_a_full_disk_ends_the_deleting_and_not_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Deleting(tmp_path, budget=Budget(2, 1))
    run.end(run.propose()[0], "loss=1\n")
    run.end(run.propose()[0], "loss=0\n")

    def full(*_: Any) -> dict[str, str]:
        raise OSError(28, "No space left on device", "trials/000/0")

    with monkeypatch.context() as patch:
        patch.setattr(disk, "delete_files", full)
        assert run.free() == ["warning: trials/000/0: No space left on device; no files are deleted now"]
    run.free()
    assert run.models() == {1}


def test_time_is_bounded_and_the_next_batch_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Deleting(tmp_path, keep="all", budget=Budget(9, 3))
    run.run(9)
    run.use(keep="best")
    assert disk.free_disk(run.folder, run.state, seconds=-1.0) == []
    assert len(run.models()) == 9
    run.free()
    assert run.models() == {incumbent(run)}


def test_a_propose_that_was_forgotten_deletes_nothing(tmp_path: Path) -> None:
    run = Deleting(tmp_path, keep="all", budget=Budget(9, 3))
    run.run(6)
    run.use(keep="best")
    old = run.state
    Simulated.propose(run)
    assert disk.free_disk(run.folder, old) == []
    assert len(run.models()) == 6


def test_templates_of_an_earlier_file_stay(tmp_path: Path) -> None:
    run = Deleting(tmp_path, budget=Budget(9, 1), templates={"a": Template("a", "conf/a.ini", "ini", "x")})
    (number,) = run.propose()
    place = Path(run.folder.paths.trial_dir(number))
    (place / "conf").mkdir(parents=True)
    for name in ("a.ini", "b.ini", "c.ini"):
        (place / "conf" / name).write_text("")
    run.end(number, "loss=1\n")
    run.use(templates={"b": Template("b", "conf/b.ini", "ini", "x")})
    run.end(run.propose()[0], "loss=0\n")
    run.free()
    assert sorted(path.name for path in (place / "conf").iterdir()) == ["a.ini", "b.ini"]


def test_what_does_not_count_is_not_touched(tmp_path: Path) -> None:
    run = Deleting(tmp_path, keep="all", budget=Budget(9, 3))
    run.run(4)
    run.use(identity="identity-b", keep="best")
    run.run(4)  # two of the earlier file were still running
    run.collect()
    assert len(run.models()) == 1
    assert all(run.model(number).exists() for number in range(6))


def test_another_study_is_not_touched(tmp_path: Path) -> None:
    mine, other = Deleting(tmp_path / "a"), Deleting(tmp_path / "b", keep="all")
    for run in (mine, other):
        run.run(6)
    mine.collect()
    assert len(mine.models()) == 1 and len(other.models()) == 6


@pytest.mark.parametrize("method", sorted(METHODS))
def test_with_a_higher_top_or_budget_whoever_was_emptied_is_trained_from_the_start(tmp_path: Path, method: str) -> None:
    run = Deleting(
        tmp_path, fidelity=fidelity(method, 4 if method == "pbt" else 3), budget=Budget(4 if method == "pbt" else 9, 3)
    )
    while run.wants_batch() or run.live:
        if run.wants_batch():
            run.propose()
        trial = run.live[min(run.live)][1]
        run.end(trial["number"], f"loss={trial['config'] + 1 / trial['fidelity']!r}\n")
    run.collect()
    run.use(fidelity=fidelity(method, 8 if method == "pbt" else 9), budget=Budget(6 if method == "pbt" else 18, 3))
    went_on = {"anew": 0, "on": 0}
    chance = random.Random(1)
    while run.wants_batch() or run.live:
        if run.wants_batch():
            run.propose()
        number = chance.choice(sorted(run.live))
        parent = run.live[number][1]["parent"]
        if parent is not None:
            where = resume_from(run.folder.paths, parent)
            assert bool(where) == run.model(parent).exists()
            went_on["on" if where else "anew"] += 1
        trial = run.live[number][1]
        run.end(number, f"loss={trial['config'] + 1 / trial['fidelity']!r}\n")
    assert went_on["anew"] and went_on["on"]


def test_best_says_where_files_have_gone(tmp_path: Path) -> None:
    command = "train ${hpo.x} --from=${trial.resume_from}"
    run = Deleting(tmp_path, command=command, fidelity=fidelity("pbt", 4), budget=Budget(4, 4))
    for number in run.propose():
        run.end(number, f"loss={number}\n")
    copies = [number for number in run.propose() if run.live[number][1]["config"] == number]
    for number in sorted(run.live):
        run.end(number, f"loss={-(number in copies)}\n")
    best = best_record(run.folder, run.state)
    assert best is not None and best["trial"] in copies and "files_deleted" not in best
    run.collect()
    best = best_record(run.folder, run.state)
    parent = run.state.finished[copies[0]].proposal.parent
    assert best is not None and best["files_deleted"] == [parent]
    assert best["command"].endswith(f"--from={run.folder.paths.trial_dir(parent or 0)}")
    assert f"goes on from trial {parent}, whose files were deleted" in best_lines("loss", best)[-1]
    assert [stage.begins for stage in stages_of_best(run.folder, run.state)] == [0, 2]
    run.use(keep="none")
    run.collect()
    best = best_record(run.folder, run.state)
    assert best is not None and best["trial"] in best["files_deleted"]
    assert "The files of this trial were deleted" in "\n".join(best_lines("loss", best))


def test_a_propose_that_is_killed_while_it_deletes_is_called_again(tmp_path: Path) -> None:
    """By its own process, as Snakemake does it."""
    run = Deleting(tmp_path, keep="all", budget=Budget(40, 20))
    Simulated.propose(run)
    for number in range(20):
        run.end(number)
        for k in range(50):
            (run.model(number).parent / f"part{k}").write_text("x")
    run.use(keep="best")
    out = tmp_path / "out.json"
    options = ["--root", run.folder.root, "--plan", run.plan, "--batch", "1", "--out", str(out)]
    slow = (
        "import os, sys, time\nfrom hpo_workflow.cli import propose\nunlink = os.unlink\n"
        "def slowly(*a, **k):\n    'dir_fd' in k and time.sleep(0.002)\n    unlink(*a, **k)\n"
        "os.unlink = slowly\nsys.exit(propose.run(sys.argv[1:]))"
    )
    process = subprocess.Popen([sys.executable, "-P", "-c", slow, *options], stderr=subprocess.PIPE)
    while len(run.models()) == 20 and process.poll() is None:
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert 1 < len(run.models()) < 20
    (kept,) = {incumbent(run)}
    subprocess.run([sys.executable, "-P", "-m", "hpo_workflow", "propose", *options], check=True, capture_output=True)
    assert run.models() == {kept}
    left = {number for number in range(20) if (run.model(number).parent / "part49").exists()}
    assert left == {kept}
    assert len(StudyFolder(run.folder.root).batches()) == 2
