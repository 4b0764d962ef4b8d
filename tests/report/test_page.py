"""The page: what it says, that it needs nothing else, and that nothing of a study is code in it."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import time
from html.parser import HTMLParser
from typing import Any

import pytest

from hpo_workflow.report.content import Best, Example, Failures, Stage
from hpo_workflow.report.page import MOST_SENTENCES, OPEN_PLOTS, render
from tests.report.pages import HOSTILE, content, hostile, parameters, population, row


class Reader(HTMLParser):
    """The elements of a page with their attributes, and the text of each kind of element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag
        self.texts.setdefault(tag, []).append("")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open][-1] += data


def cells(page: str) -> list[list[str]]:
    """The table of trials, without its head."""
    body = page[page.index('<table id="table">') :]
    body = body[body.index("<tbody>") : body.index("</tbody>")]
    rows = [re.findall(r"<td[^>]*>([^<\n]*)", line) for line in body.splitlines() if line.startswith("<tr")]
    rest = re.search(r'<script type="application/json" id="rest">(.*?)</script>', page)
    return rows + [[str(number), *texts] for number, _, _, *texts in json.loads(rest[1] if rest else "[]")]


def charts(page: str, label: str) -> list[str]:
    return [svg for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL) if label in svg[:200]]


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="(\w+)"', page)


# ---- what it says ------------------------------------------------------------------------------------------
def test_a_finished_study_has_all_sections() -> None:
    failures = [Failures("oom", [2], [Example(2, "killed", "results/s/trials/000/2/log", ["last line"])])]
    best = Best(1, 0.25, {"x": 0.1234567890123, "k": 3}, "python train.py --x=0.1234567890123")
    page = render(
        content(
            0.5,
            0.25,
            None,
            best=best,
            description="what it is",
            curves={"loss": {1: [(1.0, 0.5), (2.0, 0.25)]}},
            failures=failures,
            facts=[("sampler", ["tpe, seed 0"])],
            inputs={"train.py": "ab" * 32},
            study_file="study: s\n",
            written="Written today.",
        )
    )
    assert sections(page) == ["progress", "best", "parameters", "curves", "trials", "failures", "provenance"]
    for text in ("what it is", "0.1234567890123", "python train.py --x=0.1234567890123", "last line", "tpe, seed 0"):
        assert text in page
    for text in ("ab" * 32, "study: s", "Written today.", "all trials done", "killed"):
        assert text in page
    assert [line[:3] for line in cells(page)] == [
        ["0", "complete", "0.5"],
        ["1", "complete", "0.25"],
        ["2", "failed (oom)", ""],
    ]


def test_the_command_and_the_parameters_can_be_copied_exactly() -> None:
    command = "cd \"a b\"\nK=1 echo \u202e <x> & 'y' \x07"
    page = render(content(0.5, best=Best(0, 0.5, {"x": 0.1 + 0.2}, command)))
    copies = [
        json.loads(attributes["data-copy"] or "")
        for _, attributes in Reader(page).elements
        if "data-copy" in attributes
    ]
    assert json.loads(copies[0]) == {"x": 0.1 + 0.2}
    assert copies[1] == command


def test_a_study_without_a_trial_says_so() -> None:
    page = render(content(state="running"))
    assert "No trial has been proposed yet." in page
    assert sections(page) == ["progress", "provenance"]


def test_pruned_trials_are_marked_and_say_why() -> None:
    rows = [row(0, 0.5), row(1, 0.9, state="pruned", reason="median"), row(2, None, state="pruned", reason="median")]
    curves = {"loss": {0: [(1.0, 0.6), (2.0, 0.5)], 1: [(1.0, 0.95), (2.0, 0.9)]}}
    why = [(number, f"step {number}: <hopeless>") for number in range(1, MOST_SENTENCES + 3)]
    page = render(
        content(0, rows=rows, curves=curves, pruning=["pruning: median ended 2 trials", "audit: ..."], pruned=why)
    )
    assert "pruning" in sections(page)
    assert [line[1] for line in cells(page)] == ["complete", "pruned (median)", "pruned (median)"]
    assert '<a href="#t1">trial 1</a>: step 1: &lt;hopeless&gt;' in page
    assert "<li>and 2 more</li>" in page
    assert "would have been ended" not in page
    (progress,) = charts(page, "and the best so far")
    assert 'class="dots o pruned" d="' in progress
    (course,) = charts(page, "in the course")
    assert re.findall(r'class="line (\w+)', course) == ["o0", "pruned"]
    assert 'class="faint"' in page and 'class="dotted"' in page
    audited = render(content(0.5, pruning=["audit: ..."], audited=[(0, "step 3: ...")]))
    assert '<a href="#t0">trial 0</a>: step 3: ...' in audited


