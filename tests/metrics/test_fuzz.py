"""Random lines, half of them nearly right: nothing raises, and the cut into reads changes nothing."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.metrics import MetricReader, explain
from hpo_workflow.metrics.lines import CAP_LINE
from tests.metrics.reading import BEST, LOSS, verdict
from tests.metrics.test_numbers import AMBIGUOUS
from tests.soak import IS_SOAK, size

SEED = 20261121
BLOCK = 200
"""Lines that are read together."""

NAMES = ["loss", "val/loss", "val_loss", "epoch", "step", "acc", "LOSS", "loss_", "é_loss", "loss.", "a" * 300, "-", ""]
NUMBERS = ["0.5", "-1e-3", ".5", "5.", "1_000", "3%", "nan", "-inf", "1e400", "1e-400", "007", "1" * 99, "1" * 101]
BETWEEN = ["=", " = ", "\t=\t", "==", ":", ": ", " ", "=\x00", "= \x1b[32m", "=\x1b]0;t\x07", "='", '="', "=(", "=["]
AROUND = [
    "",
    " ",
    ",",
    ";",
    "\t",
    "|",
    ")",
    "]",
    '"',
    "\x1b[0m",
    "\x1b[K",
    "\x1b",
    "\x00",
    "\x08",
    "\u202e",
    "\u2028",
    "é",
]
ENDS = [b"\n"] * 12 + [b"\r", b"\r\n", b"\r\r\n", b"", b"\x0b", b"\x85"]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"step": "epoch"},
    {"format": "katib"},
    {"format": "json"},
    {"lines": "oss"},
    {"define": {"loss": {"after": "loss"}, "acc": {"regex": r"acc\D*(?P<value>\S+)"}}},
    {"define": {"loss": {"regex": r"(\d+)", "lines": "^[a-z]"}}, "step": "step"},
]


def line(rng: random.Random) -> bytes:
    """A line as a program prints it, or as none should."""
    kind = rng.randrange(8)
    if kind == 0:
        text = rng.randbytes(rng.randrange(80)).replace(b"\n", b"")
    elif kind == 1:
        value = rng.choice([0.5, "0.5", None, True, [1], {"a": 1.0}, 10**400, "nan", rng.choice(AMBIGUOUS)])
        text = json.dumps({rng.choice(NAMES): value, "loss": rng.random()}).encode()
        text = text[: rng.randrange(len(text))] if rng.random() < 0.3 else text
    elif kind == 2 and rng.random() < 0.02:
        text = rng.choice([b"x", b"=", b"loss=", b"1", b"\x1b[", b"{", b"\xff", b"a=1 "]) * rng.randrange(1, CAP_LINE)
    else:
        words = []
        for _ in range(rng.randrange(1, 5)):
            number = rng.choice(NUMBERS) if rng.random() < 0.6 else rng.choice(AMBIGUOUS)
            words.append(rng.choice(NAMES) + rng.choice(BETWEEN) + number + rng.choice(AROUND))
        text = " ".join(words).encode("utf-8", "surrogatepass")
        if rng.random() < 0.1:
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.randbytes(1).replace(b"\n", b" ") + text[at:]
    return text + rng.choice(ENDS)


def read_in(pieces: list[bytes], settings: dict[str, Any], objective: dict[str, Any]) -> str:
    """All that is found, as one text; the verdict, what the trial's record holds and what `hpo metrics` shows."""
    reader = MetricReader(settings, objective)
    points = [point for piece in pieces for point in reader.feed(piece)]
    extraction = reader.close()
    told = [(told.number, told.values, told.rejected) for told in explain(pieces, settings, objective)]
    assert len(points) <= sum(extraction.counts.values())
    found = [extraction.to_json(), verdict(extraction, objective)]
    return json.dumps(found, allow_nan=False, sort_keys=True) + repr(told)


def cut(text: bytes, rng: random.Random) -> list[bytes]:
    """The text in pieces: tiny, of some bytes, or as large as a pipe gives them."""
    most = rng.choice([3, 40, 4096, 65536])
    pieces, at = [], 0
    while at < len(text):
        end = at + rng.randint(1, most)
        pieces.append(text[at:end])
        at = end
    return pieces


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_no_line_raises_and_no_cut_changes_what_is_read() -> None:
    rng = random.Random(SEED)
    read = 0
    while read < size(1_000, 100_000):
        text = b"".join(line(rng) for _ in range(BLOCK))
        settings, objective = rng.choice(SETTINGS), rng.choice([LOSS, BEST])
        whole = read_in([text], settings, objective)
        for _ in range(2):
            assert read_in(cut(text, rng), settings, objective) == whole, f"line {read} and on, seed {SEED}"
        read += BLOCK
    print(f"{read} lines: no exception, no dependence on the cut")


HOSTILE_PATTERNS = [
    line for line in (Path(__file__).parent / "hostile_patterns.txt").read_text(encoding="utf-8").split("\n") if line
]
"""Regular expressions that take exponential or high polynomial time on a line made for them."""


@pytest.mark.soak
def test_no_regular_expression_of_a_user_can_hang_a_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    from hpo_workflow.metrics import user_patterns

    monkeypatch.setattr(user_patterns, "PATTERN_SECONDS", 0.02)
    monkeypatch.setattr(user_patterns, "PATTERN_TICKS", 10)
    lines = [b"a" * 4000 + b"!", b"loss=" + b" " * 4000 + b"x", b"1" * 4000 + b"x", b"ab" * 2000 + b"!", b"x=" * 2000]
    given_up = 0
    patterns = HOSTILE_PATTERNS[:: 1 if IS_SOAK else 4]
    for pattern in patterns:
        for rule in ({"lines": pattern}, {"define": {"loss": {"regex": pattern}}}):
            reader = MetricReader(rule, LOSS)
            begun = time.process_time()
            for text in lines * 2:
                reader.feed(text + b"\n")
            assert time.process_time() - begun < 2, pattern
            given_up += bool(reader._given_up)
    assert given_up >= len(patterns), "most of them are slow on one of these lines"
