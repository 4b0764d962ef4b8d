"""Deleting what a trial's program left: all of it, nothing of ours, nothing elsewhere."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.store import trial_files
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.trial_files import OutOfTime, are_deleted, delete_files, forget_deletion, mounted_below

OURS = ("log", "log.2", "log.13", "params.json", "metrics.jsonl", "metrics.jsonl.1")


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    """A study with trial 12, which has all files of ours."""
    found = StudyPaths(str(tmp_path / "s"))
    place = Path(found.trial_dir(12))
    place.mkdir(parents=True)
    for name in OURS:
        (place / name).write_text(name)
    return found


@pytest.fixture
def place(paths: StudyPaths) -> Path:
    return Path(paths.trial_dir(12))


def names(place: Path) -> set[str]:
    return {path.relative_to(place).as_posix() for path in place.rglob("*")}


def put(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_what_the_program_wrote_goes_and_what_we_wrote_stays(paths: StudyPaths, place: Path) -> None:
    put(place / "model.pt")
    put(place / "epochs/3/model.pt")
    (place / "empty/inner").mkdir(parents=True)
    put(place / ".hidden")
    assert not are_deleted(paths, 12)
    assert delete_files(paths, 12, (), {"keep": "best"}) == {}
    assert names(place) == {*OURS, "files_deleted.json"}
    assert are_deleted(paths, 12)
    assert '"files_deleted":12' in (place / "files_deleted.json").read_text()


def test_rendered_templates_stay_in_their_folders(paths: StudyPaths, place: Path) -> None:
    put(place / "in.nml")
    put(place / "conf/a/run.ini")
    assert delete_files(paths, 12, ["in.nml", "conf/a/run.ini"]) == {}
    assert not are_deleted(paths, 12)
    put(place / "conf/a/cache/x")
    put(place / "conf/b")
    assert delete_files(paths, 12, ["in.nml", "conf/a/run.ini"]) == {}
    assert names(place) == {*OURS, "files_deleted.json", "in.nml", "conf", "conf/a", "conf/a/run.ini"}


def test_a_directory_without_files_of_the_program_gets_no_marker(paths: StudyPaths, place: Path) -> None:
    assert delete_files(paths, 12) == {}
    assert names(place) == set(OURS)
    assert delete_files(paths, 13) == {}
    assert not os.path.exists(paths.trial_dir(13))


def test_names_like_ours_that_are_not_ours_go(paths: StudyPaths, place: Path) -> None:
    for name in (
        "log.",
        "log.2\n",
        "log.old",
        "xlog",
        "params.json.bak",
        "metrics.jsonl.",
        "sub/log",
        "sub/params.json",
    ):
        put(place / name)
    put(place / "log.9/inner")
    put(place / "log.٣")  # another alphabet's digit
    assert delete_files(paths, 12) == {}
    assert names(place) == {*OURS, "files_deleted.json"}


@pytest.mark.parametrize("name", ["a\nb", "-rf", " ", "*", "\u202e", "x" * 255])
def test_hostile_names_are_only_names(paths: StudyPaths, place: Path, name: str) -> None:
    put(place / name)
    put(place / f"{name[:200]}d" / name)
    assert delete_files(paths, 12) == {}
    assert names(place) == {*OURS, "files_deleted.json"}


def test_a_name_that_is_no_text_goes_too(paths: StudyPaths, place: Path) -> None:
    with open(os.path.join(os.fsencode(place), b"\xff\xfe"), "wb"):
        pass
    assert delete_files(paths, 12) == {}
    assert names(place) == {*OURS, "files_deleted.json"}


def test_symbolic_links_are_removed_and_never_followed(paths: StudyPaths, place: Path, tmp_path: Path) -> None:
    outside = put(tmp_path / "outside/precious")
    (place / "folder").symlink_to(outside.parent)
    (place / "file").symlink_to(outside)
    (place / "nowhere").symlink_to(tmp_path / "nothing")
    (place / "sub").mkdir()
    (place / "sub/up").symlink_to("..")
    assert delete_files(paths, 12) == {}
    assert names(place) == {*OURS, "files_deleted.json"}
    assert outside.read_text() == "x"


def test_a_directory_that_is_a_link_itself_is_left_alone(paths: StudyPaths, tmp_path: Path) -> None:
    elsewhere = put(tmp_path / "elsewhere/model.pt")
    Path(paths.trial_dir(13)).symlink_to(elsewhere.parent)
    assert delete_files(paths, 13) == {".": "it is a symbolic link"}
    assert names(elsewhere.parent) == {"model.pt"}


def test_another_name_of_the_same_file_keeps_it(paths: StudyPaths, place: Path, tmp_path: Path) -> None:
    kept = put(tmp_path / "kept")
    os.link(kept, place / "model.pt")
    os.link(place / "log", place / "copy")
    assert delete_files(paths, 12) == {}
    assert kept.read_text() == "x" and (place / "log").read_text() == "log"


def test_pipes_go_and_nobody_waits_for_them(paths: StudyPaths, place: Path) -> None:
    os.mkfifo(place / "pipe")
    assert delete_files(paths, 12) == {}
    assert names(place) == {*OURS, "files_deleted.json"}


def test_a_read_only_file_goes(paths: StudyPaths, place: Path) -> None:
    put(place / "model.pt").chmod(0o400)
    assert delete_files(paths, 12) == {}


def test_what_cannot_be_removed_is_told_and_the_rest_goes(
    paths: StudyPaths, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "sub/open", "sub/other", "z"):
        put(place / name)
    unlink = os.unlink

    def busy(name: Any, **options: Any) -> None:
        if name == "open":
            raise OSError(errno.EBUSY, "Device or resource busy")
        unlink(name, **options)

    monkeypatch.setattr(os, "unlink", busy)
    assert delete_files(paths, 12) == {"sub/open": "Device or resource busy"}
    assert names(place) == {*OURS, "files_deleted.json", "sub", "sub/open"}
    monkeypatch.undo()
    assert delete_files(paths, 12) == {}
    assert names(place) == {*OURS, "files_deleted.json"}


def test_a_mounted_folder_is_left_alone(paths: StudyPaths, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(place / "data/precious")
    put(place / "model.pt")
    monkeypatch.setattr(trial_files, "mounted_below", lambda directory: {"data"})
    assert delete_files(paths, 12) == {"data": "another file system is mounted there"}
    assert names(place) == {*OURS, "files_deleted.json", "data", "data/precious"}


def test_another_file_system_is_told_by_its_device(
    paths: StudyPaths, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place / "data/precious")
    monkeypatch.setattr(trial_files, "mounted_below", lambda directory: set())
    sweep = trial_files._Sweep(str(place), device=-1, templates=(), deadline=float("inf"))
    descriptor = os.open(place, trial_files.FOLDER)
    try:
        sweep.empty(descriptor)
    finally:
        os.close(descriptor)
    assert sweep.left == {"data": "another file system is mounted there"}
    assert (place / "data/precious").exists()


def test_mount_points_are_read_with_their_spaces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table = put(tmp_path / "mountinfo", "36 35 98:0 /a /s/trials/000/1/my\\040data rw - ext3 /dev/x rw\n1 2 3\n")
    real = open
    monkeypatch.setattr("builtins.open", lambda path, **how: real(table if "mountinfo" in str(path) else path, **how))
    assert mounted_below("/s/trials/000/1") == {"my data"}
    assert mounted_below("/s/trials/000/12") == set()


def test_folders_can_lie_very_deep(paths: StudyPaths, place: Path) -> None:
    put(place.joinpath(*["d"] * (trial_files.DEEPEST - 1), "x"))
    assert delete_files(paths, 12) == {}
    deepest = place.joinpath(*["d"] * (trial_files.DEEPEST + 5))
    put(deepest / "x")
    (left,) = delete_files(paths, 12).values()
    assert "folders deep" in left
    assert (deepest / "x").exists()


def test_whoever_is_killed_in_between_leaves_work_that_the_next_call_ends(
    paths: StudyPaths, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abcdef":
        put(place / name)
    unlink, killed = os.unlink, []

    def kill(name: Any, **options: Any) -> None:
        if str(name) in "abcdef":
            killed.append(name)
            if len(killed) == 3:
                raise KeyboardInterrupt
        unlink(name, **options)

    monkeypatch.setattr(os, "unlink", kill)
    with pytest.raises(KeyboardInterrupt):
        delete_files(paths, 12)
    monkeypatch.undo()
    assert are_deleted(paths, 12)
    assert len(names(place) & set("abcdef")) == 4
    assert delete_files(paths, 12) == {}
    assert names(place) == {*OURS, "files_deleted.json"}


def test_the_marker_is_there_before_anything_is_deleted(
    paths: StudyPaths, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place / "model.pt")

    def full(path: str, value: Any) -> bool:
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(trial_files, "publish", full)
    with pytest.raises(OSError, match="No space left"):
        delete_files(paths, 12)
    assert (place / "model.pt").exists()


def test_nothing_is_deleted_after_the_deadline(paths: StudyPaths, place: Path) -> None:
    put(place / "model.pt")
    with pytest.raises(OutOfTime):
        delete_files(paths, 12, deadline=0.0)
    assert (place / "model.pt").exists() and are_deleted(paths, 12)


@pytest.mark.parametrize("kind", ["text", "json", "another trial's", "folder", "link"])
def test_a_file_of_the_program_is_no_marker(paths: StudyPaths, place: Path, kind: str, tmp_path: Path) -> None:
    marker = place / "files_deleted.json"
    if kind == "folder":
        put(marker / "inner")
    elif kind == "link":
        marker.symlink_to(tmp_path / "nothing")
    else:
        put(marker, {"text": "deleted", "json": "[1]", "another trial's": '{"files_deleted": 3}'}[kind])
    assert not are_deleted(paths, 12)
    forget_deletion(paths, 12)
    assert os.path.lexists(marker)
    put(place / "model.pt")
    assert delete_files(paths, 12) == {}
    assert are_deleted(paths, 12) and names(place) == {*OURS, "files_deleted.json"}


def test_a_trial_that_runs_again_forgets_what_was_deleted(paths: StudyPaths, place: Path) -> None:
    put(place / "model.pt")
    delete_files(paths, 12)
    forget_deletion(paths, 12)
    assert not are_deleted(paths, 12) and names(place) == set(OURS)
    forget_deletion(paths, 12)
