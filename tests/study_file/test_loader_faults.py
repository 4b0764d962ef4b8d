"""Bad study files, each with the whole message that a person gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.study_file import load_study

CORPUS = Path(__file__).parent / "corpus" / "bad"
FILES = sorted(CORPUS.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_bad_file_gets_its_whole_message(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update_golden: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    study = tmp_path / "study.yaml"
    study.write_bytes(file.read_bytes())
    with pytest.raises(ConfigError) as raised:
        load_study("study.yaml")
    message = f"{raised.value}\n"
    expected = file.with_suffix(".txt")
    if update_golden:
        expected.write_text(message)
    assert message == expected.read_text(), "rewrite with --update-golden and read the difference"


def test_every_message_has_its_file_and_every_file_its_message() -> None:
    assert len(FILES) >= 60
    assert {file.stem for file in FILES} == {file.stem for file in CORPUS.glob("*.txt")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_message_names_the_file_and_ends_its_sentences(file: Path) -> None:
    lines = file.with_suffix(".txt").read_text().splitlines()
    faults = [line for line in lines if not line.startswith("  ")]
    for line in faults:
        assert line.startswith("study.yaml")
        assert line.endswith((".", "?"))
