"""Results are shared between studies and users whole or not at all, and nothing that happens to them breaks a study."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.metrics import Extraction
from hpo_workflow.store.cache import DamagedEntry, ResultCache
from hpo_workflow.store.paths import StudyPaths

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "abcdef012345"
BATCH = {"batch": 2, "identity": "i"}


def result(**changes: Any) -> dict[str, Any]:
    values = {
        "number": 3,
        "digest": DIGEST,
        "end": {"kind": "done", "reason": None, "detail": ""},
        "exit_code": 0,
        "seconds": 12.5,
        "max_rss_mb": 100.0,
        "gpus": 1,
        "host": "node1",
        "started": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:00:12Z",
        "log": "trials/000/3/log",
        "log_bytes": 9,
        "log_dropped": 0,
        "metrics": {"digest": "m", "points": {"loss": [[1, 0.7], [2, 0.5]]}},
    }
    return {**values, **changes}


def trial(number: int = 0) -> dict[str, Any]:
    return {"number": number, "config": number, "digest": DIGEST, "params": {"x": 1}, "fidelity": None}


def study(root: Path, text: str = "loss=0.5\n", metrics: str | None = '{"loss": 0.5}\n') -> StudyPaths:
    """A folder in which trial 3 has run."""
    paths = StudyPaths(str(root))
    Path(paths.trial_dir(3)).mkdir(parents=True)
    Path(paths.log(3, 1)).write_text(text)
    if metrics is not None:
        Path(paths.metrics_file(3)).write_text(metrics)
    return paths


@pytest.fixture
def filled(tmp_path: Path) -> ResultCache:
    paths = study(tmp_path / "a")
    cache = ResultCache(str(tmp_path / "cache"))
    assert cache.keep(paths, result())
    assert not cache.keep(paths, result())  # once is enough
    return cache


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_result_is_placed_with_its_log_its_curve_and_the_rules_output(filled: ResultCache, tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path / "b"))
    assert filled.place(paths, trial(), BATCH)
    record = json.loads(Path(paths.result_record(0)).read_text())
    assert (record["number"], record["batch"], record["seconds"], record["log"]) == (0, 2, 12.5, "trials/000/0/log")
    assert record["cached"] == {"folder": str(tmp_path / "a"), "trial": 3}
    assert Extraction.from_json(record["metrics"]).points["loss"] == [(1.0, 0.7), (2.0, 0.5)]
    assert Path(paths.log(0, 1)).read_text() == "loss=0.5\n"
    assert Path(paths.metrics_file(0)).read_text() == '{"loss": 0.5}\n'
    assert Path(paths.done(0, 2)).exists()
    assert not filled.place(paths, trial(), BATCH)  # it has its result


def test_what_did_not_succeed_is_not_shared(tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path))
    cache = ResultCache(str(tmp_path / "cache"))
    for changes in (
        {"end": {"kind": "failed", "reason": "exit_code", "detail": ""}},
        {"end": {"kind": "cancelled", "reason": "target", "detail": ""}},
        {"end": {"kind": "done", "reason": "target", "detail": ""}},  # stopped half-way
        {"cached": {"folder": "f", "trial": 1}},
    ):
        assert not cache.keep(paths, result(**changes))
    assert not (tmp_path / "cache").exists()


# ---- damage ------------------------------------------------------------------------------------------------
def damage(entry: Path, how: str) -> None:
    record = entry / "result.json"
    values = json.loads(record.read_text())
    if how == "torn":
        record.write_text(record.read_text()[:50])
    elif how == "not a record":
        record.write_text("[1, 2]")
    elif how == "not a number":
        record.write_text(record.read_text().replace("12.5", "NaN"))
    elif how == "another value":
        values["metrics"]["points"]["loss"][1][1] = 0.1
        record.write_text(json.dumps(values))
    elif how == "another entry":
        record.write_text(record.read_text().replace(DIGEST, "abcdef999999"))
    elif how == "keys missing":
        record.write_text(json.dumps({key: value for key, value in values.items() if key != "seconds"}))
    elif how == "no record":
        record.unlink()
    elif how == "no log":
        (entry / "log").unlink()
    elif how == "no metrics":
        (entry / "metrics.jsonl").unlink()
    elif how == "half a log":
        (entry / "log").write_text("loss")
    elif how == "another log":
        (entry / "log").write_text("loss=0.6\n")
    elif how == "a file":
        shutil.rmtree(entry)
        entry.write_text("x")


WHY = {
    "torn": "its result.json is garbled",
    "not a record": "its result.json is garbled",
    "not a number": "its result.json is garbled",
    "another value": "its result.json is garbled",
    "another entry": "its result.json is garbled",
    "keys missing": "its result.json is garbled",
    "no record": "it has no result.json",
    "no log": "its log is not there",
    "no metrics": "its metrics.jsonl is not there",
    "half a log": "its log has 4 bytes instead of 9",
    "another log": "its log is garbled",
    "a file": "it is not a folder",
}


@pytest.mark.parametrize("how", WHY)
def test_a_damaged_entry_is_not_taken_and_says_why(filled: ResultCache, tmp_path: Path, how: str) -> None:
    entry = Path(filled.entry(DIGEST))
    damage(entry, how)
    paths = StudyPaths(str(tmp_path / "b"))
    with pytest.raises(DamagedEntry) as raised:
        filled.place(paths, trial(), BATCH)
    assert str(raised.value) == f"{entry}: {WHY[how]}"
    assert files(tmp_path / "b") == [], "what was copied would be taken for the trial's own"


@pytest.mark.parametrize("how", [how for how in WHY if how != "another log"])
def test_the_next_result_takes_the_place_of_a_damaged_entry(filled: ResultCache, tmp_path: Path, how: str) -> None:
    damage(Path(filled.entry(DIGEST)), how)
    assert filled.keep(study(tmp_path / "c"), result())
    assert filled.place(StudyPaths(str(tmp_path / "b")), trial(), BATCH)
    assert len(files(tmp_path / "cache")) == 3, "nothing is left lying about"


@pytest.mark.parametrize("part", ["all", "the shelf", "the entry"])
def test_what_was_deleted_counts_as_never_there_and_is_kept_again(
    filled: ResultCache, tmp_path: Path, part: str
) -> None:
    entry = Path(filled.entry(DIGEST))
    shutil.rmtree({"all": entry.parent.parent, "the shelf": entry.parent, "the entry": entry}[part])
    assert not filled.place(StudyPaths(str(tmp_path / "b")), trial(), BATCH)
    assert filled.keep(study(tmp_path / "c"), result())
    assert filled.place(StudyPaths(str(tmp_path / "b")), trial(), BATCH)


def test_a_trial_whose_result_cannot_be_written_keeps_nothing_of_the_cache(filled: ResultCache, tmp_path: Path) -> None:
    paths = StudyPaths(str(tmp_path / "b"))
    Path(paths.result_record(0)).parent.parent.mkdir(parents=True)
    Path(paths.result_record(0)).parent.write_text("a file where a folder should be")
    with pytest.raises(OSError):
        filled.place(paths, trial(), BATCH)
    assert not Path(paths.log(0, 1)).exists()
    assert not Path(paths.metrics_file(0)).exists()


# ---- many at once ------------------------------------------------------------------------------------------
N_ENTRIES = 12


def _hammer(folder: str, name: str, seconds: float, wins: Any) -> None:
    """Keep entries that only this process could have made, and take them; delete some of them now and then."""
    cache = ResultCache(f"{folder}/cache")
    paths = study(Path(folder) / name, f"from {name}\n" * 200, f'{{"who": "{name}"}}\n')
    until, turn, won = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        turn += 1
        digest = f"{turn % N_ENTRIES:012x}"
        won += cache.keep(paths, result(digest=digest, host=name))
        taken = StudyPaths(f"{folder}/{name}/taken{turn}")
        try:
            placed = cache.place(taken, {**trial(), "digest": digest}, BATCH)
        except (DamagedEntry, FileNotFoundError):  # deleted while it was copied: such a trial is run
            placed = False
        if placed:
            host = json.loads(Path(taken.result_record(0)).read_text())["host"]
            assert Path(taken.log(0, 1)).read_text() == f"from {host}\n" * 200
            assert Path(taken.metrics_file(0)).read_text() == f'{{"who": "{host}"}}\n'
        if turn % 7 == 0 and name == "w0":
            gone = Path(cache.entry(digest))
            try:
                gone.rename(gone.with_name(f".deleted.{turn}"))
            except FileNotFoundError:
                pass
    wins.put(won)


def test_studies_that_write_the_same_entries_at_once_keep_one_whole_result_of_each(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    wins = context.Queue()
    workers = [context.Process(target=_hammer, args=(str(tmp_path), f"w{i}", 2.5, wins)) for i in range(5)]
    for worker in workers:
        worker.start()
    won = [wins.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 5
    cache = tmp_path / "cache"
    entries = [path for path in cache.glob("*/*") if not path.name.startswith(".")]
    deleted = list(cache.glob("*/.deleted.*"))
    assert sum(won) == len(entries) + len(deleted), "each entry that ever stood there was kept by exactly one"
    assert not list(cache.glob("*/.*.tmp*")), "nothing is left of those who came second"


# ---- several users -----------------------------------------------------------------------------------------
GROUP = 54321

AS_USER = """
import os, sys
sys.path.insert(0, {root!r})
from tests.store.test_cache import *
user, umask, home, cache, digest = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]
os.umask(umask)
os.setgroups([{group}])
os.setgid(user)
os.setuid(user)
try:
    print(ResultCache(cache).keep(study(Path(home)), result(digest=digest)))
    print(ResultCache(cache).place(StudyPaths(home + "/b"), {{**trial(), "digest": digest}}, BATCH))
