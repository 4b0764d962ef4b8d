"""Contents of reports, as short as they can be."""

from __future__ import annotations

from typing import Any

from hpo_workflow.analysis.findings import Finding
from hpo_workflow.analysis.importance import Importance, Importances
from hpo_workflow.analysis.rungs import Rung, Rungs, Stay
from hpo_workflow.analysis.timeline import Asking, Attempt, timeline
from hpo_workflow.report.content import Best, Content, Example, Failures, Row, Stage
from hpo_workflow.space import Parameter, SearchSpace

HOSTILE = (
    "\"><script>document.title='run'</script><img src=x onerror=\"document.title='run'\"> ]]>--> javascript:void(0) "
)
HOSTILE += "'`${1}{{ 7 * 7 }}{% raw %} \u202etxt\x1b[31m\x00\u2028&lt;"
"""A text that would do something wherever it is not taken as text."""


def parameters(space: dict[str, Any]) -> tuple[Parameter, ...]:
    """The parameters of a `space:`."""
    return SearchSpace.from_mapping(space).parameters


X = parameters({"x": {"type": "float", "low": 0.0, "high": 1.0}})


def row(number: int, value: float | None, **changes: Any) -> Row:
    """A trial that is complete, or failed where it has no value."""
    values: dict[str, Any] = {
        "number": number,
        "state": "complete" if value is not None else "failed",
        "value": value,
        "params": {"x": (number * 0.37) % 1},
        "metrics": {} if value is None else {"loss": value},
        "reason": None if value is not None else "oom",
        "seconds": 12.5,
    }
    return Row(**{**values, **changes})


def content(*values: float | None, **changes: Any) -> Content:
    """A study of one parameter whose trials ended with `values`; None is a failure."""
    rows = [row(number, value) for number, value in enumerate(values)]
    known: dict[str, Any] = {
        "study": "s",
        "description": "",
        "state": "ended",
        "sentence": "all trials done",
        "metric": "loss",
        "direction": "minimize",
        "target": None,
        "figures": [("best loss", "0.1", "trial 0")],
        "parameters": X,
        "rows": rows,
    }
    return Content(**{**known, **changes})


def population(*values: float | None, **changes: Any) -> Content:
    """Two members that were trained twice 2 epochs: trials 2 and 3 both went on from trial 0."""
    xs = [0.2, 0.9, 0.2, 0.24]
    rows = [
        row(n, value, params={"x": xs[n]}, fidelity=2 if n < 2 else 4, parent=None if n < 2 else 0)
        for n, value in enumerate(values)
    ]
    stages = [Stage(0, 0, 2, values[0], {"x": 0.2}), Stage(3, 2, 4, values[3], {"x": 0.24})]
    known: dict[str, Any] = {"rows": rows, "fidelity": "epochs", "stages": stages}
    return content(**{**known, **changes})


def hostile() -> Content:
    """A study in which every text is hostile, and some are very long."""
    space = parameters({"x": {"type": "float", "low": 0.0, "high": 1.0}, "c": [HOSTILE, "b", "y" * 1_000_000]})
    rows = [
        row(
            number,
            number / 10,
            params={"x": number / 10, "c": HOSTILE},
            metrics={HOSTILE: 1.0, "</script>": 2.0},
            fidelity=number + 1.0,
            parent=number - 1 if number else None,
        )
        for number in range(8)
    ]
    rows.append(row(8, None, params={"x": 0.5, "c": "y" * 1_000_000}, reason=HOSTILE))
    return content(
        study=HOSTILE,
        description=HOSTILE,
        sentence=HOSTILE,
        metric=HOSTILE,
        figures=[(HOSTILE, HOSTILE, HOSTILE)],
        parameters=space,
        rows=rows,
        best=Best(0, 0.0, {HOSTILE: HOSTILE, "c": "y" * 10_000}, HOSTILE),
        findings=[Finding("edge", HOSTILE, "likely", HOSTILE)],
        importances=Importances((Importance(HOSTILE, 0.5, 0.2, 0.8, 8),), 0.5, 8, HOSTILE),
        distribution=[(n / 10, (n + 1) / 8) for n in range(8)],
        timeline=timeline([Attempt(0, 1, 5.0, 9.0, "complete", HOSTILE)], [Asking(0.0, HOSTILE, (0,))], 1),
        rungs=Rungs((Rung(1.0, {"ended": 1}, (0.0, 0)),), (Stay(0, 0, 0, "ended", 0.0),)),
        fidelity=HOSTILE,
        stages=[Stage(n, n, n + 1.0, n / 10, {"x": n / 10, "c": HOSTILE}) for n in range(2)],
        step=HOSTILE,
        curves={HOSTILE: {0: [(1.0, 2.0), (2.0, 3.0)]}, "</script>": {0: [(1.0, 2.0), (2.0, 3.0)]}},
        curve_notes=[HOSTILE],
        pruning=[HOSTILE],
        pruned=[(1, HOSTILE)],
        audited=[(2, HOSTILE)],
        failures=[Failures(HOSTILE, [8], [Example(8, HOSTILE, HOSTILE, [HOSTILE, "z" * 1_000_000])])],
        warnings=[HOSTILE],
        facts=[(HOSTILE, [HOSTILE, "</style>"])],
        inputs={HOSTILE: HOSTILE},
        study_file=f"{HOSTILE}\n{'z' * 1_000_000}",
        written=HOSTILE,
    )