def test_a_study_without_pruned_trials_has_no_word_of_them() -> None:
    assert "pruned" not in re.sub(r"<style>.*?</style>", "", render(content(0.5, None)), flags=re.DOTALL)


def test_a_study_whose_trials_all_failed_shows_them_and_why() -> None:
    failures = [Failures("exit_code", [0, 1], [Example(1, "", "log", [])])]
    page = render(content(None, None, state="failed", failures=failures))
    assert "No trial is complete yet." in page
    assert sections(page) == ["progress", "trials", "failures", "provenance"]
    assert "log is empty or not there" in page


def test_a_single_trial_gets_its_charts() -> None:
    page = render(content(0.5))
    assert len(charts(page, "best so far")) == len(charts(page, "loss against x")) == 1


def test_trials_that_go_on_from_each_other_are_joined_and_the_best_ones_stages_listed() -> None:
    page = render(population(0.5, 0.9, 0.4, 0.3))
    assert sections(page) == ["progress", "parameters", "lineage", "trials", "provenance"]
    (family,) = charts(page, "loss from trial to trial")
    lines = re.findall(r'<path class="line (\w+)" d="(M[^"]*)" data-n="(\d)"/>', family)
    assert [(kind == "best", number) for kind, _, number in lines] == [
        (False, "1"),
        (False, "2"),
        (True, "0"),
        (True, "3"),
    ]
    ends = {number: path.replace("h0", "").lstrip("M").split("L") for _, path, number in lines}
    assert [len(ends[number]) for number in "0123"] == [1, 1, 2, 2]
    assert ends["2"][0] == ends["3"][0] == ends["0"][0]
    (schedule,) = charts(page, "x while training")
    (best,) = re.findall(r'<path class="line best" d="M([^"]*)"', schedule)
    assert len(best.split("L")) == 4
    stages = page[page.index('aria-label="Stages of the best trial"') :]
    assert re.findall(r"<td>([^<]*)</td>", stages[: stages.index("</table>")]) == [
        "0 to 2",
        "0.5",
        "0.2",
        "2 to 4",
        "0.3",
        "0.24",
    ]
    assert [line[:5] for line in cells(page)] == [
        ["0", "complete", "0.5", "2", ""],
        ["1", "complete", "0.9", "2", ""],
        ["2", "complete", "0.4", "4", "0"],
        ["3", "complete", "0.3", "4", "0"],
    ]


def test_a_schedule_in_which_nothing_changes_has_no_chart_and_one_of_failures_no_lineage() -> None:
    same = [Stage(0, 0, 2, 0.5, {"x": 0.2}), Stage(2, 2, 4, 0.4, {"x": 0.2})]
    page = render(population(0.5, 0.9, 0.4, None, stages=same))
    assert "lineage" in sections(page)
    assert charts(page, "x while training") == []
    assert "lineage" not in sections(render(population(0.5, 0.9, None, None, stages=[])))


