"""YAML 1.2 as plain values, and bombs that do not go off."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_workflow.errors import ConfigError
from hpo_workflow.study_file.yaml_reader import LARGEST_FILE, read_yaml

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1E5", 1e5),
        ("1.", 1.0),
        (".5", 0.5),
        ("+3", 3),
        ("-0.0", -0.0),
        ("0", 0),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("1_000", "1_000"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("0b11", "0b11"),
        ("1e", "1e"),
        ("'1'", "1"),
        ('"true"', "true"),
        ("${hpo.lr}", "${hpo.lr}"),
    ],
)
def test_a_scalar_is_what_yaml_1_2_says(text: str, value: object) -> None:
    read = read_yaml(f"a: {text}\n", "f").value["a"]
    assert read == value
    assert type(read) is type(value)


def test_keys_are_text_as_written() -> None:
    assert read_yaml("on: 1\n2: a\ntrue: b\n", "f").value == {"on": 1, "2": "a", "true": "b"}


def test_each_value_has_its_place() -> None:
    document = read_yaml("a: 1\nb:\n  - x # note\n  - 'y'\n", "f")
    place = document.places[("b", 0)]
    assert (place.line, place.column, place.style, place.source, place.comment) == (3, 5, "", "x", "# note")
    assert document.places[("b", 1)].style == "'"
    assert document.place(("b", 1, "deeper")).line == 4


def test_an_alias_stands_for_its_anchor() -> None:
    assert read_yaml("x-a: &a [1, 2]\nb: *a\n", "f").value == {"x-a": [1, 2], "b": [1, 2]}


def test_a_byte_order_mark_is_not_content() -> None:
    assert read_yaml(b"\xef\xbb\xbfa: 1\n", "f").value == {"a": 1}


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
)
BOMBS = {
    "billion laughs": LAUGHS,
    "laughs in mappings": "a0: &a0 {x: 1, y: 2}\n"
    + "".join(f"a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}\n" for i in range(1, 40)),
    "deep lists": "[" * 100_000,
    "deep mappings": "{a: " * 50_000,
    "deep blocks": "".join("  " * depth + "a:\n" for depth in range(300)),
    "deep dashes": "- " * 50_000,
    "question marks": "? " * 50_000,
    "many values": "a: [" + "1, " * 70_000 + "1]",
    "many keys": "".join(f"k{number}: 1\n" for number in range(25_000)),
    "a long number": "a: " + "9" * 200_000,
    "a long float": "a: " + "9" * 100_000 + "." + "9" * 100_000,
    "a long exponent": "a: 1e" + "9" * 200_000,
    "a long key": "k" * 200_000 + ": 1",
    "a large file": "a: " + "x" * LARGEST_FILE,
    "a python object": "a: !!python/object/apply:os.system ['touch hit']",
    "many anchors": "".join(f"- &a{number} x\n" for number in range(7_000)),
    "open quotes": "a: '" + "''" * 100_000,
    "alias of itself": "a: &a {b: *a}",
}


def test_no_bomb_goes_off() -> None:
    """Each is a report or a value, in seconds and 200 MB of its own process."""
    program = (
        "import sys, time\n"
        "from hpo_workflow.errors import ConfigError\n"
        "from hpo_workflow.study_file.yaml_reader import read_yaml\n"
        "from tests.study_file.test_yaml_reader import BOMBS\n"
        "for name, text in BOMBS.items():\n"
        "    start = time.process_time()\n"
        "    try:\n"
        "        read_yaml(text, 'f')\n"
        "    except ConfigError as error:\n"
        "        assert len(str(error)) < 1000, name\n"
        "    spent = time.process_time() - start\n"
        "    assert spent < 3.0, (name, spent)\n"
        "status = open('/proc/self/status').read()\n"  # getrusage would start at what the parent has used
        "peak = int(status.split('VmHWM:')[1].split()[0])\n"
        "assert peak < 200_000, peak\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)


PARTS = ["a: ", "- ", "\n", "  ", "[", "]", "{", "}", "'", '"', "|\n", ">-\n", "*a", "&a ", "!t ", "# c", "010"]
PARTS += ["${hpo.x}", "? ", ": ", "%YAML 1.2\n", "---\n", "\t", "@", "\0", "<<: ", ","]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_any_text_is_read_or_reported(parts: list[str]) -> None:
    with contextlib.suppress(ConfigError):
        read_yaml("".join(parts), "f")
