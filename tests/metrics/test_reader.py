"""Points come as they are printed, and no text can break the reader."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpo_workflow.metrics import Extraction, MetricReader
from hpo_workflow.metrics.lines import CAP_LINE
from hpo_workflow.metrics.numbers import CAP_FOUND
from hpo_workflow.metrics.reader import CAP_NAMES, CAP_PROBLEMS
from tests.metrics.reading import BEST, LOSS, read, verdict


def test_the_step_is_on_the_line_or_before_it_or_counted() -> None:
    text = "loss=1\nepoch=5 loss=2\nloss=3 epoch=6\nloss=4\nacc=1\n"
    extraction = read(text, step="epoch")
    assert extraction.points == {"loss": [(1, 1), (5, 2), (6, 3), (6, 4)], "acc": [(6, 1)]}
    assert read("loss=7\nloss=8\n").points == {"loss": [(1, 7), (2, 8)]}


def test_new_points_are_told_as_they_come() -> None:
    reader = MetricReader({}, LOSS)
    assert reader.feed(b"loss=1\nlo") == [(1.0, 1.0)]
    assert reader.feed(b"ss=2") == []
    assert reader.feed(b"\r") == [(2.0, 2.0)]


def test_the_metrics_file_outweighs_what_is_printed() -> None:
    reader = MetricReader({}, LOSS)
    reader.feed(b"loss=1,5\nacc=0.5\n")
    reader.feed_records(b'{"loss": 0.25, "step": 3}\n{"loss": 0.5, ')
    reader.feed_records(b'"step": 4}')
    extraction = reader.close()
    assert extraction.points == {"loss": [(3, 0.25), (4, 0.5)], "acc": [(1, 0.5)]}
    assert extraction.unreadable is None
    assert verdict(extraction)["value"] == 0.5


def test_a_broken_line_of_the_metrics_file_is_told() -> None:
    reader = MetricReader({}, LOSS)
    reader.feed_records(b'{"loss": 1}\n{"loss": \n')
    assert reader.close().problems[0]["reason"] == "$HPO_METRICS_FILE: not a JSON object"


def test_the_target_is_reached_while_the_program_runs() -> None:
    reader = MetricReader({}, {**BEST, "target": 0.5})
    reader.feed(b"loss=0.6\n")
    assert not reader.target_reached()
    reader.feed(b"loss=0.5\nloss=0.9\n")
    assert reader.target_reached()
    assert reader.best() == 0.5
    for other in ({**LOSS, "target": 1.0}, {**BEST, "target": 1.0, "on_target": "finish"}):
        reader = MetricReader({}, other)
        reader.feed(b"loss=0.5\n")
        assert not reader.target_reached()


def test_an_over_long_name_is_data() -> None:
    extraction = read('{"' + "x" * 300 + '": 1, "loss": 2}', format="json")
    assert list(extraction.points) == ["loss"]


CHUNKS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


LINE = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [
            b"loss=0.5",
            b"epoch=3 loss=1,5",
            b"\r",
            b"\r\n",
            b"\x1b[31m",
            b'{"loss": 1}',
            b"loss=1e400",
            b"loss=nan",
            b"\x1b]0;title\x07",
            b"\x00",
            b"val_loss = 3%",
            b"loss",
            b"=",
            b"0: Test loss=7",
            b"\xff\xc3",
        ]
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINE, max_size=20), CHUNKS, st.sampled_from(["equals", "katib", "json"]), st.booleans())
@example([b"loss=1\r", b"\nloss=2"], [7, 1, 1], "equals", False)
def test_any_cut_into_reads_gives_the_same_result(
    parts: list[bytes], sizes: list[int], form: str, define: bool
) -> None:
    text = b"\n".join(parts)
    rules = {"lines": "oss", "define": {"acc": {"after": "epoch="}, "b": {"regex": "Test (.*)"}}} if define else {}

    def result(pieces: Iterable[bytes]) -> str:
        reader = MetricReader({"format": form, "step": "epoch", **rules}, LOSS)
        points = [point for piece in pieces for point in reader.feed(piece)]
        extraction = reader.close()
        assert len(points) <= sum(extraction.counts.values())
        return json.dumps(extraction.to_json(), allow_nan=False, sort_keys=True)

    cut, at = [], 0
    while at < len(text):
        size = sizes[len(cut) % len(sizes)]
        cut.append(text[at : at + size])
        at += size
    whole = result([text])
    assert result(cut) == whole
    assert json.dumps(Extraction.from_json(json.loads(whole)).to_json(), allow_nan=False, sort_keys=True) == whole


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=60))
def test_no_bytes_raise(lines: list[bytes]) -> None:
    for form in ("equals", "katib", "json"):
        extraction = read(b"\n".join(lines), format=form, define={"a": {"regex": "(.)"}, "b": {"after": "x"}})
        verdict(extraction)
        extraction.to_json()


HOSTILE = [
    b"a" * 65536,
    b"a=" * 32768,
    b"=" * 65536,
    b"loss" + b" " * 65532,
    b"1" * 65536,
    b"loss=" + b"1" * 65531,
    b"loss=" + b"1_" * 32765,
    b"loss=0." + b"1" * 65529,
    b"a b " * 16384,
    b"loss=" * 13107,
    b"\x1b]" * 32768,
    b"\x1b[" * 32768,
    b"\x1b[" + b"1;" * 32767,
    b'{"a":' * 13107,
    b"'" * 65536,
    b"loss='" * 10922,
    b"[" * 65536,
    b"-" * 65536,
    b"\xff" * 65536,
    b"loss=nan(" + b"x" * 65527,
    b"1,2," * 16384,
    b"loss=1,5 " * 7281,
    b" =" * 32768,
    b"|=|" * 21845,
    b"0: " * 21845,
    b"a='" + b"1_" * 32766,
    b"loss=" + b"0" * 65531,
    b"loss=_%" * 9362,
    b"a_%" * 21845,
    b"loss=1" + b" 000" * 16382,
    b"loss=1" + b" 000" * 16000 + b"x" * 1500,
    b"loss=1 000 " * 5957,
    b"loss=1 000 " + b"x" * 65525,
    b"loss=1 000" + b"x" * 65526,
]


@pytest.mark.parametrize("form", ["equals", "katib", "json"])
def test_no_line_takes_long(form: str) -> None:
    slowest = 0.0
    for line in HOSTILE:
        reader = MetricReader({"format": form, "define": {"acc": {"after": "loss="}}}, LOSS)
        started = time.process_time()
        reader.feed(line + b"\n")
        reader.close()
        slowest = max(slowest, time.process_time() - started)
    assert slowest < 0.5  # 0.05 on a quiet machine; quadratic rules take seconds
    print(f"{form}: {slowest * 1000:.0f} ms for the slowest line of {CAP_LINE} bytes")


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ({}, "loss={} "),
        ({}, "loss={},5 "),
        ({"format": "katib"}, "loss={} "),
        ({"format": "json"}, '"a{}": 1, '),
        ({"define": {"loss": {"after": "l"}}}, "l {} "),
        ({"define": {"loss": {"regex": r"l(\d)"}}}, "l1"),
    ],
)
def test_of_a_line_with_thousands_of_values_the_start_is_read_and_this_is_told(
    settings: dict[str, Any], form: str
) -> None:
    for n in (CAP_FOUND - 1, CAP_FOUND + 1):
        text = "".join(form.format(i) for i in range(1000, 1000 + n)).rstrip(", ")
        extraction = read("{" + text + "}" if settings.get("format") == "json" else text, **settings)
        assert extraction.cut_lines == (n > CAP_FOUND)
        told = f"1 lines hold {CAP_FOUND} values or more; only their start was read"
        assert (told in extraction.warnings) == (n > CAP_FOUND)


def test_a_flood_of_names_and_problems_stays_small() -> None:
    reader = MetricReader({}, LOSS)
    tracemalloc.start()
    for start in range(0, 4_000, 1000):
        reader.feed("".join(f"m{i}=1 loss={i},5 n{i % 300}={i}\n" for i in range(start, start + 1000)).encode())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    extraction = reader.close()
    assert peak < 8_000_000
    assert len(extraction.points) <= CAP_NAMES
    assert extraction.dropped_names > 0
    assert extraction.n_problems == 4_000
    assert [extraction.problems[0]["line"], extraction.problems[-1]["line"]] == [1, 4_000]
    assert len(extraction.problems) == CAP_PROBLEMS
    assert any("metrics were printed" in warning for warning in extraction.warnings)


def test_a_big_log_is_read_in_small_memory() -> None:
    block = b"some progress that says nothing much of interest 12345\n" * 5_000 + b"loss=0.5\n"
    huge_line = b"x" * 4_000_000
    reader = MetricReader({}, LOSS)
    tracemalloc.start()
    for _ in range(5):
        reader.feed(block)
    for _ in range(3):
        reader.feed(huge_line)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 13_000_000  # the block itself and its lines, nothing that grows
    assert reader.close().counts == {"loss": 5}