def test_of_a_large_population_a_part_is_drawn_and_the_best_ones_line_is_whole() -> None:
    rows = [
        row(n, 1.0 if n < 100 else 1 / n, fidelity=1 + n // 100, parent=n - 100 if n >= 100 else None)
        for n in range(1500)
    ]
    stages = [Stage(n, n // 100, 1 + n // 100, 1.0, {"x": 0.5}) for n in range(99, 1500, 100)]
    page = render(content(rows=rows, fidelity="epochs", stages=stages))
    (family,) = charts(page, "loss from trial to trial")
    assert family.count('class="line best"') == 15
    assert 1000 <= family.count('class="line') <= 1015
    assert re.search(r"Of 1500 trials 10\d\d are drawn", page)


@pytest.mark.parametrize(
    "values",
    [
        [0.25] * 12,
        [1e-300, 1.0, 1e300],
        [-1e300, 1.7e308, -1.7e308, 0.0],
        [5e-324, 1e-320, 3.0],
        [*(i / 10 for i in range(12)), 1e30, None],
    ],
)
def test_extreme_values_get_charts_without_nonsense_in_them(values: list[float | None]) -> None:
    for target in (None, 0.0, 1e-5, -1e300):
        page = render(content(*values, target=target))
        for svg in charts(page, "loss"):
            assert not re.search(r"nan|inf|e[+-]\d", re.sub(r"<text.*?</text>|aria-label=\"[^\"]*\"", "", svg))
            numbers = [
                float(text)
                for text in re.findall(r"[MHVL ](-?\d+(?:\.\d+)?)", " ".join(re.findall(r' d="([^"]*)"', svg)))
            ]
            assert numbers and all(-10 <= number <= 650 for number in numbers)


def test_running_and_proposed_trials_are_in_the_table_and_in_no_chart() -> None:
    rows = [row(0, 0.5), row(1, None, state="running", reason=None), row(2, None, state="proposed", reason=None)]
    page = render(content(rows=rows))
    assert [line[1] for line in cells(page)] == ["complete", "running", "proposed"]
    assert 'data-n="0"' in charts(page, "best so far")[0] and "crosses" not in charts(page, "best so far")[0]
    assert '<option value="running">running (1)</option>' in page


def test_a_cached_trial_is_called_so() -> None:
    assert cells(render(content(rows=[row(0, 0.5, cached=True)])))[0][1] == "complete, from the cache"


def test_a_trial_in_which_a_parameter_is_inactive_is_not_in_its_plot() -> None:
    space = parameters(
        {"opt": ["adam", "sgd"], "m": {"type": "float", "low": 0.0, "high": 1.0, "when": {"opt": "sgd"}}}
    )
    rows = [row(0, 0.5, params={"opt": "adam"}), row(1, 0.25, params={"opt": "sgd", "m": 0.5})]
    page = render(content(rows=rows, parameters=space))
    assert 'data-n="1"' in charts(page, "loss against m")[0]
    assert 'data-n="0"' not in charts(page, "loss against m")[0]
    assert [line[4:6] for line in cells(page)] == [["adam", ""], ["sgd", "0.5"]]


def test_outliers_and_a_target_off_the_axis_are_said() -> None:
    page = render(content(*(0.5 + i / 100 for i in range(20)), 900.0, target=-50.0))
    assert "1 value is far off and drawn as a square at the edge." in page
    assert "The target, -50, lies off the axis." in page


def test_the_value_that_sorts_is_the_exact_one() -> None:
    page = render(content(0.12345678901, 0.12345678902))
    assert re.findall(r'data-v="([^"]+)"', page) == ["0.12345678901", "0.12345678902"]


@pytest.mark.parametrize(("direction", "first"), [("minimize", "ascending"), ("maximize", "descending")])
def test_the_first_click_on_the_objective_shows_the_best(direction: str, first: str) -> None:
    heads = [each for tag, each in Reader(render(content(0.5, direction=direction))).elements if "data-first" in each]
    assert [head["data-first"] for head in heads] == ["ascending", "ascending", first, "ascending", "ascending"]


# ---- learning curves ---------------------------------------------------------------------------------------
def test_each_metric_has_a_chart_and_a_choice_the_objective_first() -> None:
    course = {0: [(1.0, 0.5), (2.0, math.nan), (3.0, 0.25)]}
    page = render(content(0.25, curves={"loss": course, "accuracy": course, "once": {0: [(1.0, 0.5)]}}))
    assert re.findall(r'<option value="\d">(\w+)', page) == ["loss", "accuracy"]
    assert len(charts(page, "in the course")) == 2
    many = {f"m{i}": course for i in range(12)}
    page = render(content(0.25, curves={"loss": course, **many}))
    assert len(charts(page, "in the course")) == 8
    assert "Not drawn: m7, m8, m9, m10, m11." in page


def test_long_curves_are_thinned() -> None:
    page = render(content(0.5, curves={"loss": {0: [(float(step), math.sin(step)) for step in range(10_000)]}}))
    assert len(charts(page, "in the course")[0]) < 6000


# ---- size --------------------------------------------------------------------------------------------------
def study_of(n_trials: int, n_parameters: int) -> Any:
    space = parameters({f"p{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(n_parameters)})
    rows = [
        row(
            n,
            n * 0.7548776662466927 % 1,
            params={f"p{i}": (n * 0.569840290998 + i / 7) % 1 for i in range(n_parameters)},
        )
        for n in range(n_trials)
    ]
    return content(
        rows=rows,
        parameters=space,
        curves={"loss": {n: [(float(s), 1 / (s + 1)) for s in range(30)] for n in range(60)}},
    )


@pytest.mark.parametrize(
    ("n_trials", "n_parameters", "most_bytes"), [(4096, 5, 1_500_000), (4096, 60, 5_000_000), (20, 60, 400_000)]
)
def test_pages_of_large_studies_stay_small(n_trials: int, n_parameters: int, most_bytes: int) -> None:
    study = study_of(n_trials, n_parameters)
    begun = time.process_time()
    page = render(study)
    assert time.process_time() - begun < 10  # 1 s where nothing else runs; a hang or a square law is meant
    assert len(page) < most_bytes
    assert len(cells(page)) == n_trials
    assert len(charts(page, "loss against")) == n_parameters


def test_many_parameters_are_folded_after_the_first() -> None:
    page = render(study_of(5, 60))
    shown, _, folded = page.partition(f"<summary>{60 - OPEN_PLOTS} more parameters</summary>")
    assert len(charts(shown, "loss against")) == OPEN_PLOTS
    assert len(charts(folded, "loss against")) == 60 - OPEN_PLOTS


def test_of_many_dots_those_of_the_best_trials_are_drawn() -> None:
    page = render(study_of(4096, 60))
    assert "Of 4096 trials 1000 are drawn: the 333 best, and others evenly spread." in page
    numbers = {n for text in re.findall(r'data-n="([^"]*)"', charts(page, "loss against p59")[0]) for n in text.split()}
    best = sorted(range(4096), key=lambda n: n * 0.7548776662466927 % 1)[:333]
    assert len(numbers) == 1000 and {str(n) for n in best} <= numbers


# ---- safety ------------------------------------------------------------------------------------------------
def test_the_policy_allows_the_own_style_and_script_and_nothing_else() -> None:
    page = render(content(0.5))
    (policy,) = (a["content"] for tag, a in Reader(page).elements if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in (policy or "").split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    for rule, tag in (("style-src", "style"), ("script-src", "script")):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert page.index("Content-Security-Policy") < page.index("<style>") < page.index("<script>")


def test_the_page_needs_no_other_file_and_no_network() -> None:
    for page in (render(content(0.5, None)), render(hostile())):
        for tag, attributes in Reader(page).elements:
            assert tag not in (
                "link",
                "img",
                "iframe",
                "object",
                "embed",
                "base",
                "form",
                "image",
                "use",
                "foreignobject",
            )
            assert not {"src", "srcset", "style", "action", "xlink:href"} & attributes.keys()
            assert not [name for name in attributes if name.startswith("on")]
            assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in page.lower() and "@import" not in page.lower()


def test_hostile_texts_add_no_element_and_no_character_that_steers() -> None:
    page = render(hostile())
    plain = render(content(0.5))
    assert len(re.findall("<script", page)) == len(re.findall("<script", plain)) == 1
    assert len(re.findall("<style", page)) == 1
    for character in ("\u202e", "\x1b", "\x00", "\u2028", "\x07"):
        assert character not in page
    assert "49" not in re.findall(r"<h1>(.*?)</h1>", page)[0]  # {{ 7 * 7 }} of a study is no template
    shown = "".join(Reader(page).texts["h1"])
    assert shown.startswith(HOSTILE[:40])


def test_texts_of_a_megabyte_are_cut() -> None:
    assert len(render(hostile())) < 200_000


def test_a_text_that_no_file_can_hold_is_shown_all_the_same() -> None:
    assert "\N{REPLACEMENT CHARACTER}" in render(content(0.5, description="half \ud800 a pair")).encode().decode()
