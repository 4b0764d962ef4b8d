"""Numbers from text: what each format reads, what it refuses and says, and that no text can break it."""

from __future__ import annotations

import json
import math
import re
import threading
import time
import tracemalloc
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hpo_workflow import metrics as module
from hpo_workflow.errors import MetricError
from hpo_workflow.metrics import Extraction, MetricReader, explain, judge, number_of, printable

DONE = {"kind": "done", "reason": None, "detail": ""}
LOSS = {"metric": "loss", "direction": "minimize", "reduce": "last"}
BEST = {**LOSS, "reduce": "best"}
COMMA = "the comma can be a decimal point or a thousands separator; print it without"
KATIB = re.compile(r"([\w|-]+)\s*=\s*([+-]?\d*(\.\d+)?([Ee][+-]?\d+)?)", re.ASCII)


def read(text: str | bytes, objective: dict[str, Any] = LOSS, **settings: Any) -> Extraction:
    reader = MetricReader(settings, objective)
    reader.feed(text.encode() if isinstance(text, str) else text)
    return reader.close()


def values(extraction: Extraction, name: str = "loss") -> list[float]:
    return [value for _, value in extraction.points.get(name, [])]


def verdict(extraction: Extraction, objective: dict[str, Any] = LOSS) -> dict[str, Any]:
    return judge(DONE, extraction, objective, 1.0, 1.0)


# ---- equals ------------------------------------------------------------------------------------------------


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


def test_a_word_in_place_of_the_number_counts_only_when_it_comes_last() -> None:
    assert verdict(read("Namespace(loss='mse')\nloss=0.5\n"))["value"] == 0.5
    assert verdict(read("loss=0.5\nloss=None\n"))["reason"] == "metric_unreadable"
    assert verdict(read("loss=0.5\nloss=None\n", BEST), BEST)["value"] == 0.5
    only = verdict(read("Namespace(loss='mse')\n"))
    assert only["reason"] == "metric_missing"
    assert "line 1: `loss='mse'`: `mse` is not a number" in only["detail"]


def test_an_earlier_ambiguous_number_is_a_warning_when_the_last_one_counts() -> None:
    extraction = read("loss=1,5\nloss=0.5\n")
    assert verdict(extraction)["value"] == 0.5
    assert any("line 1: `loss=1,5`" in warning for warning in extraction.warnings)


# ---- katib -------------------------------------------------------------------------------------------------


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
    assert [(f.name, f.value) for f in module._scan_katib(line.encode()) if f.value is not None] == numbers


@given(st.text(alphabet="ab|-=. \t\r\fEe0123456789+,é_", max_size=60))
def test_katib_finds_exactly_what_its_regex_finds(line: str) -> None:
    expected = []
    for match in KATIB.finditer(line):
        try:
            expected.append((match[1], float(match[2])))
        except ValueError:
            expected.append((match[1], None))
    assert [(f.name, f.value) for f in module._scan_katib(line.encode())] == expected


def test_katib_reads_over_what_its_rule_cannot_read_with_a_problem() -> None:
    extraction = read("loss=0.5\nloss=nan\n", format="katib")
    assert verdict(extraction)["reason"] == "metric_unreadable"
    assert "katib's rule reads ``" in verdict(extraction)["detail"]


# ---- json --------------------------------------------------------------------------------------------------


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


# ---- define, lines, step -----------------------------------------------------------------------------------


def test_define_after_reads_the_number_behind_a_text() -> None:
    lines = "[10]\tvalid_0's binary_logloss: 0.31\tvalid_1's auc: 0.77\nauc=3\n"
    extraction = read(lines, define={"auc": {"after": "valid_1's auc:"}, "loss": {"after": "binary_logloss"}})
    assert values(extraction, "auc") == [0.77]
    assert values(extraction) == [0.31]


def test_define_after_does_not_match_the_end_of_a_longer_name() -> None:
    extraction = read(
        "val_loss: 9\nloss_sum: 8\nloss is high\nloss: 0.5 - accuracy: 0.98\n", define={"loss": {"after": "loss"}}
    )
    assert values(extraction) == [0.5]
    assert extraction.problems == []


def test_define_regex_takes_the_group_value_or_the_only_group() -> None:
    named = {"loss": {"regex": r"(Test|Train) set: (?P<value>\S+)%", "lines": "^Test"}}
    text = "Train set: 1%\nTest set: 2%\n"
    assert values(read(text, define=named)) == [2.0]
    assert values(read(text, define={"loss": {"regex": r"set: (\S+)%"}})) == [1.0, 2.0]


