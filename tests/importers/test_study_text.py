"""Whatever a draft says, the reader of study files reads the same from its text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_workflow.importers import Draft
from hpo_workflow.importers.study_text import study_text, without_password
from hpo_workflow.study_file.yaml_reader import read_yaml

TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
WORDS = st.sampled_from(
    ["no", "y", "1e5", "12:30", "0x1f", "null", "~", "", " a", "a ", "a: b", "a #b", "- a", "{a}", "'", '"']
)
SCALARS = st.one_of(TEXTS, WORDS, st.booleans(), st.integers(-(2**53), 2**53), st.floats(-1e300, 1e300))


def text_of(study: dict[str, Any], **changes: Any) -> str:
    draft = Draft("a test", study)
    for name, value in changes.items():
        getattr(draft, name)(*value)
    return study_text(draft, "source", "schema.json")


def same(read: Any, written: Any) -> bool:
    """Equal, also in kind."""
    if isinstance(written, list):
        return isinstance(read, list) and len(read) == len(written) and all(map(same, read, written))
    return type(read) is type(written) and read == written


@settings(max_examples=60, deadline=None)
@given(choices=st.lists(SCALARS, min_size=1, max_size=5), constant=SCALARS, name=TEXTS, command=st.one_of(TEXTS, WORDS))
def test_what_is_written_is_what_is_read(choices: list[Any], constant: Any, name: str, command: str) -> None:
    study = {"study": name, "command": command, "space": {"x": choices, "y": constant}, "env": {"A": name}}
    value = read_yaml(text_of(study), "study.yaml").value
    assert same(value["space"]["x"], choices) and same(value["space"]["y"], constant)
    assert value["study"] == name and value["env"] == {"A": name}
    assert value["command"].strip("\n") == command.strip("\n") if "\n" in command else value["command"] == command


def test_a_long_command_is_folded_between_its_words() -> None:
    command = "python train.py " + " ".join(f"--option{i}=${{hpo.x{i}}}" for i in range(30))
    text = text_of({"study": "s", "command": command})
    assert max(map(len, text.splitlines())) <= 120
    assert read_yaml(text, "study.yaml").value["command"] == command


@pytest.mark.parametrize("hostile", ["a\nstudy: other", "\x1b[31mred", "‮turned", "x" * 5000, "# \r\nspace: {}"])
def test_a_hostile_text_stays_in_its_comment(hostile: str) -> None:
    changes = {"leave_out": (hostile, hostile, hostile), "need": ("command", hostile, hostile)}
    text = text_of({"study": "s"}, **changes)
    assert read_yaml(text, "study.yaml").value == {"study": "s"}
    assert "\x1b" not in text and "‮" not in text


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me@host/db"),
        ("mysql+pymysql://me@host/db?password=secret&x=1", "mysql+pymysql://host/db"),
        ("sqlite:///old.db?timeout=3", "sqlite:///old.db?timeout=3"),
        ("journal:a:b@c.log", "journal:a:b@c.log"),
    ],
)
def test_a_password_is_not_written(url: str, kept: str) -> None:
    assert without_password(url) == kept
