"""Optuna's plots as figures of a page: what is in them, and that names of a study are nothing but text."""

from __future__ import annotations

import base64
import gzip
import json
import re
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from hpo_workflow.report import figures as module
from hpo_workflow.report.content import Best, Content
from hpo_workflow.report.figures import MOST_LINES, MOST_POINTS, Figure, figures, literal, packed_plotly_js, plotly_js
from hpo_workflow.report.page import interactive_plots, render
from tests.hostile_texts import HOSTILE
from tests.report.pages import content, hostile, parameters, population, row
from tests.report.test_page import study_of


def drawn(study: Content, key: str, ranked: list[str] | None = None) -> dict[str, Any]:
    """Data and layout of one figure; none may have failed."""
    made = figures(study, ranked or [])
    assert not made.problems
    answer: dict[str, Any] = json.loads(made.by_key[key].json)
    return answer


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in figure["data"] if each.get("name") == name)
    return dict(found)


def varied() -> Content:
    """Trials of every kind, with a conditional number, a small whole one and choices."""
    space = parameters(
        {
            "lr": {"type": "float", "low": 0.001, "high": 1.0, "log": True},
            "layers": {"type": "int", "low": 1, "high": 4},
            "opt": ["sgd", "adam"],
            "m": {"type": "float", "low": 0.0, "high": 1.0, "when": {"opt": "sgd"}},
        }
    )
    rows = []
    for n in range(40):
        params: dict[str, Any] = {
            "lr": 10 ** (-3 * ((n * 0.37) % 1)),
            "layers": n % 4 + 1,
            "opt": "adam" if n % 3 else "sgd",
        }
        params |= {"m": n / 40} if params["opt"] == "sgd" else {}
        value = (n * 0.618) % 1 + params["layers"] / 8
        rows.append(row(n, value, params=params))
    rows[5] = replace(rows[5], state="failed", value=None, reason="oom")
    rows[7] = replace(rows[7], state="pruned", value=0.9)
    rows[9] = replace(rows[9], value=1e9)
    del rows[3]  # of another version of the program: it does not count, and its number is not given again
    return content(rows=rows, parameters=space, best=Best(8, rows[7].value or 0.0, {}, ""), target=0.2)


# ---- what is in them ---------------------------------------------------------------------------------------
def test_the_history_has_real_numbers_the_best_so_far_and_what_has_no_value() -> None:
    figure = drawn(varied(), "history")
    complete, best = trace(figure, "complete"), trace(figure, "best so far")
    assert complete["x"] == complete["customdata"] == [n for n in range(40) if n not in (3, 5, 7)]
    assert best["x"][-1] == 39 and best["y"] == sorted(best["y"], reverse=True)
    assert trace(figure, "pruned")["x"] == [7] and trace(figure, "failed")["x"] == [5]
    assert figure["layout"]["yaxis"]["range"][1] < 3  # the value that is far off squeezes nothing
    assert figure["layout"]["shapes"][0]["y0"] == 0.2
    assert "1 value is far off" in figures(varied()).by_key["history"].note


def test_a_slice_spans_the_range_and_leaves_out_trials_in_which_its_parameter_is_inactive() -> None:
    figure = drawn(varied(), "slice-3")
    assert [n % 3 for n in figure["data"][0]["customdata"]] == [0] * 13
    assert figure["layout"]["xaxis"]["range"] == pytest.approx([-0.03, 1.03])
    logarithmic = drawn(varied(), "slice-0")["layout"]["xaxis"]
    assert (logarithmic["type"], logarithmic["range"]) == ("log", pytest.approx([-3.09, 0.09]))
    choices = drawn(varied(), "slice-2")
    assert choices["layout"]["xaxis"]["categoryarray"] == ["sgd", "adam"]  # as in the study file, without quotes
    assert set(choices["data"][0]["x"]) == {"sgd", "adam"}


def test_parallel_coordinates_keep_the_order_of_choices_and_draw_the_best_trial_last() -> None:
    figure = drawn(varied(), "parallel", ["layers"])
    lines = [each for each in figure["data"] if each["mode"] == "lines"]
    best = min((r for r in varied().rows if r.state == "complete"), key=lambda r: r.value or 0.0)
    assert lines[-1]["meta"] == best.number and len(lines) == 37
    assert lines[0]["meta"] == 9 and lines[0]["y"][0] == 1  # far off: at the end of the axis, the worst colour
    assert lines[0]["line"]["color"] == "scale:0.000"
    assert figure["layout"]["xaxis"]["ticktext"] == ["loss", "lr", "layers", "opt", "m"]
    marks = {(mark["x"], mark["text"]): mark["y"] for mark in figure["layout"]["annotations"]}
    assert (marks[3, "sgd"], marks[3, "adam"]) == (0, 1)
    assert [marks[2, str(n)] for n in (1, 2, 3, 4)] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert marks[4, "inactive"] == 0
    decades = sorted(place for (axis, _), place in marks.items() if axis == 1)
    assert min(b - a for a, b in pairwise(decades)) > 0.05
    (line,) = (each for each in lines if each["meta"] == 10)  # adam, 3 layers
    assert line["y"][2:] == pytest.approx([2 / 3, 1, 0])


