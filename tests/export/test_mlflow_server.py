"""A database of MLflow is there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hpo_workflow.export.mlflow_server import make_whole, reason_of, sqlite_file


def test_the_file_of_a_database_is_known_by_its_address() -> None:
    addresses = (
        "sqlite:///runs.db",
        "sqlite:////data/a%20b.db",
        "sqlite://",
        "http://h/x",
        "postgresql://db/x",
        "mlruns",
    )
    assert [sqlite_file(each) for each in addresses] == ["runs.db", "/data/a b.db", None, None, None, None]


def test_a_database_appears_when_it_is_whole_and_nobody_elses_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"

    def cut_off(new: str) -> None:
        Path(new).write_text("half")
        assert not path.exists()
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        make_whole(str(path), cut_off)
    assert not os.listdir(tmp_path)

    def slow(new: str) -> None:
        Path(new).write_text("mine")
        path.write_text("of who was faster")

    make_whole(str(path), slow)
    assert path.read_text() == "of who was faster"
    make_whole(str(path), cut_off)
    path.unlink()
    make_whole(str(path), lambda new: Path(new).write_text("whole"))
    assert path.read_text() == "whole" and os.listdir(tmp_path) == ["runs.db"]


def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    make_whole(str(tmp_path / "runs.db"), lambda new: Path(new).write_text("whole"))
    assert (tmp_path / "runs.db").read_text() == "whole"


def test_a_reason_is_short_and_without_secrets() -> None:
    uri = "http://me:hunter2@h:5000"
    long = OSError(f"request to {uri}/api failed: " + "x" * 400)
    assert (
        reason_of(long, uri).startswith("request to http://h:5000/api failed: xxx") and len(reason_of(long, uri)) == 300
    )
    assert reason_of(OSError("Max retries: [Errno 111] Connection refused"), uri) == "Connection refused"
    assert reason_of(OSError(""), uri) == "OSError"