def test_define_replaces_what_the_format_would_read() -> None:
    assert values(read("loss=1 loss: 2", define={"loss": {"after": "loss:"}})) == [2.0]


def test_what_a_regex_captures_is_held_to_the_same_rule() -> None:
    judged = verdict(read("score 1,5\n", define={"loss": {"regex": r"score (\S+)"}}))
    assert judged["reason"] == "metric_unreadable"
    assert "line 1: `score 1,5`" in judged["detail"]


def test_lines_lets_only_matching_lines_through_also_behind_a_rank_label() -> None:
    text = "Train loss=1\n0: Test set: loss=2\nTest set: loss=3\nTest set loss=4\n"
    assert values(read(text, lines="^Test set:")) == [2.0, 3.0]


def test_a_regex_that_is_none_is_an_error_that_names_the_key() -> None:
    with pytest.raises(MetricError, match=r"metrics\.define\.loss\.regex: '\(' is not a regular expression"):
        MetricReader({"define": {"loss": {"regex": "("}}}, LOSS)


def test_the_step_is_on_the_line_or_before_it_or_counted() -> None:
    text = "loss=1\nepoch=5 loss=2\nloss=3 epoch=6\nloss=4\nacc=1\n"
    extraction = read(text, step="epoch")
    assert extraction.points == {"loss": [(1, 1), (5, 2), (6, 3), (6, 4)], "acc": [(6, 1)]}
    assert read("loss=7\nloss=8\n").points == {"loss": [(1, 7), (2, 8)]}


def test_new_points_are_told_as_they_come() -> None:
    reader = MetricReader({}, LOSS)
    assert reader.feed(b"loss=1\nlo") == [("loss", 1.0, 1.0)]
    assert reader.feed(b"ss=2") == []
    assert reader.feed(b"\r") == [("loss", 2.0, 2.0)]


# ---- $HPO_METRICS_FILE -------------------------------------------------------------------------------------


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


# ---- judge -------------------------------------------------------------------------------------------------


def test_reduce_best_takes_the_best_in_the_direction_and_passes_over_nan() -> None:
    text = "loss=3\nloss=1\nloss=nan\nloss=2\n"
    assert verdict(read(text, BEST), BEST)["value"] == 1.0
    largest = {**BEST, "direction": "maximize"}
    assert verdict(read(text, largest), largest)["value"] == 3.0
    assert verdict(read(text))["value"] == 2.0
    assert verdict(read("loss=nan\n", BEST), BEST)["reason"] == "nonfinite"
    assert verdict(read("loss=-inf\nloss=1\n", BEST), BEST)["value"] == 1.0


def test_a_program_that_failed_keeps_its_reason_whatever_it_printed() -> None:
    end = {"kind": "failed", "reason": "exit_code", "detail": "exit code 1"}
    judged = judge(end, read("loss=1"), LOSS, 1.0, 1.0)
    assert judged == {"state": "failed", "reason": "exit_code", "value": None, "detail": "exit code 1"}


def test_seconds_and_memory_can_be_the_objective() -> None:
    assert judge(DONE, read(""), {**LOSS, "metric": "trial.seconds"}, 12.5, 99.0)["value"] == 12.5
    assert judge(DONE, read(""), {**LOSS, "metric": "trial.max_rss_mb"}, 12.5, 99.0)["value"] == 99.0


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


# ---- hints, warnings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "metric", "hint"),
    [
        ("val_acc=0.9\nlr=1\n", "accuracy", "saw `val_acc`; the objective is `accuracy`"),
        ("Accuracy=0.9\n", "accuracy", "saw `Accuracy`; the objective is `accuracy`"),
        ("acuracy=0.9\n", "accuracy", "saw `acuracy`; the objective is `accuracy`"),
        ("val/loss=1\n", "loss", "saw `val/loss`; the objective is `loss`"),
        ("x\nloss: 0.5\n", "loss", "line 2 mentions it: `loss: 0.5`; the form that is read is `loss=0.5`"),
        (
            "0.1 loss 0.5\n",
            "loss",
            "line 1 mentions it: `0.1 loss 0.5`; the form that is read is `loss=0.5`; metrics.define",
        ),
        (
            '{"loss": 0.5}\n',
            "loss",
            'line 1 mentions it: `{"loss": 0.5}`; the form that is read is `loss=0.5`; for JSON',
        ),
        ("lr=1\n", "accuracy", "saw `lr`; the objective is `accuracy`"),
        ("hello\n", "loss", "no name=value was found in its output"),
        ("", "loss", "the program printed nothing"),
    ],
)
def test_a_missing_objective_comes_with_a_near_miss(text: str, metric: str, hint: str) -> None:
    judged = verdict(read(text, {**LOSS, "metric": metric}), {**LOSS, "metric": metric})
    assert judged["reason"] == "metric_missing"
    assert judged["detail"].startswith(f"`{metric}` was never printed: {hint}")


