"""How `format`, `define` and `lines` go together on one line."""

from __future__ import annotations

from tests.metrics.reading import read, values


def test_define_replaces_what_the_format_would_read() -> None:
    assert values(read("loss=1 loss: 2", define={"loss": {"after": "loss:"}})) == [2.0]


def test_lines_lets_only_matching_lines_through_also_behind_a_rank_label() -> None:
    text = "Train loss=1\n0: Test set: loss=2\nTest set: loss=3\nTest set loss=4\n"
    assert values(read(text, lines="^Test set:")) == [2.0, 3.0]
