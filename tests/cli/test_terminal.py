from __future__ import annotations

import pytest

from hpo_workflow.cli.terminal import duration, number, one_line, plural, printable, table, value_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe 値", "größe 値"),
        ("a\nb", "a\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202edef", "abc\\u202edef"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("a\rb\x08\x00", "a\\rb\\x08\\x00"),
        ("\u2028", "\\u2028"),
        ("\udcff", "\\udcff"),
    ],
)
def test_what_could_steer_a_terminal_is_made_visible(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()


def test_one_line_is_one_line() -> None:
    assert one_line("a\nb\tc") == "a\\nb    c"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (45.4, "45 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 05 min"),
        (100_000, "1 d 03 h"),
    ],
)
def test_times_read_well(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_values_read_as_in_a_study_file() -> None:
    assert [value_text(value) for value in (True, 1, 1e-5, "x")] == ["true", "1", "1e-05", "x"]
    assert [number(value) for value in (None, 0.123456789, 3, 1e-9)] == ["-", "0.123457", "3", "1e-09"]
    assert [plural(count, "trial") for count in (0, 1, 2)] == ["0 trials", "1 trial", "2 trials"]


def test_columns_line_up_and_numbers_to_the_right() -> None:
    assert table(["a", "name"], [["1", "x"], ["10", "yy\n"], ["-", ""]]) == [
        " a  name",
        " 1  x",
        "10  yy\\n",
        " -",
    ]
