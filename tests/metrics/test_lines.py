"""A stream is cut into the same lines whatever the sizes of its pieces."""

from __future__ import annotations

import json

import pytest

from hpo_workflow.metrics import MetricReader
from hpo_workflow.metrics.lines import CAP_LINE
from tests.metrics.reading import LOSS, read, values


@pytest.mark.parametrize(
    ("text", "lines"), [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2), ("a\rb\r", 1), ("a\r\nb\r\n", 2)]
)
def test_lines_are_counted_as_an_editor_counts_them(text: str, lines: int) -> None:
    assert read(text).lines == lines


def test_over_long_lines_are_cut_the_same_way_in_any_cut() -> None:
    text = b"loss=1 " + b"x" * 200_000 + b" loss=2\rloss=3\n" + b"y" * CAP_LINE + b"\nloss=4\n" + b"z" * 70_000
    seen = set()
    for size in (1000, 4096, 65536, 65537, 10**6):
        reader = MetricReader({}, LOSS)
        for at in range(0, len(text), size):
            reader.feed(text[at : at + size])
        extraction = reader.close()
        assert values(extraction) == [1.0, 3.0, 4.0]
        assert extraction.cut_lines == 2
        seen.add(json.dumps(extraction.to_json()))
    assert len(seen) == 1
