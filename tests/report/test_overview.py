"""Drawings of a whole study: what is in them, and what is said beside them."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from markupsafe import Markup

from hpo_workflow.analysis.importance import Importance, Importances
from hpo_workflow.analysis.rungs import Rung, Rungs, Stay
from hpo_workflow.analysis.timeline import Asking, Attempt, timeline
from hpo_workflow.report.content import Best
from hpo_workflow.report.overview import (
    MOST_BARS,
    MOST_LINES,
    MOST_SLOTS,
    distribution_chart,
    importance_chart,
    ladder_chart,
    parallel_chart,
    slots_chart,
    slots_said,
)
from hpo_workflow.report.page import render
from tests.report.pages import content, parameters, row

SPACE = {
    "lr": {"type": "float", "low": 1e-5, "high": 0.1, "log": True},
    "opt": ["sgd", "adam"],
    "m": {"type": "float", "low": 0.0, "high": 1.0, "when": {"opt": "sgd"}},
}


def paths(svg: Markup | None, kind: str) -> list[dict[str, str]]:
    """The attributes of the paths that have a class."""
    assert svg is not None
    return [path.attrib for path in ET.fromstring(svg).iter("path") if kind in path.attrib["class"].split()]


def texts(svg: Markup | None) -> list[str]:
    assert svg is not None
    return [text.text or "" for text in ET.fromstring(svg).iter("text")]


def importances(n: int = 2, **changes: Any) -> Importances:
    each = tuple(Importance(f"p{i}", 0.5 / (i + 1), 0.4 / (i + 1), 0.6 / (i + 1), 9) for i in range(n))
    known: dict[str, Any] = {"parameters": each, "explained": 0.75, "n_trials": 40, "note": "of 40 trials"}
    return Importances(**{**known, **changes})


# ---- importances -------------------------------------------------------------------------------------------
def test_each_importance_is_a_bar_with_its_interval() -> None:
    svg, note = importance_chart(content(importances=importances()))
    assert note == "Together they explain 75% of the differences. of 40 trials"
    assert {"p0", "p1", "50% (40% to 60%)", "25% (20% to 30%)"} <= set(texts(svg))
    first, second = [float(re.findall(r"H([\d.]+)", path["d"])[0]) for path in paths(svg, "bar")]
    assert second < first
    low, high = re.findall(r"M([\d.]+) [\d.]+H([\d.]+)", paths(svg, "interval")[0]["d"])[0]
    assert float(low) < first < float(high)


def test_without_importances_it_is_said_why_or_nothing() -> None:
    assert importance_chart(content()) == (None, "")
    assert importance_chart(content(importances=importances(0, explained=None, note="too few"))) == (None, "too few")


def test_of_very_many_parameters_the_least_important_are_left_out() -> None:
    svg, note = importance_chart(content(importances=importances(MOST_BARS + 7, note="")))
    assert len(paths(svg, "bar")) == MOST_BARS
    assert note.endswith("7 less important ones are left out.")


# ---- spread of values --------------------------------------------------------------------------------------
def test_the_distribution_rises_in_steps_and_shows_the_target() -> None:
    svg, _ = distribution_chart(content(distribution=[(0.1, 0.5), (0.2, 1.0)], target=0.15))
    (line,) = paths(svg, "best")
    heights = [float(y) for y in re.findall(r"V([\d.]+)", line["d"])]
    assert len(heights) == 2 and heights[1] < heights[0]
    assert "target" in texts(svg)
    assert distribution_chart(content(distribution=[(0.1, 1.0)])) == (None, "")


# ---- slots -------------------------------------------------------------------------------------------------
def ran(number: int, begun: float, ended: float, how: str = "complete") -> Attempt:
    return Attempt(number, 1, begun, ended, how)


def test_attempts_waits_and_pauses_are_drawn_in_their_slots() -> None:
    attempts = [ran(0, 10, 100), ran(1, 0, 50, "lost"), ran(2, 60, 120, "failed"), ran(3, 5000, 5100)]
    batches = [Asking(0, "a", (0, 1)), Asking(55, "a", (2,), (1,)), Asking(4990, "b", (3,), (0, 2))]
    found = timeline(attempts, batches, 2)
    svg, note = slots_chart(content(timeline=found))
    assert note == ""
    held = {path["class"]: path["data-n"] for path in paths(svg, "held")}
    assert held == {"span held complete": "0 3", "span held lost": "1", "span held failed": "2"}
    assert {path["class"] for path in paths(svg, "wait")} == {"span wait proposing", "span wait starting"}
    assert svg is not None and svg.count('<rect class="pause"') == 1
    assert "minutes since the first trial was proposed" in texts(svg)
    said = slots_said(found)
    assert (
        said[0].startswith("2 slots were busy for ")
        and said[1] == "50 s of it went into attempts that nothing came of."
    )
    assert "Empty slots waited" in said[2] and said[3].startswith("Nobody ran the study for 1.4 h in between")


def test_a_slot_that_was_never_empty_waited_for_nothing() -> None:
    found = timeline([ran(0, 0, 60)], [Asking(0, "a", (0,))], 1)
    assert slots_said(found) == ["1 slot was busy for 100% of the time (1.0 min of 1.0 min, added up)."]
    assert slots_said(None) == [] and slots_chart(content()) == (None, "")


def test_attempts_too_close_to_be_told_apart_are_drawn_as_one_and_many_slots_cut() -> None:
    attempts = [ran(n, n // 400 * 10.0, n // 400 * 10.0 + 10) for n in range(40_000)]
    begun = time.process_time()
    svg, note = slots_chart(content(timeline=timeline(attempts, [Asking(0, "a", tuple(range(40_000)))], 400)))
    assert time.process_time() - begun < 8
    assert svg is not None and len(svg) < 1_500_000
    assert note == f"{400 - MOST_SLOTS} further slots are not drawn."
    (one,) = paths(svg, "complete")
    assert len(one["data-n"].split()) == one["d"].count("M") <= MOST_SLOTS * 100


# ---- levels ------------------------------------------------------------------------------------------------
def levels() -> Rungs:
    stays = [Stay(0, 0, 0, "promoted", 0.5), Stay(1, 1, 0, "failed", None), Stay(0, 2, 1, "ended", 0.25)]
    return Rungs((Rung(1.0, {"promoted": 1, "failed": 1}, (0.5, 0)), Rung(3.0, {"ended": 1}, (0.25, 2))), tuple(stays))


def test_each_configuration_stands_at_the_levels_that_it_has_reached() -> None:
    svg, note = ladder_chart(content(fidelity="epochs", rungs=levels()))
    assert note == ""
    assert {path["class"]: path["data-n"] for path in paths(svg, "stay")} == {
        "dots stay promoted": "0",
        "dots stay failed": "1",
        "dots stay ended": "2",
    }
    (low,), (high,) = (
        [float(y) for y in re.findall(r"M[\d.]+ ([\d.]+)", path["d"])] for path in paths(svg, "stay")[::2]
    )
    assert high < low  # y of SVG grows downwards
    assert {"1", "3", "epochs", "configuration"} <= set(texts(svg))
    assert ladder_chart(content()) == (None, "")


def test_the_page_counts_what_became_of_the_trials_of_each_level() -> None:
    page = render(content(0.5, None, 0.25, fidelity="epochs", rungs=levels()))
    table = page[page.index('aria-label="Levels"') :]
    cells = re.findall(r"<t[hd](?: scope=\"row\")?>([^<]*)", table[table.index("<tbody>") : table.index("</tbody>")])
    assert cells == ["1", "2", "1", "0", "0", "1", "0", "0.5 (", "3", "1", "0", "1", "0", "0", "0", "0.25 ("]


# ---- all parameters ----------------------------------------------------------------------------------------
def several(n: int) -> list[Any]:
    rows = []
    for number in range(n):
        params = {"lr": 10 ** (-5 + 4 * (number * 0.37 % 1)), "opt": "adam" if number % 2 else "sgd"}
        if number % 2 == 0:
            params["m"] = 0.5
        rows.append(row(number, 1.0 + number, params=params))
    return rows


def test_each_complete_trial_is_a_line_across_the_parameters_it_has() -> None:
    best = Best(0, 1.0, {}, "")
    rows = [*several(10), row(10, None, params={"lr": 0.1, "opt": "sgd", "m": 0.1})]
    svg, note = parallel_chart(content(rows=rows, parameters=parameters(SPACE), best=best))
    assert note == ""
    lines = paths(svg, "line")
    assert [line["class"] for line in lines][::3] == ["line v0", "line v1", "line v3", "line best"]
    assert [line["data-n"] for line in lines] == [str(n) for n in range(9, -1, -1)]
    assert [re.findall("[ML]", line["d"]) for line in lines[:2]] == [["M", "L", "M"], ["M", "L", "L", "L"]]
    assert {"lr (log)", "opt", "m", "loss", "sgd", "adam"} <= set(texts(svg))


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_of_many_trials_some_lines_are_drawn_with_the_best_on_top(direction: str) -> None:
    best = Best(0 if direction == "minimize" else 999, 1.0, {}, "")
    svg, note = parallel_chart(
        content(rows=several(1000), parameters=parameters(SPACE), best=best, direction=direction)
    )
    assert note == "Of 1000 complete trials 300 are drawn: the 100 best, and others evenly spread."
    assert len(paths(svg, "line")) == MOST_LINES
    assert paths(svg, "line")[-1]["class"] == "line best"


def test_of_many_parameters_the_most_important_are_shown_and_one_alone_is_not() -> None:
    space = {f"p{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(20)}
    rows = [row(n, n / 5, params={f"p{i}": 0.5 for i in range(20)}) for n in range(5)]
    found = importances(3, parameters=tuple(Importance(f"p{i}", 0.1, 0, 1, 5) for i in (17, 18, 19)))
    svg, note = parallel_chart(content(rows=rows, parameters=parameters(space), importances=found))
    assert note == "Of 20 parameters the 12 most important ones are shown."
    assert [text for text in texts(svg) if text.startswith("p")][:3] == ["p17", "p18", "p19"]
    assert parallel_chart(content(0.5, 0.25)) == (None, "")
