"""The page in Chromium: sorting, filtering, hovering, narrow windows, hostile names."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.report.content import Best, Content, Example, Failures
from hpo_workflow.report.page import interactive_plots, render
from tests.browser import Seen, dump, look
from tests.hostile_texts import HOSTILE
from tests.report.pages import content, hostile, parameters, row
from tests.report.test_page import study_of

pytestmark = pytest.mark.need("browser")

NUMBERS = """
const rows = () => [...document.querySelectorAll("#table tbody tr")].filter((row) => row.offsetParent !== null);
const numbers = () => rows().map((row) => Number(row.cells[0].textContent));
const head = (name) => [...document.querySelectorAll("#table thead th")].find((th) => th.textContent.trim() === name);
const press = (name) => head(name).querySelector("button").click();
"""


def seen(study: Content, script: str, folder: Path, width: int = 1200) -> Seen:
    page = folder / "report.html"
    page.write_text(render(study), encoding="utf-8")
    return look(page, NUMBERS + script, folder, width=width)


def mixed() -> Content:
    """Trials that are complete, failed and running, with a conditional number and a choice."""
    space = parameters(
        {"opt": ["sgd", "adam"], "m": {"type": "float", "low": 0.0, "high": 100.0, "when": {"opt": "sgd"}}}
    )
    rows = [
        row(0, 0.5, params={"opt": "sgd", "m": 9.0}),
        row(1, None, params={"opt": "adam"}),
        row(2, 0.125, params={"opt": "sgd", "m": 10.0}),
        row(3, None, params={"opt": "adam"}, state="running", reason=None),
        row(4, 0.25, params={"opt": "adam"}),
    ]
    course = {number: [(1.0, 0.9), (2.0, 0.5)] for number in (0, 2, 4)}
    best = Best(2, 0.125, {"opt": "sgd", "m": 10.0}, "python train.py --opt=sgd --m=10.0")
    return content(rows=rows, parameters=space, best=best, curves={"loss": course, "acc": course})


def test_a_click_on_a_head_sorts_and_a_second_one_turns_the_order(tmp_path: Path) -> None:
    found = seen(
        mixed(),
        """
        const answer = [numbers(), head("trial").getAttribute("aria-sort")];
        for (const name of ["loss", "loss", "m", "opt", "trial"]) {
          press(name);
          answer.push(numbers(), head(name).getAttribute("aria-sort"));
        }
        answer.push(document.querySelectorAll("[aria-sort]").length);
        return answer;
        """,
        tmp_path,
    )
    assert found.value == [
        *([0, 1, 2, 3, 4], "ascending"),
        *([2, 4, 0, 1, 3], "ascending"),
        *([0, 4, 2, 1, 3], "descending"),  # what has no value stays last
        *([0, 2, 1, 3, 4], "ascending"),  # 9 before 10: as numbers
        *([1, 3, 4, 0, 2], "ascending"),
        *([0, 1, 2, 3, 4], "ascending"),
        1,
    ]
    assert found.console == []


def test_the_heads_can_be_reached_and_pressed_with_the_keyboard(tmp_path: Path) -> None:
    found = seen(
        mixed(),
        """
        const button = head("loss").querySelector("button");
        button.focus();
        return [document.activeElement === button, button.tabIndex, button.type, button.disabled];
        """,
        tmp_path,
    )
    assert found.value == [True, 0, "button", False]


def test_the_filter_shows_one_state_and_counts_it(tmp_path: Path) -> None:
    found = seen(
        mixed(),
        """
        const state = document.querySelector("#state");
        const answer = [];
        for (const wanted of ["failed", "complete", ""]) {
          state.value = wanted;
          state.dispatchEvent(new window.Event("change"));
          answer.push(numbers(), document.querySelector("#count").textContent);
        }
        return answer;
        """,
        tmp_path,
    )
    assert found.value == [[1], "1 shown", [0, 2, 4], "3 shown", [0, 1, 2, 3, 4], "5 shown"]


def test_conditions_filter_the_table_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    study = mixed()
    rows = [
        replace(each, metrics={**each.metrics, "val loss": 0.5}) if each.number == 4 else each for each in study.rows
    ]
    found = seen(
        replace(study, rows=rows),
        """
        const filter = document.querySelector("#filter");
        const answer = {};
        const texts = ["m<9.5", "M >= 9, loss<=0.125", "loss<2e-1", "opt=sgd", "opt!=sgd loss>0", "opt~da", "oom"];
        for (const text of [...texts, "state=failed", '"val loss"=.5', "m=", "nope<1", "opt<x", ""]) {
          filter.value = text.replace(",", "");
          filter.dispatchEvent(new window.Event("input"));
          await new Promise((done) => setTimeout(done, 10));
          answer[text] = [numbers(), filter.validity.valid ? "" : document.querySelector("#count").textContent];
        }
        return answer;
        """,
        tmp_path,
    )
    everything = [0, 1, 2, 3, 4]
    assert found.value == {
        "m<9.5": [[0], ""],
        "M >= 9, loss<=0.125": [[2], ""],
        "loss<2e-1": [[2], ""],
        "opt=sgd": [[0, 2], ""],
        "opt!=sgd loss>0": [[4], ""],  # a failed trial has no value to be above 0
        "opt~da": [[1, 3, 4], ""],
        "oom": [[1], ""],
        "state=failed": [[1], ""],
        '"val loss"=.5': [[4], ""],
        "m=": [everything, '"m=" is half a condition: 5 shown'],
        "nope<1": [everything, 'there is no column "nope": 5 shown'],
        "opt<x": [everything, '"x" is no number: 5 shown'],
        "": [everything, ""],
    }
    assert found.console == []


def test_a_long_table_shows_its_first_rows_until_all_are_asked_for(tmp_path: Path) -> None:
    found = seen(
        content(*((n * 0.37) % 1 for n in range(700))),  # more than the page holds as they are
        """
        const answer = [rows().length, document.querySelector("#count").textContent];
        press("loss");
        const first = Number(rows()[0].cells[0].textContent);
        document.querySelector("#more").click();
        return [...answer, first, rows().length, document.querySelector("#more").offsetParent === null];
        """,
        tmp_path,
    )
    assert found.value == [100, "the first 100 of 700 shown", 0, 700, True]


def test_the_trial_under_the_pointer_is_named_with_its_value_and_parameters(tmp_path: Path) -> None:
    found = seen(
        mixed(),
        """
        const answer = [];
        for (const chart of document.querySelectorAll("#parameters .chart, #progress .chart")) {
          chart.scrollIntoView();
          const path = [...chart.querySelectorAll("path[data-n]")].find((each) => each.dataset.n.split(" ")[0] === "2"
            || each.dataset.n.split(" ").includes("2"));
          const index = path.dataset.n.split(" ").indexOf("2");
          const [x, y] = path.getAttribute("d").split("M")[index + 1].match(/[\\d.]+/g).map(Number);
          const at = new window.DOMPoint(x + 1, y + 1).matrixTransform(chart.getScreenCTM());
          chart.dispatchEvent(new window.PointerEvent("pointermove", {bubbles: true, clientX: at.x, clientY: at.y}));
          const tip = document.querySelector("#tip");
          answer.push(tip.hidden ? "" : tip.textContent);
          document.body.dispatchEvent(new window.PointerEvent("pointermove", {bubbles: true, clientX: 1, clientY: 1}));
          answer.push(tip.hidden);
        }
        return answer;
        """,
        tmp_path,
    )
    text = "trial 2: complete\nloss = 0.125\nseconds = 12.5\nopt = sgd\nm = 10"
    assert found.value == [text, True] * 3
    assert found.console == []


def test_one_metric_of_several_is_shown_at_a_time(tmp_path: Path) -> None:
    found = seen(
        mixed(),
        """
        const shown = () => [...document.querySelectorAll(".curve")].filter((each) => each.offsetParent !== null)
          .map((each) => each.querySelector(".said").textContent.trim());
        const answer = [shown()];
        document.querySelector("#metric").value = "1";
        document.querySelector("#metric").dispatchEvent(new window.Event("change"));
        return [...answer, shown()];
        """,
        tmp_path,
    )
    assert found.value == [["loss"], ["acc"]]


@pytest.mark.parametrize(("count", "filtered"), [(250, ""), (1100, "trial=249")])
def test_a_link_to_a_trial_shows_its_row_also_where_it_is_hidden(count: int, filtered: str, tmp_path: Path) -> None:
    found = seen(
        content(*(n / count for n in range(count))),
        """
        window.location.hash = "#t249";
        await new Promise((done) => setTimeout(done, 100));
        const row = document.querySelector("#t249");
        return [row.offsetParent !== null, row.className, document.querySelector("#filter").value];
        """,
        tmp_path,
    )
    assert found.value == [True, "s-complete sought", filtered]


OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth;"


@pytest.mark.parametrize("width", [320, 400, 1200])
@pytest.mark.parametrize(
    "study", [mixed(), hostile(), study_of(10, 60), content()], ids=["mixed", "hostile", "60", "empty"]
)
def test_a_page_is_never_wider_than_its_window(study: Content, width: int, tmp_path: Path) -> None:
    found = seen(study, OVERFLOW, tmp_path, width)
    assert found.value == 0
    assert found.console == []


def test_hostile_names_do_nothing(tmp_path: Path) -> None:
    found = seen(
        hostile(),
        """
        for (const button of document.querySelectorAll("button")) button.click();
        for (const path of document.querySelectorAll("path[data-n]")) {
          const box = path.getBoundingClientRect();
          const at = {bubbles: true, clientX: box.x, clientY: box.y};
          path.dispatchEvent(new window.PointerEvent("pointermove", at));
        }
        const kinds = new Set([...document.querySelectorAll("*")].map((each) => each.localName));
        return [document.title.includes("script"), document.scripts.length, kinds.has("img")];
        """,
        tmp_path,
    )
    assert found.value == [True, 1, False]  # the title is the text and was not replaced
    assert found.console == []


def test_no_hostile_text_does_anything_wherever_it_stands(tmp_path: Path) -> None:
    """All of them as choices, names of metrics, reasons, last words, warnings and facts of one page."""
    rows = [
        row(n, n / 10 if n % 4 else None, params={"c": text}, metrics={text: 1.0}, reason=None if n % 4 else text)
        for n, text in enumerate(HOSTILE)
    ]
    study = content(
        rows=rows,
        parameters=parameters({"c": list(HOSTILE)}),
        best=Best(1, 0.1, {text: text for text in HOSTILE}, " ".join(HOSTILE)),
        curves={text: {1: [(1.0, 2.0), (2.0, 3.0)]} for text in HOSTILE[::20]},
        failures=[Failures(text, [0], [Example(0, text, text, [text])]) for text in HOSTILE],
        warnings=list(HOSTILE),
        facts=[(text, [text]) for text in HOSTILE],
        inputs={text: text for text in HOSTILE},
        study_file="\n".join(HOSTILE),
    )
    found = seen(
        study,
        """
        const title = document.title;
        for (const button of document.querySelectorAll("button")) button.click();
        for (const each of document.querySelectorAll("details")) each.open = true;
        for (const path of document.querySelectorAll("path[data-n]")) {
          const box = path.getBoundingClientRect();
          path.dispatchEvent(new window.PointerEvent("pointermove", {bubbles: true, clientX: box.x, clientY: box.y}));
        }
        await new Promise((done) => setTimeout(done, 200));
        const kinds = ["img", "iframe", "base", "form", "input", "object", "embed", "link", "video"];
        const attributes = [...document.querySelectorAll("*")].flatMap((each) => each.getAttributeNames());
        return [document.title === title, document.scripts.length,
          kinds.filter((kind) => document.querySelector(kind + ":not(#filter)")),
          attributes.filter((name) => name.startsWith("on")), window.performance.getEntriesByType("resource").length,
          [...document.querySelectorAll("a")].filter((each) => !each.getAttribute("href").startsWith("#")).length];
        """,
        tmp_path,
    )
    assert found.value == [True, 1, [], [], 0, 0]
    assert found.console == []


def test_the_page_works_inside_another_one_as_snakemake_report_puts_it(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(mixed()), encoding="utf-8")
    data = base64.b64encode(page.read_bytes()).decode()
    address = f"data:text/html;charset=utf8;filename=report.html;base64,{data}"
    found = look(page, "return frames.length;", tmp_path, source=address)
    assert found.value == 1
    assert found.console == []
    assert "5 shown" in dump(address, tmp_path)  # its script has run


DRAW = """
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const stages = () => [...document.querySelectorAll(".stage")].filter((each) => each.offsetParent !== null);
for (const each of document.querySelectorAll("details")) each.open = true;
for (let tries = 0; tries < 1500; tries += 1) {
  const missing = [...document.querySelectorAll(".drawing")]
    .find((each) => each.querySelector(".stage") && each.offsetParent && !each.querySelector(".main-svg"));
  if (!missing || missing.classList.contains("broken")) break;
  missing.scrollIntoView();
  await sleep(10);
}
const broken = [...document.querySelectorAll(".broken figcaption")].map((each) => each.textContent);
"""
"""Bring each interactive plot into view until it is drawn."""


def test_every_plot_is_drawn_under_the_policy_in_light_and_dark_and_a_point_leads_to_its_row(tmp_path: Path) -> None:
    study = mixed()
    many = [row(n, (n * 0.37) % 1 + 0.01, params={"opt": "sgd", "m": float(n)}) for n in range(40)]
    study = replace(study, rows=many, best=Best(0, 0.01, {"opt": "sgd", "m": 0.0}, "x"))
    plots, _ = interactive_plots(study)
    assert plots is not None and not plots.problems
    page = tmp_path / "report.html"
    page.write_text(render(study, plots), encoding="utf-8")
    script = f"""{DRAW}
    const colours = () => window.getComputedStyle(stages()[0].querySelector(".xtick text")).fill;
    const history = document.querySelector("#progress .stage");
    history.emit("plotly_hover", {{points: [{{customdata: 7, data: {{}}}}], event: {{clientX: 5, clientY: 5}}}});
    const tip = document.querySelector("#tip").textContent.split("\\n")[0];
    history.emit("plotly_click", {{points: [{{customdata: 7, data: {{}}}}], event: {{}}}});
    const plain = [...document.querySelectorAll(".drawing.done .plain")].filter((each) => each.offsetParent !== null);
    return [document.querySelectorAll(".stage").length, broken,
      stages().filter((each) => !each.querySelector(".main-svg")).length, plain.length, tip, window.location.hash,
      document.documentElement.scrollWidth - document.documentElement.clientWidth, colours()];
    """
    found = look(page, script, tmp_path)
    assert found.console == []
    count, broken, missing, plain, tip, place, overflow, light = found.value
    assert (count, broken, missing, plain) == (len(plots.by_key), [], 0, 0)
    assert (tip, place, overflow) == ("trial 7: complete", "#t7", 0)
    first = """
    for (let tries = 0; tries < 1500 && !document.querySelector(".main-svg"); tries += 1)
      await new Promise((done) => setTimeout(done, 10));
    return window.getComputedStyle(document.querySelector(".stage .xtick text")).fill;
    """
    dark = look(page, first, tmp_path, dark=True)
    assert dark.console == []
    assert (light, dark.value) == ("rgb(87, 96, 106)", "rgb(162, 173, 185)")  # --soft of each scheme


def test_plots_show_hostile_names_as_they_are(tmp_path: Path) -> None:
    """In labels Plotly knows tags, links, entities, formulas and placeholders."""
    names = ["<b>bold</b>", "<a href='javascript:alert(1)'>x</a>", "&lt;i&gt;", "$x^2$", "%{x}", "~0001~"]
    space = parameters({"c": names})
    rows = [row(n, n / 10 + 0.1, params={"c": text}) for n, text in enumerate(names)]
    study = content(rows=rows, parameters=space, metric="<i>loss</i>", curves={"<u>": {0: [(1.0, 2.0), (2.0, 3.0)]}})
    plots, _ = interactive_plots(study)
    assert plots is not None and not plots.problems
    page = tmp_path / "report.html"
    page.write_text(render(study, plots), encoding="utf-8")
    found = look(
        page,
        f"""{DRAW}
        const texts = [...document.querySelectorAll(".stage text")].map((each) => each.textContent);
        const marked = [...document.querySelectorAll(".stage tspan, .stage text a")].filter(
          (each) => each.localName === "a" || each.style.fontWeight === "bold" || each.style.fontStyle === "italic");
        return [broken, texts, marked.length, document.title, document.scripts.length];
        """,
        tmp_path,
    )
    broken, texts, marked, title, _ = found.value
    assert (broken, marked, title, found.console) == ([], 0, "s: <i>loss</i>", [])
    for text in ("<i>loss</i>", "<b>bold</b>", "&lt;i&gt;", "$x^2$", "%{x}", "~0001~", "<u>"):
        assert text in texts


def test_what_the_policy_forbids_is_noticed_by_these_tests(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(content(0.5)).replace("<main>", "<main><img src=x><script>1</script><p style='color:red'>"))
    console: Any = look(page, "return 1;", tmp_path).console
    assert len([line for line in console if "Content Security Policy" in line]) == 3