def test_no_pattern_is_suggested_that_would_match_other_lines_too() -> None:
    [warning] = read("mean loss=2\nstep 2 mean loss=2\nstep 3 loss=1\n").warnings
    assert warning.endswith("Say in metrics.lines which of them count.")


@pytest.mark.parametrize(
    "line", ["loss: 0.25", "{'loss': 0.25, 'epoch': 1}", "12ms - loss : 0.25 - acc: 0.5", "x loss:.25"]
)
def test_the_cure_for_another_form_works(line: str) -> None:
    said = read(line).hints[-1]
    cure = re.search(r"metrics\.define: \{loss: \{after: (\".*\")\}\}$", said)
    assert cure is not None
    assert values(read(line, define={"loss": {"after": json.loads(cure[1])}})) == [0.25]


@pytest.mark.parametrize(
    ("text", "lines"), [("", 0), ("a", 1), ("a\n", 1), ("a\nb", 2), ("\n\n", 2), ("a\rb\r", 1), ("a\r\nb\r\n", 2)]
)
def test_lines_are_counted_as_an_editor_counts_them(text: str, lines: int) -> None:
    assert read(text).lines == lines


def test_an_over_long_name_is_data() -> None:
    extraction = read('{"' + "x" * 300 + '": 1, "loss": 2}', format="json")
    assert list(extraction.points) == ["loss"]


MNIST = "".join(
    f"Train Epoch: {epoch} [{batch}/938 ({batch / 9.38:.0f}%)]\tloss={1 / (epoch + batch):.4f}\n"
    + ("" if batch else f"\nTest set: loss={0.5 / epoch:.4f}, accuracy=0.9{epoch}\n")
    for epoch in (1, 2)
    for batch in (10, 20, 0)
)


def test_an_objective_on_two_kinds_of_lines_is_warned_of_with_a_pattern_that_works() -> None:
    extraction = read(MNIST, BEST)
    assert extraction.shapes == [
        ["Train Epoch: # [#/# (#%)] loss=#", 6],
        ["Test set: loss=#, accuracy=#", 2],
    ]
    [warning] = extraction.warnings
    assert "`loss` stands on 2 kinds of lines" in warning
    pattern = re.search(r"lines: '([^']*)'", warning)
    assert pattern is not None
    assert pattern[1] == "^Test set:"
    filtered = read(MNIST, BEST, lines=pattern[1])
    assert values(filtered) == [0.5, 0.25]
    assert filtered.warnings == []


@pytest.mark.parametrize(
    "text",
    [
        "epoch 1: loss=0.5\nepoch 12: loss=1.25e-05\n",
        "epoch   1 loss=0.5\nepoch  10 loss=-0.5\n",
        "epoch 1 loss=nan\nepoch 2 loss=0.1\nepoch 3 loss=inf\n",
        "10%|█         | 1/10 loss=0.5\r30%|███       | 3/10 loss=0.4\n",
        "[====>    ] loss=1\n[=====>   ] loss=2\n",
        "12:30:01 loss=1\n12:31:02 loss=2\n",
    ],
)
def test_lines_that_differ_in_numbers_only_are_one_kind(text: str) -> None:
    assert read(text).warnings == []


# ---- hostile text ------------------------------------------------------------------------------------------


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


def test_over_long_lines_are_cut_the_same_way_in_any_cut() -> None:
    text = b"loss=1 " + b"x" * 200_000 + b" loss=2\rloss=3\n" + b"y" * module.CAP_LINE + b"\nloss=4\n" + b"z" * 70_000
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


