"""What a person is told whose objective was not found, or perhaps not found as meant."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.metrics.reading import BEST, LOSS, read, values, verdict


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


@pytest.mark.parametrize(
    "line", ["loss: 0.25", "{'loss': 0.25, 'epoch': 1}", "12ms - loss : 0.25 - acc: 0.5", "x loss:.25"]
)
def test_the_cure_for_another_form_works(line: str) -> None:
    said = read(line).hints[-1]
    cure = re.search(r"metrics\.define: \{loss: \{after: (\".*\")\}\}$", said)
    assert cure is not None
    assert values(read(line, define={"loss": {"after": json.loads(cure[1])}})) == [0.25]


def test_an_earlier_ambiguous_number_is_a_warning_when_the_last_one_counts() -> None:
    extraction = read("loss=1,5\nloss=0.5\n")
    assert verdict(extraction)["value"] == 0.5
    assert any("line 1: `loss=1,5`" in warning for warning in extraction.warnings)


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


def test_no_pattern_is_suggested_that_would_match_other_lines_too() -> None:
    [warning] = read("mean loss=2\nstep 2 mean loss=2\nstep 3 loss=1\n").warnings
    assert warning.endswith("Say in metrics.lines which of them count.")


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


def test_a_defined_metric_that_lines_keep_out_is_told_how_to_get_through() -> None:
    text = "Test set: loss=1\nAUC is: 0.75\n"
    auc = {**LOSS, "metric": "auc"}
    define: dict[str, Any] = {"auc": {"after": "AUC is:"}}
    kept_out = read(text, auc, lines="^Test set", define=define)
    assert kept_out.hints == [
        "line 2 mentions it: `AUC is: 0.75`; metrics.define.auc finds no number there; "
        "metrics.lines ('^Test set') holds for it too, as it has no `lines:` of its own"
    ]
    through = {"auc": {"after": "AUC is:", "lines": "^AUC"}}
    assert values(read(text, auc, lines="^Test set", define=through), "auc") == [0.75]
    other = {"auc": {"after": "AUC was:", "lines": "^AUC"}}
    (hint,) = read(text, auc, lines="^Test set", define=other).hints
    assert hint.endswith("`AUC is: 0.75`; metrics.define.auc finds no number there")
