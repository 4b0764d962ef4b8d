"""Where the log of a trial is, and its end."""

from __future__ import annotations

import os

from hpo_workflow.errors import printable
from hpo_workflow.store.sealed import PIECE_BYTES
from hpo_workflow.store.study_folder import StudyFolder

TAIL_LINES = 15
TAIL_BYTES = 64 * 1024


def log_path(folder: StudyFolder, number: int) -> str:
    """The log of the attempt that ended a trial; while there is none, of its last one. It may be sealed."""
    result = folder.result(number)
    name = None if result is None else result.get("log")
    if name:
        return os.path.join(folder.root, name)
    attempt = 1
    while os.path.exists(folder.paths.log(number, attempt + 1)):
        attempt += 1
    return folder.paths.log(number, attempt)


def log_text(folder: StudyFolder, path: str) -> str:
    """A whole log as it was printed; empty where there is none, or it is damaged. Printed, it may steer a terminal."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        try:
            with folder.sealed.open(path) as sealed:
                data = b"".join(iter(lambda: sealed.read(PIECE_BYTES), b""))
        except (OSError, ValueError):
            return ""
    except OSError:
        return ""
    return data.decode("utf-8", "replace")


def log_tail(folder: StudyFolder, path: str, n_lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log, safe to print; none where there is no log, or it is damaged."""
    data = b""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            data = file.read(TAIL_BYTES)
    except FileNotFoundError:
        try:
            with folder.sealed.open(path) as sealed:
                while piece := sealed.read(PIECE_BYTES):
                    data = (data + piece)[-TAIL_BYTES:]
        except (OSError, ValueError):
            return []
    except OSError:
        return []
    text = data.decode("utf-8", "replace")
    lines = [line.rpartition("\r")[2] for line in text.replace("\r\n", "\n").rstrip().split("\n")]
    return [printable(line)[:500] for line in lines[-n_lines:]] if text.strip() else []