def test_contours_are_of_the_most_important_parameters_and_within_the_colours() -> None:
    made = figures(varied(), ["m", "layers"])
    titles = [figure.title for figure in made.starting("contour")]
    pairs = [set(title.removeprefix("loss against ").split(" and ")) for title in titles]
    assert pairs == [{"layers", "lr"}, {"layers", "opt"}, {"lr", "opt"}]  # m is active in too few trials
    for figure in made.starting("contour"):
        surface, points = json.loads(figure.json)["data"]
        heights = [z for line in surface["z"] for z in line if z is not None]
        assert heights and 0 <= min(heights) <= max(heights) <= 1 == surface["zmax"]
        assert len(surface["z"]) == len(surface["y"]) and len(surface["z"][0]) == len(surface["x"])
        assert len(points["customdata"]) == len(points["x"]) == len(points["y"])


def test_the_distribution_is_on_the_axis_of_the_values() -> None:
    values = [10.0**-power for power in range(5)] * 4
    figure = drawn(content(*values), "edf")
    (line,) = figure["data"]
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert line["x"][0] == pytest.approx(1e-4) and line["x"][-1] == pytest.approx(1)
    assert line["y"][0] == pytest.approx(0.2) and line["y"][-1] == 1
    middle = next(y for x, y in zip(line["x"], line["y"], strict=True) if x > 0.0101)
    assert middle == pytest.approx(0.6)


def test_with_levels_only_trials_of_one_are_distributed_and_others_say_that_they_are_mixed() -> None:
    rows = [row(n, n / 40 + 0.1, fidelity=1.0 if n % 2 else 3.0) for n in range(40)]
    rows = [replace(each, params={"lr": 0.01 + each.number / 50}) for each in rows]
    study = content(rows=rows, fidelity="epochs", best=Best(2, 0.15, {}, ""), parameters=varied().parameters[:1])
    made = figures(study)
    assert made.by_key["edf"].note == "Of the 20 trials that were trained as far as the best one."
    line = json.loads(made.by_key["edf"].json)["data"][0]
    assert line["y"][0] == pytest.approx(1 / 20)
    assert made.by_key["importances"].note == "Trials of all levels are in it."
    alone = figures(
        replace(study, best=Best(0, 0.1, {}, ""), rows=[replace(study.rows[0], fidelity=9.0), *study.rows[1:]])
    )
    assert "edf" not in alone.by_key and not alone.problems


def test_importances_find_the_parameter_that_matters() -> None:
    space = parameters({name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("idle", "acts")})
    rows = [row(n, (n * 0.37) % 1, params={"acts": (n * 0.37) % 1, "idle": (n * 0.754) % 1}) for n in range(60)]
    (bars,) = drawn(content(rows=rows, parameters=space), "importances")["data"]
    assert bars["y"] == ["idle", "acts"] and bars["x"][1] > 0.8


def test_learning_curves_keep_their_steps_and_mark_the_best_trial() -> None:
    course = [(0.5, 0.9), (1.0, float("nan")), (1.5, 0.4)]
    study = content(
        0.5, 0.4, curves={"loss": {0: course, 1: course}, "once": {0: [(1.0, 1.0)]}}, best=Best(1, 0.4, {}, "")
    )
    figure = drawn(study, "curves-0")
    assert [(each["meta"], each["x"], each["y"]) for each in figure["data"]] == [
        (0, [0.5, 1.0, 1.5], [0.9, None, 0.4]),
        (1, [0.5, 1.0, 1.5], [0.9, None, 0.4]),
    ]
    assert figure["data"][1]["line"]["color"] == "--blue"
    assert "curves-1" not in figures(study).by_key


