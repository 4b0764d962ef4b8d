"""Sealing and unpacking: everything is there afterwards as it was before, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.replay import Replay
from hpo_workflow.spec import Budget, Objective
from hpo_workflow.store.atomic import publish, replace, seal
from hpo_workflow.store.cache import ResultCache
from hpo_workflow.store.compaction import Done, Settled, compact, find_bundles, leftovers, unpack
from hpo_workflow.store.inspection import taken
from hpo_workflow.store.sealed import Part, Sealed
from hpo_workflow.store.study_folder import StudyFolder
from tests import records, soak
from tests.simulated import Simulated

TRIALS = 12


@pytest.fixture
def run(tmp_path: Path) -> Simulated:
    """A study of twelve trials that have ended, with copies of its batches."""
    return ended(tmp_path / "s", TRIALS)


def ended(root: Path, trials: int) -> Simulated:
    run = Simulated(root, budget=Budget(trials, 3))
    while len(run.folder.state(run.current).finished) < trials:
        if run.wants_batch():
            run.propose()
        number = min(run.live)
        run.end(number, f"loss={number / 64}\nacc={number / 32}\n")
    for batch in range(len(run.folder.batches())):
        copy = Path(run.folder.paths.batch(batch))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(run.folder.paths.batch_record(batch), copy)
    return run


def settled(run: Simulated, *, all_finished: bool = False) -> Settled:
    emitted = {r["batch"]: [trial["number"] for trial in r["trials"]] for r in run.folder.batches()}
    return Settled.of(emitted, run.folder.state(run.current).pending, all_finished=all_finished)


def sealed(run: Simulated, *, logs: bool = False, all_finished: bool = False) -> Done:
    found = settled(run, all_finished=all_finished)
    texts = found.trials if logs else ()
    return compact(run.folder.paths, find_bundles(run.folder.paths, found, texts_of=texts))


def known(root: Path) -> dict[str, Any]:
    """All that a reader without indexes finds."""
    shutil.rmtree(root / "state" / "index", ignore_errors=True)
    folder = StudyFolder(str(root))
    plan = folder.current_plan()
    assert plan is not None
    state = folder.state(plan)
    return {
        "batches": folder.batches(),
        "values": {n: (trial.state, trial.value) for n, trial in state.finished.items()},
        "results": {n: folder.result(n) for n in state.emissions},
        "replayed": [batch.verdict for batch in Replay(folder)],
        "damaged": dict(folder.damaged),
    }


def contents(root: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of change of every file, but for the indexes."""
    found = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    kept = {name: path for name, path in found.items() if not name.startswith("state/index")}
    return {name: (path.read_bytes(), int(path.stat().st_mtime)) for name, path in kept.items()}


def test_every_reader_finds_in_a_sealed_study_what_was_there_before(run: Simulated) -> None:
    root = Path(run.folder.root)
    before, n_before = known(root), taken(str(root))[0]
    assert len(before["values"]) == TRIALS
    done = sealed(run, logs=True)
    assert not done.left
    assert [Path(part).name for part in done.parts] == ["000.1.zip"] * 5
    assert taken(str(root))[0] < n_before / 3
    assert not [path for path in root.rglob("*.json") if path.parent.name == "000"]
    assert not (root / "trials" / "000").exists()
    assert known(root) == before


def test_sealing_again_does_nothing_and_what_ends_later_gets_a_further_part(run: Simulated) -> None:
    root = Path(run.folder.root)
    sealed(run)
    before = contents(root)
    assert sealed(run) == Done()
    assert contents(root) == before
    run.use(budget=Budget(TRIALS + 4, 2))
    run.folder = StudyFolder(run.folder.root)
    run.run(4)
    kept = known(root)
    done = sealed(run)
    assert {Path(part).name for part in done.parts} == {"000.2.zip"}
    assert known(root) == kept and len(kept["values"]) == TRIALS + 4


