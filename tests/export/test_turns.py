"""Exports of one study wait for each other, and nobody waits for one that has died."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from hpo_workflow.errors import ExportError
from hpo_workflow.export.turns import Turns


def test_a_turn_says_whether_somebody_else_had_one_since(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    one, other = Turns(path), Turns(path)
    with one.take() as nobody_else:
        assert nobody_else is False
    with one.take() as nobody_else:
        assert nobody_else is True
    with other.take():
        pass
    with one.take() as nobody_else:
        assert nobody_else is False


def test_who_waits_too_long_is_told_so_and_the_end_of_a_turn_frees_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    told: list[str] = []
    with Turns(path).take():
        with pytest.raises(ExportError, match="another export"), Turns(path).take(0.3, lambda: told.append("waits")):
            pass
        child = os.fork()
        if not child:  # one that dies in its turn
            try:
                with Turns(path).take(0.0):
                    pass
            except ExportError:
                os._exit(7)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    with Turns(path).take(0.0):
        pass
    assert told == []


def test_where_there_are_no_locks_or_the_folder_is_somebody_elses_there_is_no_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Turns(str(tmp_path / "lock")).take() as nobody_else:
        assert nobody_else is False

    def read_only(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", read_only)
    with Turns(str(tmp_path / "lock")).take() as nobody_else:
        assert nobody_else is False