@pytest.mark.parametrize(
    "study",
    [
        content(),
        content(None, None),
        content(0.5),
        content(0.25, 0.25, 0.25),
        content(*[0.25] * 30),
        content(1e-300, 1.0, 1e300, *[0.5] * 30),
        content(-1e300, 1.7e308, -1.7e308, 0.0),
        content(5e-324, 1e-320, 3.0, direction="maximize", target=-1.0),
        content(0.5, 0.4, parameters=()),
        content(*(n / 10 for n in range(30)), target=1e-9),
        population(0.5, 0.9, 0.4, 0.3),
        population(0.5, 0.9, None, None, stages=[]),
        varied(),
        replace(varied(), direction="maximize"),
        hostile(),
    ],
)
def test_every_study_gets_figures_without_a_fault_and_without_nonsense_in_them(study: Content) -> None:
    made = figures(study)
    assert made.problems == []
    assert ("history" in made.by_key) == any(each.state == "complete" for each in study.rows)
    for figure in made.by_key.values():
        json.loads(figure.json, parse_constant=pytest.fail)
        assert not re.search(r"[<>&\u2028\u2029]|~\d{4}~", figure.json)


def test_a_plot_that_fails_costs_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Figure:
        raise RuntimeError("a fault of others")

    monkeypatch.setattr(module, "_parallel", broken)
    made = figures(varied())
    assert "history" in made.by_key and "parallel" not in made.by_key
    assert made.problems == ["The plot parallel could not be made: RuntimeError: a fault of others"]
    assert "a fault of others" in render(varied(), made)


# ---- names -------------------------------------------------------------------------------------------------
def test_nothing_in_a_name_means_anything_to_plotly() -> None:
    assert literal("<b>&lt;$x$%{y}\x1b\u202e") == "&lt;b&gt;&amp;lt;&#36;x&#36;&#37;{y}\ufffd\ufffd"
    for text in HOSTILE:
        shown = literal(text)
        assert not re.search(r"[<>$%\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", shown)
        assert re.sub(r"&(amp|lt|gt|#36|#37);", "", shown).count("&") == 0


def test_choices_that_begin_alike_or_look_like_tokens_stay_apart() -> None:
    choices = ["x" * 50 + "1", "x" * 50 + "2", "~0000~", "'~0001~'", "None"]
    rows = [row(n, n / 10 + 0.1, params={"c": choices[n % 5]}) for n in range(10)]
    figure = drawn(content(rows=rows, parameters=parameters({"c": choices, "d": [1, 2]})), "slice-0")
    shown = figure["layout"]["xaxis"]["categoryarray"]
    assert len(set(shown)) == 5 and shown[2:] == choices[2:]


# ---- large ones --------------------------------------------------------------------------------------------
def test_figures_of_ten_thousand_trials_stay_small_and_keep_the_best() -> None:
    study = study_of(10_000, 4)
    begun = time.process_time()
    made = figures(study)
    assert time.process_time() - begun < 30  # 4 s where nothing else runs; a hang or a square law is meant
    assert sum(len(figure.json) for figure in made.by_key.values()) < 2_000_000
    best = min(study.rows, key=lambda each: each.value or 0.0).number
    history = json.loads(made.by_key["history"].json)
    assert best in history["data"][0]["customdata"] and len(history["data"][0]["x"]) <= MOST_POINTS + 50
    assert f"Of 10000 trials {MOST_POINTS} are drawn" in made.by_key["history"].note
    lines = [each for each in json.loads(made.by_key["parallel"].json)["data"] if each["mode"] == "lines"]
    assert len(lines) == MOST_LINES and lines[-1]["meta"] == best


# ---- the page ----------------------------------------------------------------------------------------------
def test_a_page_with_plots_carries_plotly_once_and_allows_it_by_its_digest_only() -> None:
    plots, hint = interactive_plots(varied())
    page = render(varied(), plots, hint)
    assert hint == "" and page.count('id="plotly"') == 1
    packed = re.search(r'<script type="text/plain" id="plotly">([^<]*)</script>', page)
    assert packed and gzip.decompress(base64.b64decode(packed[1])).decode() == plotly_js()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert "unsafe" not in policy and "http" not in policy and policy.startswith("default-src &#39;none&#39;;")
    assert len(page) < 3_000_000
    assert packed_plotly_js() == packed[1]


def test_a_page_without_the_extra_says_what_it_would_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo_workflow.report.page.is_installed", lambda: False)
    plots, hint = interactive_plots(varied())
    page = render(varied(), plots, hint)
    assert "pip install &#39;hpo-workflow[report]&#39;" in page
    assert 'id="plotly"' not in page and 'class="stage"' not in page and len(page) < 150_000
    assert "hpo-workflow[report]" not in render(varied())  # who wants a plain page is told nothing
