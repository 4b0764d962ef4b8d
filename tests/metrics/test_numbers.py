"""What is a number, what is not finite, and what is refused with which words."""

from __future__ import annotations

import math
import re

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


TOKENS = """
1,000 0,35 1.2.3 0.5abc 0x10 tensor(0.5) 1,234.5 1.000,5 1'000 1/2 0.5e 0.5e+ 1e5=3 0.5.. 1__0 _1 1_ 1e1.5 0.5.
0.5D-03 1d5 (0.5) [0.5] 10/938 0.5s 12ms 0.5±0.1 0.5+-0.1 0.5(1) −1 ０.５ ٣ 1e- 0b1 0o7 1,2,3 .5.5 --1 +-1 1-2 $5
1:30 12:30:45 50%% 5%5 0.5\u00a0 1\u202f000 "1,000" '0,5' 0.5_ 1e400x 1%x np.float64(0.5) array(0.5) {0.5} e5
"""


AMBIGUOUS = re.split("[ \n]", TOKENS.strip())


@pytest.mark.parametrize("token", AMBIGUOUS)
def test_an_ambiguous_number_is_a_problem_that_names_the_line_and_never_a_number(token: str) -> None:
    extraction = read(f"start\nloss={token}\n")
    assert "loss" not in extraction.points
    assert extraction.problems[0]["line"] == 2
    assert extraction.problems[0]["metric"] == "loss"
    for objective in (LOSS, BEST):
        judged = verdict(read(f"loss=0.4\nloss={token}\n", objective), objective)
        assert judged["state"] == "failed"
        assert judged["reason"] == "metric_unreadable"
        assert judged["detail"].startswith("`loss` cannot be read: line 2: `loss=")


def test_the_reason_says_what_to_print_instead() -> None:
    said = {token: read(f"loss={token}").problems[0]["reason"] for token in ("1,000", "tensor(0.5)", "0x1", "1D-3")}
    assert said == {
        "1,000": COMMA,
        "tensor(0.5)": "an object around the number; print the bare number (`.item()`)",
        "0x1": "only decimal numbers are read",
        "1D-3": "a Fortran `D` exponent; print it with `E` (ES format)",
    }


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
