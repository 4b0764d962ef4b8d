"""The page of several studies."""

from __future__ import annotations

import pytest

from hpo_workflow.analysis.comparison import Candidate, Comparison, compare
from hpo_workflow.report.compare_page import N_COLOURS, render
from tests.analysis.test_comparison import study
from tests.report.pages import HOSTILE


def page(*studies: Candidate) -> str:
    return render(compare(studies), "Written now.")


def test_it_holds_each_study_with_its_line_in_both_charts() -> None:
    text = page(study("tpe", [2.0, 1.0], params={"lr": 0.1}), study("gp", [3.0, 2.5], params={"lr": 0.2, "b": True}))
    assert text.count('<path class="race c0"') == text.count('<path class="race c1"') == 2
    assert "Best loss so far, by time" in text and "One run of each" in text
    assert "<td>0.1</td><td>0.2</td>" in text and "<td></td><td>true</td>" in text
    assert 'scope="row">sampler.name</th><td>tpe</td><td>gp</td>' in text


@pytest.mark.parametrize(("hours", "unit"), [(0.001, "seconds"), (1.0, "minutes"), (20.0, "hours")])
def test_times_are_in_a_unit_that_reads_well(hours: float, unit: str) -> None:
    text = page(study("a", [1.0], trial_hours=hours), study("b", [2.0], trial_hours=hours))
    assert f">{unit} since the first trial began" in text and f">{unit} of trials</th>" in text


def test_it_says_when_nothing_differs_and_draws_nothing_without_values() -> None:
    text = page(study("a1", []), study("a2", [], seed=1))
    assert "Nothing but their seeds and names." in text and "No study has a complete trial yet." in text
    assert 'class="race' not in text


def test_columns_that_would_be_empty_are_left_out() -> None:
    text = page(study("a", [1.0]), study("b", [2.0]))
    assert "other trials" not in text and "GPU-hours" not in text
    text = page(study("a", [1.0], counts={"complete": 1, "failed": 2}, gpu_hours=3.0), study("b", [2.0]))
    assert "2 failed" in text and '<td class="number">3</td>' in text


def test_more_studies_than_colours_are_told_apart_by_dashes() -> None:
    text = page(*(study(f"s{index}x", [1.0 + index]) for index in range(N_COLOURS + 1)))
    assert 'class="race c0 further"' in text


def test_hostile_names_are_text() -> None:
    for text in HOSTILE:
        made = page(
            study(text, [1.0], params={text: text}, state=text), study("b", [2.0], settings={text: {text: text}})
        )
        assert "<script" not in made and "<img" not in made and "\u202e" not in made
        assert "default-src &#39;none&#39;" in made


def test_equal_input_gives_equal_bytes() -> None:
    found: Comparison = compare([study("a", [1.0]), study("b", [2.0])])
    assert render(found, "") == render(found, "")
