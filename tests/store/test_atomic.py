"""Records are whole or absent, and the first publisher wins."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpo_workflow.store import atomic
from tests.soak import IS_SOAK, size


def test_the_first_publisher_wins_and_the_record_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "1.json")
    assert atomic.publish(path, {"v": 1})
    assert not atomic.publish(path, {"v": 2})
    assert atomic.read_json(path) == {"v": 1}
    assert os.listdir(tmp_path / "a") == ["1.json"]


WRITERS, RECORDS = size(8, 64), size(40, 1000)


def _publish_many(folder: str, who: int) -> tuple[int, int]:
    """Records of one's own, and those that every other writer publishes too: how many of each this one won."""
    own = sum(atomic.publish(f"{folder}/own/{who}/{n}.json", {"who": who, "n": n}) for n in range(RECORDS))
    shared = sum(atomic.publish(f"{folder}/shared/{n}.json", {"who": who, "n": n}) for n in range(RECORDS))
    return own, shared


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_every_record_has_one_publisher_among_many_processes(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(min(WRITERS, 4) if not IS_SOAK else WRITERS) as pool:
        wins = pool.starmap(_publish_many, [(str(tmp_path), who) for who in range(WRITERS)], chunksize=1)
    assert sum(own for own, _ in wins) == WRITERS * RECORDS
    assert sum(shared for _, shared in wins) == RECORDS
    assert len(list(tmp_path.glob("own/*/*.json"))) == WRITERS * RECORDS
    assert sorted(os.listdir(tmp_path / "shared")) == sorted(f"{n}.json" for n in range(RECORDS))
    print(f"{WRITERS} writers, {RECORDS} records each: {WRITERS * RECORDS} published, {RECORDS} shared ones once")


def test_a_publisher_killed_at_any_moment_leaves_a_whole_record_or_none(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    loop = "\n".join(
        [
            "import itertools, sys",
            "from hpo_workflow.store import atomic",
            "print('ready', flush=True)",
            "for n in itertools.count():",
            "    atomic.publish(f'{sys.argv[1]}/{n}.json', {'n': n, 'long': 'x' * 20000})",
        ]
    )
    with subprocess.Popen([sys.executable, "-c", loop, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while not (tmp_path / "20.json").exists():
            pass
        process.kill()
    records = sorted(tmp_path.glob("[0-9]*.json"))
    assert len(records) > 20
    for path in records:
        assert json.loads(path.read_text())["n"] == int(path.stem)


def test_nan_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        atomic.publish(str(tmp_path / "1.json"), {"v": float("nan")})
    assert os.listdir(tmp_path) == []


def test_replace_keeps_the_old_content_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "index"
    atomic.replace(str(path), "old")

    def full(descriptor: int, data: bytes) -> int:  # stands for a full disk, which only root can make here
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        atomic.replace(str(path), "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["index"]


def test_a_missing_file_is_none_and_a_garbled_one_an_error(tmp_path: Path) -> None:
    assert atomic.read_json(str(tmp_path / "none")) is None
    (tmp_path / "torn").write_text('{"a": ')
    with pytest.raises(ValueError):
        atomic.read_json(str(tmp_path / "torn"))


def test_a_temporary_file_is_never_taken_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr(atomic, "_unique", iter([7, 8]))
    (tmp_path / f".r.{os.uname().nodename}.{os.getpid()}.7.tmp").symlink_to(victim)
    atomic.replace(str(tmp_path / "r"), "attack")
    assert victim.read_text() == "precious"
    assert (tmp_path / "r").read_text() == "attack" and not (tmp_path / "r").is_symlink()


def test_what_a_killed_process_of_the_same_number_left_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container every start of the runner may have the same pid on the same host."""
    for number in range(3):
        (tmp_path / f".1.json.{os.uname().nodename}.{os.getpid()}.{number}.tmp").write_text('{"half": ')
    monkeypatch.setattr(atomic, "_unique", itertools.count())
    assert atomic.publish(str(tmp_path / "1.json"), {"v": 1})
    assert atomic.read_json(str(tmp_path / "1.json")) == {"v": 1}