def test_nothing_is_sealed_of_a_thousand_in_which_a_trial_waits_unless_it_is_asked_for(run: Simulated) -> None:
    run.use(budget=Budget(TRIALS + 4, 2))
    (waiting, *_) = run.propose()
    before = contents(Path(run.folder.root))
    assert sealed(run, logs=True) == Done()
    assert contents(Path(run.folder.root)) == before
    sealed(run, logs=True, all_finished=True)
    batch = run.live[waiting][0]
    assert Path(run.folder.paths.batch_record(batch)).exists(), "the batch of a trial that waits"
    assert not Path(run.folder.paths.batch_record(0)).exists()
    run.end(waiting)
    assert len(known(Path(run.folder.root))["values"]) == TRIALS + 1


def test_unpacked_everything_is_as_it_was(run: Simulated) -> None:
    root = Path(run.folder.root)
    os.utime(run.folder.paths.result_record(3), (1_700_000_000, 1_700_000_000))
    os.chmod(run.folder.paths.log(3, 1), 0o640)
    before = contents(root)
    sealed(run, logs=True)
    assert len(contents(root)) < len(before) / 3
    done = unpack(run.folder.paths)
    assert not done.left and len(done.parts) == 5
    after = contents(root)
    assert {name: data for name, (data, _) in after.items()} == {name: data for name, (data, _) in before.items()}
    assert all(abs(when - before[name][1]) <= 2 for name, (_, when) in after.items()), "the format counts in 2 s"
    assert os.stat(run.folder.paths.log(3, 1)).st_mode & 0o777 == 0o640
    assert unpack(run.folder.paths) == Done()


def test_who_is_killed_between_two_steps_leaves_what_the_next_call_ends(run: Simulated, tmp_path: Path) -> None:
    """The sealed file is there and originals are too; another one is half written."""
    root = Path(run.folder.root)
    originals = tmp_path / "originals"
    shutil.copytree(root, originals)
    sealed(run, logs=True)
    kept = known(root)
    empty = [Path(run.folder.paths.trial_dir(number)) for number in (3, 8)]
    for folder in empty:
        folder.mkdir(parents=True)
    for number in (2, 5, 7):
        target = Path(run.folder.paths.result_record(number))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(originals / target.relative_to(root), target)
    half = root / "ledger" / "results" / ".000.2.zip.here.1.0.tmp"
    half.write_bytes(b"PK")
    assert known(root) == kept
    done = sealed(run, logs=True)
    assert (done.n_sealed, done.parts, done.left) == (0, [], {})
    assert done.n_removed == 3 + 1 + len(empty) + 1, "the originals, and what is empty with the folder around it"
    assert not half.exists() and not empty[0].parent.exists()
    assert known(root) == kept


def test_what_cannot_be_verified_is_left_alone_and_told(run: Simulated) -> None:
    paths = run.folder.paths
    damaged = Path(paths.result_record(4))
    damaged.write_bytes(damaged.read_bytes()[:-20])
    a_folder = Path(paths.result_record(6))
    a_folder.unlink()
    a_folder.mkdir()
    done = sealed(run, logs=True)
    assert set(done.left) == {str(damaged), str(a_folder)}
    assert "not what was written" in done.left[str(damaged)]
    assert damaged.exists() and a_folder.is_dir()
    assert Sealed(paths).json(paths.result_record(5)) is not None

    other = Path(paths.result_record(5))  # another copy of the trial, hours later
    publish(str(other), {"number": 5, "end": {"kind": "failed"}})
    content = other.read_bytes()
    done = sealed(run)
    assert "not what is sealed in" in done.left[str(other)]
    assert other.read_bytes() == content
    done = unpack(paths)
    assert "both stay" in done.left[str(other)]
    assert other.read_bytes() == content and len(list(Path(paths.root).glob("ledger/results/*.zip"))) == 1


def test_new_metrics_are_read_from_sealed_logs(run: Simulated) -> None:
    sealed(run, logs=True)
    run.use(objective=Objective("acc", "maximize"))
    run.read_again()
    state = run.folder.state(run.current)
    assert {n: trial.value for n, trial in state.finished.items()} == {n: n / 32 for n in range(TRIALS)}