except OSError as error:
    print(error.strerror)
"""


def as_user(user: int, umask: int, home: Path, cache: Path, digest: str) -> list[str]:
    """Keep and take an entry as a user who is in the shared group but has a group of their own."""
    home.mkdir()
    os.chown(home, user, user)
    call = [sys.executable, "-c", AS_USER.format(root=str(ROOT), group=GROUP), str(user), str(umask)]
    done = subprocess.run([*call, str(home / "study"), str(cache), digest], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder that other users can reach; pytest's own are closed to them."""
    folder = Path("/tmp") / f"hpo-cache-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.need("root")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_users_of_one_group_share_a_folder_whatever_their_umask_is(world: Path, umask: int) -> None:
    cache = world / "cache"
    cache.mkdir()
    os.chown(cache, 0, GROUP)
    os.chmod(cache, 0o2770)
    assert as_user(20001, umask, world / "one", cache, "aa0000000001") == ["True", "True"]
    assert as_user(20002, umask, world / "two", cache, "aa0000000001") == ["False", "True"]  # takes what one has kept
    assert as_user(20002, umask, world / "three", cache, "aa0000000002") == ["True", "True"]  # and shares one's shelf
    entry = cache / "aa" / "aa0000000001"
    for path, mode in ((entry.parent, 0o2770), (entry, 0o2770), (entry / "log", 0o640), (entry / "result.json", 0o640)):
        found = path.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (mode, GROUP), path


@pytest.mark.need("root")
def test_a_folder_that_belongs_to_others_is_read_and_not_written(world: Path) -> None:
    cache = world / "cache"
    cache.mkdir(mode=0o755)
    os.chown(cache, 20001, 20001)
    assert as_user(20001, 0o022, world / "one", cache, "aa0000000001") == ["True", "True"]
    assert as_user(20002, 0o022, world / "two", cache, "aa0000000001") == ["False", "True"]
    assert as_user(20002, 0o022, world / "three", cache, "bb0000000001") == ["Permission", "denied"]
    os.chmod(cache / "aa" / "aa0000000001", 0o700)
    assert as_user(20002, 0o022, world / "four", cache, "aa0000000001") == ["Permission", "denied"]
