"""Each test of a verb has a folder of its own, and calls verbs as a shell would."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hpo_workflow.__main__ import main


@dataclass(frozen=True)
class Answer:
    """What a verb gave: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Hpo = Callable[..., Answer]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hpo(here: Path, capsys: pytest.CaptureFixture[str]) -> Hpo:
    """Call `hpo ARGUMENTS` in the empty folder."""

    def call(*arguments: str) -> Answer:
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call