def damage(part: str, name: str) -> None:
    """Change a byte of an entry."""
    data = bytearray(Path(part).read_bytes())
    reader = Part(part)
    entry = reader.entries[name]
    reader.close()
    data[entry.header_offset + 30 + len(name) + entry.compress_size // 2] ^= 4
    Path(part).write_bytes(data)


def test_a_damaged_log_is_named_and_costs_its_trial_alone(run: Simulated) -> None:
    done = sealed(run, logs=True)
    texts = next(part for part in done.parts if "/trials/" in part)
    damage(texts, "3/log")
    run.use(objective=Objective("acc", "maximize"))
    run.read_again()
    finished = run.folder.state(run.current).finished
    assert {n: trial.value for n, trial in finished.items()} == {n: None if n == 3 else n / 32 for n in range(TRIALS)}
    assert f"{texts} is damaged (3/log in it" in finished[3].detail


def test_a_trial_whose_sealed_result_is_damaged_is_run_again_and_no_other_one(
    run: Simulated, capsys: pytest.CaptureFixture[str]
) -> None:
    done = sealed(run)
    part = next(part for part in done.parts if "/results/" in part)
    damage(part, "7.json")
    assert not StudyFolder(run.folder.root).has_result(7) and StudyFolder(run.folder.root).has_result(8)
    run.use(objective=Objective("acc", "maximize"))
    run.folder = StudyFolder(run.folder.root)
    batches = run.folder.batches()
    for number in range(TRIALS):
        batch = next(r["batch"] for r in batches for trial in r["trials"] if trial["number"] == number)
        run.parse(number, batch)
    assert f"lost (storage): its result record was damaged ({part}: 7.json in it" in capsys.readouterr().err
    state = run.folder.state(run.current)
    assert sorted(state.finished) == [n for n in range(TRIALS) if n != 7]
    assert run.propose() == [7]
    run.end(7, "acc=9\n")
    assert run.folder.state(run.current).finished[7].value == 9
    assert StudyFolder(run.folder.root).has_result(7)


def test_a_damaged_batch_is_made_up_for_by_its_copy_and_put_beside(run: Simulated) -> None:
    batches = run.folder.batches()
    done = sealed(run)
    part = next(part for part in done.parts if "/ledger/batches/" in part)
    damage(part, "2.json")
    folder = StudyFolder(run.folder.root)
    shutil.rmtree(Path(folder.root) / "state" / "index")
    assert folder.batches() == batches
    assert folder.damaged == {f"{part} (2.json)": "damaged; its copy is used"}
    assert folder.mend() == [f"{part} (2.json): damaged; its copy is used"]
    assert Path(folder.paths.batch_record(2)).exists()
    again = StudyFolder(run.folder.root)
    assert again.batches() == batches


def test_copies_that_jobs_of_the_next_run_read_are_unpacked(run: Simulated) -> None:
    before = Path(run.folder.paths.batch(1)).read_bytes()
    sealed(run)
    folder = StudyFolder(run.folder.root)
    assert not Path(folder.paths.batch(1)).exists()
    folder.mend([1])
    assert Path(folder.paths.batch(1)).read_bytes() == before
    assert not Path(folder.paths.batch(2)).exists()


def test_attempts_that_are_read_together_keep_their_logs(run: Simulated) -> None:
    paths = run.folder.paths
    record = run.folder.result(3)
    assert record is not None
    os.unlink(paths.result_record(3))
    publish(paths.result_record(3), {**record, "joined": 2})
    Path(paths.log(3, 2)).write_text("loss=1\n")
    mine = Path(paths.trial_dir(4)) / "model.bin"
    mine.write_bytes(b"weights")
    sealed(run, logs=True)
    assert Path(paths.log(3, 1)).exists() and Path(paths.log(3, 2)).exists()
    assert mine.exists() and not Path(paths.log(4, 1)).exists(), "what a program wrote stays"


def test_marks_and_claims_of_trials_that_have_ended_are_found(run: Simulated) -> None:
    paths = run.folder.paths
    publish(paths.claim(3, 1), {"pid": 1, "attempt": 1})
    publish(paths.done(3, 0), {})
    publish(paths.claim(50, 1), {"pid": 1, "attempt": 1})
    assert set(leftovers(paths, settled(run))) == {paths.claim(3, 1), paths.done(3, 0)}


def many(root: Path, trials: int) -> Simulated:
    """A study in which each trial had a batch of its own, as when trials end one by one; records are made here."""
    run = Simulated(root, budget=Budget(trials, 1))
    paths, digest = run.folder.paths, run.current["metrics_digest"]
    for number in range(trials):
        record = records.batch(number, {number: {"x": number / trials}}, run.spec)
        publish(paths.batch_record(number), record)
        replace(paths.batch(number), seal(record))
        points = {"loss": [[step, 1 / (step + number + 1)] for step in range(10)]}
        end = {"kind": "done", "reason": None, "detail": ""}
        known = {"number": number, "batch": number, "end": end, "seconds": 1.0, "log": f"trials/000/{number}/log"}
        publish(paths.result_record(number), {**known, "metrics": {"digest": digest, "points": points}})
        replace(paths.metric(digest, number, number), seal(records.outcome(number, number, 1 / (number + 10))))
        Path(paths.trial_dir(number)).mkdir(parents=True)
        Path(paths.params_file(number)).write_text('{"x": 0.5}')
        Path(paths.log(number, 1)).write_text("".join(f"step={step} loss={1 / (step + 1)}\n" for step in range(10)))
    return run


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_the_files_of_a_study_of_thousands_are_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trials = soak.size(40, 2500)
    run = many(tmp_path / "s", trials)
    root = Path(run.folder.root)
    before = taken(str(root))
    found = settled(run)
    first = {n: (trial.state, trial.value) for n, trial in run.folder.state(run.current).finished.items()}
    sealed(run)
    records_sealed = taken(str(root))
    assert not compact(run.folder.paths, find_bundles(run.folder.paths, found, texts_of=found.trials)).left
    after = taken(str(root))
    begun = time.process_time()
    folder = StudyFolder(str(root))
    again = {n: (trial.state, trial.value) for n, trial in folder.state(run.current).finished.items()}
    spent = time.process_time() - begun
    assert again == first and len(again) == trials
    with capsys.disabled():
        measured = (before, records_sealed, after)
        each = ", ".join(f"{n / trials:.3f} files and {size / trials / 1000:.2f} kB" for n, size in measured)
        print(
            f"\na trial of {trials} takes {each}: before, sealed, with logs; read without indexes in {spent:.2f} CPU s"
        )
    assert after[0] < 40 and records_sealed[0] < 3.1 * trials + 40


def test_a_sealed_record_says_itself_what_it_is(run: Simulated) -> None:
    """Any tool for ZIP files reads them; each record is what `seal` wrote."""
    import zipfile

    before = Path(run.folder.paths.result_record(1)).read_bytes()
    done = sealed(run)
    with zipfile.ZipFile(next(part for part in done.parts if "/results/" in part)) as archive:
        assert archive.testzip() is None
        assert archive.read("1.json") == before == seal(run.folder.result(1) or {}).encode()


def test_what_is_sealed_can_be_shared_with_other_studies(run: Simulated, tmp_path: Path) -> None:
    before = Path(run.folder.paths.log(2, 1)).read_bytes()
    sealed(run, logs=True)
    cache = ResultCache(str(tmp_path / "cache"))
    result = run.folder.result(2)
    assert result is not None and cache.keep(run.folder.paths, result)
    found = cache.find(result["digest"])
    assert found is not None and found["source"]["trial"] == 2
    assert (Path(cache.entry(result["digest"])) / "log").read_bytes() == before


def test_batches_are_computed_again_from_sealed_logs(run: Simulated) -> None:
    """What the objective was is in logs where it is read differently now."""
    run.use(objective=Objective("acc", "maximize"), budget=Budget(TRIALS + 2, 3))
    run.folder = StudyFolder(run.folder.root)
    run.read_again()
    run.run(2)
    sealed(run, logs=True)
    assert {batch.verdict for batch in Replay(StudyFolder(run.folder.root))} == {"agrees"}
