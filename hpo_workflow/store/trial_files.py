"""The files that a trial's program left in the trial's directory, and their end.

Deleting goes through descriptors of directories: no symbolic link is followed, whoever exchanges what meanwhile, and
nothing outside of the directory or on another file system is touched. Before anything is deleted a marker is written,
so that nobody goes on from half a checkpoint; whoever is killed in between leaves work that the next call ends.
Standard library only, Python 3.8 or newer: the runner reads the marker.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time

from hpo_workflow.store.atomic import publish, read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Any

    from hpo_workflow.store.paths import StudyPaths

OWN = re.compile(r"log(\.[0-9]+)?|metrics\.jsonl(\.[0-9]+)?|params\.json|files_deleted\.json")
"""What we write into a trial's directory ourselves, beside rendered templates."""

DEEPEST = 100
"""Levels of folders in a trial's directory. Each costs a descriptor while it is open."""

FULL = (errno.ENOSPC, errno.EDQUOT)

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class OutOfTime(Exception):
    """Deleting took longer than it may; the rest is for another call."""


def are_deleted(paths: StudyPaths, number: int) -> bool:
    """Whether the files of a trial's program were deleted, all or in part: nobody can go on from them."""
    try:
        marker = read_json(paths.files_deleted(number))
    except (IsADirectoryError, ValueError):
        return False  # the program's own; we write it whole
    return isinstance(marker, dict) and marker.get("files_deleted") == number


def forget_deletion(paths: StudyPaths, number: int) -> None:
    """Take the marker away: the trial is run again, and its program writes its files anew."""
    if are_deleted(paths, number):
        os.unlink(paths.files_deleted(number))


def delete_files(
    paths: StudyPaths,
    number: int,
    templates: Collection[str] = (),
    record: Mapping[str, Any] | None = None,
    deadline: float = float("inf"),
) -> dict[str, str]:
    """Delete what the program of a trial left in the trial's directory; logs, parameters and templates stay.

    Args:
        templates: Files that were rendered there, as paths below the directory.
        record: What the marker says beside the number and the time.
        deadline: On the monotonic clock.

    Returns:
        What could not be deleted, as paths below the directory, and why, for people.

    Raises:
        OutOfTime: At the deadline.
        OSError: The disk is too full for the marker; nothing was deleted.
    """
    directory = paths.trial_dir(number)
    try:
        descriptor = os.open(directory, FOLDER)
    except FileNotFoundError:
        return {}
    except OSError as error:
        return {".": "it is a symbolic link" if os.path.islink(directory) else _why(error)}
    try:
        sweep = _Sweep(os.path.realpath(directory), os.fstat(descriptor).st_dev, templates, deadline)
        if not are_deleted(paths, number):
            if not sweep.finds_something(descriptor):
                return {}
            marker = paths.files_deleted(number)
            if not sweep.delete(descriptor, os.path.basename(marker)):  # the program's own
                return sweep.left
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            publish(marker, {"files_deleted": number, "when": when, **(record or {})})
        sweep.empty(descriptor)
        return sweep.left
    except OSError as error:
        if error.errno in FULL:
            raise
        return {".": _why(error)}
    finally:
        os.close(descriptor)


def _why(error: OSError) -> str:
    return error.strerror or str(error)


class _Sweep:
    """One call of `delete_files`. Paths are those below the trial's directory.

    Args:
        directory: The trial's, absolute and without symbolic links.
        device: Its file system.

    Attributes:
        left: What could not be deleted, and why.
    """

    def __init__(self, directory: str, device: int, templates: Collection[str], deadline: float) -> None:
        self.left: dict[str, str] = {}
        self._device = device
        self._templates = {os.path.normpath(name) for name in templates}
        self._deadline = deadline
        self._mounted = mounted_below(directory)

    def _is_ours(self, path: str) -> bool:
        return path in self._templates or OWN.fullmatch(path) is not None

    def finds_something(self, descriptor: int, below: str = "") -> bool:
        """Whether there is anything to delete in an open folder."""
        with os.scandir(descriptor) as entries:
            found = [(below + entry.name, entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for path, name, is_folder in found:
            if not is_folder:
                if not self._is_ours(path):
                    return True
            elif not any(template.startswith(path + os.sep) for template in self._templates):
                return True
            else:
                inner = os.open(name, FOLDER, dir_fd=descriptor)
                try:
                    if self.finds_something(inner, path + os.sep):
                        return True
                finally:
                    os.close(inner)
        return False

    def delete(self, descriptor: int, name: str, below: str = "", depth: int = 1) -> bool:
        """Delete one thing of an open folder, whatever it is; whether it has gone."""
        try:
            os.unlink(name, dir_fd=descriptor)
        except FileNotFoundError:
            pass
        except OSError as error:
            if _is_folder(descriptor, name):
                return self._delete_folder(descriptor, name, below + name, depth)
            self.left[below + name] = _why(error)
            return False
        return True

    def empty(self, descriptor: int, below: str = "", depth: int = 1) -> bool:
        """Delete what is in an open folder; whether nothing is left in it.

        Args:
            below: The folder's path with a slash at its end; empty for the trial's directory.
        """
        with os.scandir(descriptor) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        whole = True
        for name, is_folder in found:
            if time.monotonic() > self._deadline:
                raise OutOfTime
            if not is_folder and self._is_ours(below + name):
                whole = False
            else:
                whole &= self.delete(descriptor, name, below, depth)
        return whole

    def _delete_folder(self, descriptor: int, name: str, path: str, depth: int) -> bool:
        if depth > DEEPEST:
            self.left[path] = f"it lies more than {DEEPEST} folders deep"
            return False
        try:
            inner = os.open(name, FOLDER, dir_fd=descriptor)
        except OSError as error:
            self.left[path] = _why(error)
            return False
        try:
            if os.fstat(inner).st_dev != self._device or path in self._mounted:
                self.left[path] = "another file system is mounted there"
                return False
            if not self.empty(inner, path + os.sep, depth + 1):
                return False
        except OSError as error:
            self.left[path] = _why(error)
            return False
        finally:
            os.close(inner)
        try:
            os.rmdir(name, dir_fd=descriptor)
        except FileNotFoundError:
            pass
        except OSError as error:
            self.left[path] = _why(error)
            return False
        return True


def _is_folder(descriptor: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(name, dir_fd=descriptor).st_mode)
    except OSError:
        return False


def mounted_below(directory: str) -> set[str]:
    """Paths below a directory at which something is mounted, as Linux tells it; elsewhere nothing is known.

    A folder that is mounted a second time on the same file system (`mount --bind`) is not told by its device.

    Args:
        directory: Absolute and without symbolic links.
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            fields = [line.split(" ") for line in file]
    except OSError:
        return set()
    places = (re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line[4]) for line in fields if len(line) > 4)
    start = directory.rstrip(os.sep) + os.sep
    return {place[len(start) :] for place in places if place.startswith(start)}
