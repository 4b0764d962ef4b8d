"""Tables and pictures of a folder with a few runs."""

from __future__ import annotations

import json

import pytest

from benchmarks.samplers import tables_and_plots
from benchmarks.samplers.problems import SUITES
from benchmarks.samplers.reference import NAME
from benchmarks.samplers.runs import Run, RunFiles
from benchmarks.samplers.tables_and_plots import Wanted, block, pictures

PROBLEMS = [problem.name for problem in SUITES["test"]]


@pytest.fixture
def folder(tmp_path):
    """Random search is 1 on every problem; Optuna TPE ends at 0.5, tpe at 0.4 and has one seed only."""
    reference = {
        name: {"best": 0.0, "random": dict.fromkeys(("48", "50", "96", "100"), 10.0), "space": ""} for name in PROBLEMS
    }
    (tmp_path / NAME).write_text(json.dumps(reference))
    files = RunFiles(tmp_path)
    for name, version, last, seeds in (
        ("random", "1", 10.0, 2),
        ("optuna_tpe", "5.0.0", 5.0, 2),
        ("tpe", "ab", 4.0, 1),
    ):
        for problem in PROBLEMS:
            for seed in range(seeds):
                files.add("sequential", Run(name, version, problem, seed, 100, 100, ((1, 20.0), (40, last)), 0.25))
    return tmp_path


def test_the_best_stands_on_top_and_each_with_its_worst_problem(folder):
    lines = [line for line in block(folder).splitlines() if line.startswith("| ")]
    assert lines[2] == f"| **tpe** | 0.400 | 0.400 | {PROBLEMS[0]}: 0.40 | 1 | 2.5 |", "one seed has no interval"
    assert lines[3].startswith("| Optuna TPE 5.0.0 | 0.500 (0.500 to 0.500) | 0.500 (0.500 to 0.500) |")
    assert [line.split(" | ")[0] for line in lines[3:5]] == ["| Optuna TPE 5.0.0", "| random"]


def test_a_comparison_is_held_against_its_aim(folder, monkeypatch):
    monkeypatch.setattr(
        tables_and_plots,
        "COMPARISONS",
        (
            Wanted("sequential", 50, "tpe", "optuna_tpe", 0.85),
            Wanted("sequential", 100, "tpe", "optuna_tpe", 0.75),
            Wanted("sequential", 100, "tpe", "random"),
            Wanted("sequential", 100, "tpe", "hebo", 0.75),
        ),
    )
    text = block(folder)
    start = "| **tpe** over Optuna TPE, sequential"
    assert f"{start}, 50 | 0.80 | – | 0.80 to 0.80 | {PROBLEMS[0]}: 0.80 | 1 | 0.85 | met |" in text
    assert f"{start}, 100 | 0.80 | – | 0.80 to 0.80 | {PROBLEMS[0]}: 0.80 | 1 | 0.75 | **not met** |" in text
    assert "| **tpe** over random, sequential, 100 | 0.40 |" in text
    assert "HEBO" not in text, "what was not measured has no line"


def test_a_sampler_counts_when_a_seed_has_all_problems(folder):
    files = RunFiles(folder)
    files.add("sequential", Run("hebo", "1", PROBLEMS[0], 0, 50, 50, ((1, 1.0),), 9.0))
    assert "HEBO" not in block(folder)
    for problem in PROBLEMS[1:]:
        files.add("sequential", Run("hebo", "1", problem, 0, 50, 50, ((1, 1.0),), 9.0))
    assert f"| HEBO 1 | 0.100 | – | {PROBLEMS[0]}: 0.10 | 1 | 180 |" in block(folder)


def test_there_is_a_picture_for_each_mode_that_was_measured(folder):
    assert list(pictures(folder)) == ["samplers-sequential.svg"]
    assert "](pictures/samplers-sequential.svg)" in block(folder) and "samplers-eights.svg" not in block(folder)
    text = pictures(folder)["samplers-sequential.svg"]
    assert ">tpe<" in text and ">random<" in text and ">Optuna TPE<" in text


def test_an_empty_folder_has_no_tables(tmp_path):
    assert "not measured yet" in block(tmp_path) and pictures(tmp_path) == {}
