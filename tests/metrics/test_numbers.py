"""What is a number, what is not finite, and what is refused with which words."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.metrics import printable
from hpo_workflow.metrics.numbers import number_of
from tests.metrics.reading import BEST, COMMA, LOSS, read, values, verdict


@pytest.mark.parametrize(
    "line",
    [
        "loss=nan",
        "loss=NaN",
        "loss=inf",
        "loss=-inf",
        "loss=Infinity",
        "loss=1e400",
        "loss=-nan(ind)",
        "loss=1.#QNAN",
        "loss=-1.#INF",
        "loss=nan,",
        "loss='nan'",
    ],
)
def test_what_is_not_finite_is_recognised_and_fails_the_trial(line: str) -> None:
    extraction = read(line)
    assert len(values(extraction)) == 1
    assert not math.isfinite(values(extraction)[0])
    assert verdict(extraction)["state"] == "failed"
    assert verdict(extraction)["reason"] == "nonfinite"
    assert extraction.last() == {}


AMBIGUOUS = [
    line for line in (Path(__file__).parent / "ambiguous_numbers.txt").read_text(encoding="utf-8").split("\n") if line
]
"""What a reader could take for one number and another for another one, or for none."""

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "equals": ("loss={}", {}),
    "after": ("the loss: {}", {"define": {"loss": {"after": "loss:"}}}),
    "regex": ("the loss is {} now", {"define": {"loss": {"regex": r"loss is (.*) now$"}}}),
    "json": ("{}", {"format": "json"}),
}


@pytest.mark.parametrize("way", WAYS)
def test_no_ambiguous_number_is_read(way: str) -> None:
    """And the trial fails with the line, also where a number was printed before."""
    template, settings = WAYS[way]
    assert len(AMBIGUOUS) >= 200
    for token in AMBIGUOUS:
        shown = json.dumps({"loss": token}) if way == "json" else template.format(token)
        alone = read(f"start\n{shown}\n", **settings)
        assert "loss" not in alone.points, token
        assert verdict(alone)["state"] == "failed", token
        if not any(character.isdigit() for character in token):
            continue  # `loss=high`: a word, where a number may yet come
        assert (alone.problems[0]["line"], alone.problems[0]["metric"]) == (2, "loss"), token
        before = json.dumps({"loss": 0.4}) if way == "json" else template.format("0.4")
        for objective in (LOSS, BEST):
            extraction = read(f"{before}\n{shown}\n", objective, **settings)
            assert values(extraction) == [0.4], token
            judged = verdict(extraction, objective)
            assert judged["reason"] == "metric_unreadable", token
            assert judged["detail"].startswith("`loss` cannot be read: line 2: `"), token


def test_the_reason_says_what_to_print_instead() -> None:
    said = {token: read(f"loss={token}").problems[0]["reason"] for token in ("1,000", "tensor(0.5)", "0x1", "1D-3")}
    assert said == {
        "1,000": COMMA,
        "tensor(0.5)": "an object around the number; print the bare number (`.item()`)",
        "0x1": "only decimal numbers are read",
        "1D-3": "a Fortran `D` exponent; print it with `E` (ES format)",
    }


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("loss=1 200 steps", 1.0),
        ("loss=3 100%|###|", 3.0),
        ("loss=3 100/938 [00:01", 3.0),
        ("loss=0.5 100", 0.5),
        ("loss=1000 200", 1000.0),
        ("loss=0 200", 0.0),
        ("loss=1e5 100", 1e5),
        ("loss=1  200", 1.0),
        ("loss=1\t200", 1.0),
        ("loss=1 20", 1.0),
        ("loss=1 2000", 1.0),
        ("loss=5 100 20", 5.0),
        ("loss=1 200=5", 1.0),
        ("loss=1 000 acc=0.5", None),
        ("loss=1 000 | acc: 0.5", None),
        ("(loss=12 345)", None),
        ("loss = 1 000 000 ms", None),
    ],
)
def test_a_blank_is_a_separator_of_thousands_only_where_nothing_else_is_counted(line: str, value: float | None) -> None:
    extraction = read(line)
    assert values(extraction) == ([] if value is None else [value])
    if value is None:
        assert extraction.problems[0]["reason"] == "the blank can be a thousands separator; print it without"
        assert extraction.problems[0]["text"].endswith((" 000", " 345"))


def test_number_of_reads_whole_texts_only() -> None:
    assert number_of(b" 5% ") == 5.0
    assert number_of(b"5 6") is None
    assert number_of(b"") is None
    assert number_of(b"1" * 401) is None


def test_text_for_people_cannot_steer_their_terminal() -> None:
    assert printable("a\x1b[31mb\u202ec\x07\td") == "a\ufffd[31mb\ufffdc\ufffd d"
    assert printable("x" * 500) == "x" * 199 + "…"
    problem = read(b"loss=1\x9d5;\xe2\x80\xae,5").problems[0]
    assert problem["text"].isprintable()
