"""What stands in the environment of a run reaches the programs of its trials, and no file that is left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.workflow.running import Place

PASSED = "s3cr3t-that-is-passed-on"
AROUND = "s3cr3t-that-is-only-there"
HIDDEN = "s3cr3t-of-a-name-that-says-nothing"


def test_secrets_of_the_environment_are_in_no_file_of_a_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_TEST_API_KEY", PASSED)
    monkeypatch.setenv("HPO_TEST_TOKEN", AROUND)
    monkeypatch.setenv("HPO_TEST_PLAIN", HIDDEN)
    # The program sees it, says how long it is, and fails once, so that what is told of failures is there too.
    command = (
        'echo length=${#HPO_TEST_API_KEY}; [ -n "$HPO_TEST_TOKEN" ]; [ ${trial.number} != 1 ]; '
        "echo loss=${hpo.x}; echo {os.environ[HPO_TEST_PLAIN]} >/dev/null"
    )
    place = Place(
        tmp_path, command=command, pass_env=["HPO_TEST_API_KEY", "HPO_TEST_ABSENT"], budget={"trials": 4, "parallel": 2}
    )
    said = place.snakemake("--printshellcmds", "--verbose")
    said += place.snakemake("--report", "snakemake.html")
    assert f"length={len(PASSED)}" in (place.root / "trials/000/0/log").read_text()
    assert place.best["n_trials"] == {"complete": 3, "failed": 1}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 30 and any(".snakemake" in path.parts for path in files)
    for secret in (PASSED, AROUND, HIDDEN):
        assert secret not in said
        for path in files:
            assert secret.encode() not in path.read_bytes(), path
            assert secret not in os.fspath(path)
