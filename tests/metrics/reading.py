"""What the tests of this folder read with."""

from __future__ import annotations

from typing import Any

from hpo_workflow.metrics import Extraction, MetricReader, judge

DONE = {"kind": "done", "reason": None, "detail": ""}
LOSS = {"metric": "loss", "direction": "minimize", "reduce": "last"}
BEST = {**LOSS, "reduce": "best"}
COMMA = "the comma can be a decimal point or a thousands separator; print it without"
"""Why `1,5` is refused."""


def read(text: str | bytes, objective: dict[str, Any] = LOSS, **settings: Any) -> Extraction:
    reader = MetricReader(settings, objective)
    reader.feed(text.encode() if isinstance(text, str) else text)
    return reader.close()


def values(extraction: Extraction, name: str = "loss") -> list[float]:
    return [value for _, value in extraction.points.get(name, [])]


def verdict(extraction: Extraction, objective: dict[str, Any] = LOSS) -> dict[str, Any]:
    return judge(DONE, extraction, objective, 1.0, 1.0)
