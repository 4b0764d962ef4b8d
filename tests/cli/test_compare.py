"""`hpo compare`: real folders of studies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Hpo
from tests.cli.studies import emit, end, write_study


def finished(name: str, values: dict[int, float], metric: str = "loss", **changes: Any) -> str:
    """A study with such values; gives its folder."""
    objective = {"metric": metric, "direction": "minimize"}
    folder, plan = emit(write_study(study=name, objective=objective, **changes), n_batches=1)
    end(folder, plan, dict(values))
    return folder.root


def test_the_table_shows_values_and_what_is_different(hpo: Hpo) -> None:
    roots = [finished("a", {0: 0.5, 1: 0.25}), finished("b", {0: 0.75, 1: 0.5}, sampler="tpe")]
    answer = hpo("compare", *roots)
    assert answer.code == 0 and not answer.err
    first, second = answer.out.splitlines()[1:3]
    assert first.split()[:5] == ["a", "0.25", "1", "2", "1"]
    assert second.split()[:5] == ["b", "0.5", "1", "2", "2"]
    assert "sampler.name" in answer.out and "--out comparison.html" in answer.out


def test_seeds_are_put_together_and_json_says_it(hpo: Hpo) -> None:
    roots = [finished("a", {0: 0.5}), finished("b", {0: 0.75}, seed=1)]
    answer = json.loads(hpo("compare", "--json", *roots).out)
    assert [each["study"] for each in answer["studies"]] == ["a", "b"]
    assert answer["groups"][0]["labels"] == ["a", "b"] and not answer["differences"]


def test_the_page_is_written_where_it_is_wanted(hpo: Hpo) -> None:
    roots = [finished("a", {0: 0.5}), finished("b", {0: 0.75})]
    answer = hpo("compare", *roots, "--out", "c.html")
    assert answer.code == 0 and "wrote c.html" in answer.out
    assert "comparison of 2 studies" in Path("c.html").read_text()


def test_studies_of_one_name_are_told_apart_by_their_folders(hpo: Hpo) -> None:
    roots = [finished("a", {0: 0.5}), finished("a", {0: 0.75}, outdir="other")]
    answer = json.loads(hpo("compare", "--json", *roots).out)
    assert [each["study"] for each in answer["studies"]] == ["a (results/a)", "a (other/a)"]


def test_a_study_without_a_complete_trial_may_be_compared(hpo: Hpo) -> None:
    roots = [finished("a", {0: 0.5}), finished("b", {})]
    answer = hpo("compare", *roots)
    assert answer.code == 0 and "No complete trial yet: b." in answer.out


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (None, "needs two studies or more"),
        ("results/a/", "this is the study that results/a is, too"),
        ("nothing", "there is no such file or folder"),
    ],
)
def test_what_cannot_be_compared_is_refused(hpo: Hpo, second: str | None, words: str) -> None:
    root = finished("a", {0: 0.5})
    answer = hpo("compare", root, *([second] if second else []))
    assert answer.code == 2 and words in answer.err


def test_other_objectives_are_refused_with_both_named(hpo: Hpo) -> None:
    roots = [
        finished("a", {0: 0.5}),
        finished("b", {0: 0.5}, metric="error", command="echo error=${hpo.x} ${trial.dir}"),
    ]
    answer = hpo("compare", *roots)
    assert answer.code == 2
    assert "results/b: optimises error (minimize), but results/a optimises loss (minimize)" in answer.err


def test_a_folder_as_page_and_a_study_that_has_not_run_are_refused(hpo: Hpo) -> None:
    roots = [finished("a", {0: 0.5}), finished("b", {0: 0.75})]
    Path("pages").mkdir()
    answer = hpo("compare", *roots, "--out", "pages")
    assert answer.code == 2 and "this is a folder" in answer.err
    answer = hpo("compare", roots[0], write_study(study="new"))
    assert answer.code == 2 and "has not run yet" in answer.err