def test_a_regex_that_does_not_end_is_given_up_with_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATTERN_SECONDS", 0.1)
    rule = {"loss": {"regex": r"(?P<value>(a|aa)+)$"}}
    text = b"a" * 60 + b"!\nother=5\n"
    started = time.process_time()
    extraction = read(text, define=rule)
    assert time.process_time() - started < 2
    judged = verdict(extraction)
    assert judged["reason"] == "metric_unreadable"
    assert "line 1" in judged["detail"]
    assert "metrics.define.loss.regex takes too long on lines like this one (61 characters)" in judged["detail"]
    assert values(extraction, "other") == [5.0]


def test_a_regex_that_is_slow_on_every_line_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATTERN_SECONDS", 0.2)
    monkeypatch.setattr(module, "PATTERN_TICKS", 4)
    line = b"a" * 400 + b"\n"  # some 20 ms each in a cubic search: no single one is too long
    reader = MetricReader({"define": {"loss": {"regex": r"a+a+b(\d)"}}}, LOSS)
    started = time.process_time()
    for _ in range(2000):
        reader.feed(line)
        if reader._given_up:
            break
    assert time.process_time() - started < 3
    assert verdict(reader.close())["reason"] == "metric_unreadable"


def test_reading_works_outside_the_main_thread() -> None:
    found: list[list[float]] = []
    thread = threading.Thread(
        target=lambda: found.append(values(read("x 0.5", define={"loss": {"regex": r"x (\S+)"}})))
    )
    thread.start()
    thread.join()
    assert found == [[0.5]]


def test_the_watchdog_leaves_no_timer_behind() -> None:
    import signal

    read("x 0.5", define={"loss": {"regex": r"x (\S+)"}})
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) is signal.SIG_DFL


# ---- bounds ------------------------------------------------------------------------------------------------


def test_many_points_are_thinned_with_last_and_best_exact() -> None:
    reader = MetricReader({}, BEST)
    n = 45_000
    for start in range(0, n, 1000):
        reader.feed(
            "".join(f"loss={-7 if i == 12_345 else (i * 37) % 1009}\n" for i in range(start, start + 1000)).encode()
        )
    extraction = reader.close()
    points = extraction.points["loss"]
    assert extraction.counts == {"loss": n}
    assert module.CAP_POINTS / 2 < len(points) <= module.CAP_POINTS + 3
    assert points[-1] == (n, ((n - 1) * 37) % 1009)
    assert (12_346, -7) in points
    assert [step for step, _ in points] == sorted({step for step, _ in points})
    assert verdict(extraction, BEST)["value"] == -7


def test_a_flood_of_names_and_problems_stays_small() -> None:
    reader = MetricReader({}, LOSS)
    tracemalloc.start()
    for start in range(0, 4_000, 1000):
        reader.feed("".join(f"m{i}=1 loss={i},5 n{i % 300}={i}\n" for i in range(start, start + 1000)).encode())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    extraction = reader.close()
    assert peak < 8_000_000
    assert len(extraction.points) <= module.CAP_NAMES
    assert extraction.dropped_names > 0
    assert extraction.n_problems == 4_000
    assert [extraction.problems[0]["line"], extraction.problems[-1]["line"]] == [1, 4_000]
    assert len(extraction.problems) == module.CAP_PROBLEMS
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


# ---- explaining --------------------------------------------------------------------------------------------


def test_explain_says_line_by_line_what_is_read() -> None:
    text = b"hello\nTest loss=0.5, acc=1,5\nloss: 3\nTrain loss=9\n"
    reports = list(explain([text[:11], text[11:]], {"lines": "Test"}, LOSS))
    assert [(r.number, r.read, r.values, r.rejected) for r in reports] == [
        (2, True, [("loss", 0.5)], [("acc", "acc=1,5", COMMA)]),
        (3, False, [], []),
        (4, False, [], []),
    ]
    [near] = explain([b"val_loss=1"], {}, LOSS)
    assert near.near == ["val_loss"]


def test_text_for_people_cannot_steer_their_terminal() -> None:
    assert printable("a\x1b[31mb\u202ec\x07\td") == "a\ufffd[31mb\ufffdc\ufffd d"
    assert printable("x" * 500) == "x" * 199 + "…"
    problem = read(b"loss=1\x9d5;\xe2\x80\xae,5").problems[0]
    assert problem["text"].isprintable()


def test_number_of_reads_whole_texts_only() -> None:
    assert number_of(b" 5% ") == 5.0
    assert number_of(b"5 6") is None
    assert number_of(b"") is None
    assert number_of(b"1" * 401) is None
