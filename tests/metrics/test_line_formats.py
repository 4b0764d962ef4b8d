"""What each format reads on a line, and what it leaves alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_workflow.metrics.line_formats import scan_katib
from tests.metrics.reading import LOSS, read, values, verdict

KATIB = re.compile(r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)", re.ASCII)


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("loss=0.5", 0.5),
        ("loss = 0.5", 0.5),
        ("loss\t=\t0.5", 0.5),
        ("loss=1e-3", 1e-3),
        ("loss=.5", 0.5),
        ("loss=5.", 5.0),
        ("loss=1_000", 1000.0),
        ("loss=+3", 3.0),
        ("loss=-2.5E+1", -25.0),
        ("loss=97.5%", 97.5),
        ("Cross Validation loss = 97.5%", 97.5),
        ('[1] "loss=0.93"', 0.93),
        ("[1] 'loss=0.93'", 0.93),
        ("loss='0.5'", 0.5),
        ('loss="0.5"', 0.5),
        ("0: loss=0.5", 0.5),
        ("(loss=0.5)", 0.5),
        ("[loss=0.5]", 0.5),
        ("{loss=0.5}", 0.5),
        ("loss=0.5, acc=1", 0.5),
        ("loss=0.5,acc=1", 0.5),
        ("loss=0.5;acc=1", 0.5),
        ("acc=1 loss=0.5", 0.5),
        ("epoch 3/10 | loss=0.5 | 12 s", 0.5),
        ("\x1b[31mloss=0.5\x1b[0m", 0.5),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07 loss=0.5", 0.5),
        ("\x1b[1;31mloss\x1b[0m=\x1b[32m0.5\x1b[0m", 0.5),
        (b"\xff\xfe loss=0.5 \xc3", 0.5),
        (b"lo\x00ss=0.\x005", 0.5),
        ("loss=010", 10.0),
    ],
)
def test_equals_reads_a_plain_number_that_stands_alone(line: str | bytes, value: float) -> None:
    assert values(read(line)) == [value]
    assert verdict(read(line))["value"] == value


@pytest.mark.parametrize(
    "line",
    [
        "val/loss=1",
        "val.loss=1",
        "val_loss=1",
        "xloss=1",
        "--loss=1",
        "-loss=1",
        "é_loss=1",
        "loss/val=1",
        "loss==1",
        "loss<=1",
        "loss!=1",
        "loss+=1",
        "loss:=1",
        "x?loss=1",
        "&loss=1",
        "loss: 1",
        "loss 1",
        "Loss=1",
        "a=loss=1",
        "loss-x=1",
        "val:loss=1",
    ],
)
def test_another_name_is_never_taken_for_the_metric(line: str) -> None:
    extraction = read(line)
    assert "loss" not in extraction.points
    assert verdict(extraction)["reason"] == "metric_missing"


@pytest.mark.parametrize("name", ["val/loss", "val.loss", "recall@10", "F1-score", "a:b", "t5", "5fold", "é_loss"])
def test_a_metric_may_have_a_name_like_that(name: str) -> None:
    assert values(read(f"x=1 {name} = 0.25;", {**LOSS, "metric": name}), name) == [0.25]


def test_what_is_printed_of_other_things_is_no_error() -> None:
    extraction = read("Namespace(lr=0.1, optimizer='SGD', no_cuda=False, shape=3x4, size=1,000)\nloss=1\n")
    assert extraction.problems == []
    assert extraction.last() == {"lr": 0.1, "loss": 1.0}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("loss=nan", [("loss", "")]),
        ("loss==0.5", [("loss", "")]),
        ("loss=tensor(0.5)", [("loss", "")]),
        ("loss=-inf", [("loss", "-")]),
        ("val/loss=0.3", [("loss", "0.3")]),
        ("loss=1,234.5", [("loss", "1")]),
        ("loss: 0.3", []),
        ("Namespace(lr=0.1)", [("lr", "0.1")]),
        ("a=1x=2", [("a", "1"), ("x", "2")]),
        ("a|b-c \t= 1e5.5", [("a|b-c", "1e5")]),
    ],
)
def test_katib_does_to_real_lines_what_katib_does(line: str, found: list[tuple[str, str]]) -> None:
    assert [(m[1], m[2]) for m in KATIB.finditer(line)] == found  # the table is right
    numbers = [(name, float(value)) for name, value in found if value not in ("", "-")]
    assert [(f.name, f.value) for f in scan_katib(line.encode()) if f.value is not None] == numbers


@given(st.text(alphabet="ab|-=. \t\r\fEe0123456789+,é_", max_size=60))
def test_katib_finds_exactly_what_its_regex_finds(line: str) -> None:
    expected = []
    for match in KATIB.finditer(line):
        try:
            expected.append((match[1], float(match[2])))
        except ValueError:
            expected.append((match[1], None))
    assert [(f.name, f.value) for f in scan_katib(line.encode())] == expected


def test_katib_reads_over_what_its_rule_cannot_read_with_a_problem() -> None:
    extraction = read("loss=0.5\nloss=nan\n", format="katib")
    assert verdict(extraction)["reason"] == "metric_unreadable"
    assert "katib's rule reads ``" in verdict(extraction)["detail"]


def test_json_lines_hold_numbers_or_strings_of_numbers() -> None:
    text = '{"loss": 0.5, "epoch": 1, "tag": "x"}\nnoise loss=9\n0: {"loss": "0.25", "acc": "90%", "flag": true}\n'
    extraction = read(text, format="json")
    assert values(extraction) == [0.5, 0.25]
    assert extraction.last() == {"loss": 0.25, "epoch": 1.0, "acc": 90.0}
    assert extraction.problems == []


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '"nan"', "1e400", "9" * 5000])
def test_json_numbers_that_are_not_finite_are_recognised(text: str) -> None:
    assert verdict(read('{"loss": ' + text + "}", format="json"))["reason"] == "nonfinite"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{'loss': 0.5}", "a Python dict, not JSON"),
        ('{"loss": 0.5', "not a JSON object"),
        ('{"loss": "0,5"}', "comma"),
        ('{"loss": true}', "`true` is not a number"),
        ('{"loss": null}', "`null` is not a number"),
        ('{"eval": {"loss": 0.5}}', "saw `eval.loss`"),
        ('{"loss": ' + "[" * 20000, "not a JSON object"),
        ('{"loss": {"mean": 1}}', "nested object"),
    ],
)
def test_json_that_holds_no_number_says_why(line: str, words: str) -> None:
    judged = verdict(read(line, format="json"))
    assert judged["state"] == "failed"
    assert words in judged["detail"]
