"""`explain` tells each line on which there is something to say."""

from __future__ import annotations

import pytest

from hpo_workflow import metrics
from hpo_workflow.metrics import explain
from tests.metrics.reading import COMMA, LOSS


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


def test_the_package_offers_all_its_public_names() -> None:
    for name in metrics.__all__:
        assert getattr(metrics, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'explian'"):
        getattr(metrics, "explian")  # noqa: B009  (mypy would complain about the plain spelling)
