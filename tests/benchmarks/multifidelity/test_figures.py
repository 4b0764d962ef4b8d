"""The tables of the document, from runs."""

from __future__ import annotations

import math

from benchmarks.multifidelity.command import main
from benchmarks.multifidelity.figures import LEAST_RUNS, aims, best_peer, block, epochs, median, waits
from benchmarks.multifidelity.runs import Run, RunFiles


def run(method, *epochs, seed=0, table="sgd-digits", version="1"):
    return Run(table, method, version, seed, 1080, epochs, tuple(e if e is None else e / 4 for e in epochs), 99, 0.5)


def test_what_was_not_reached_is_later_than_everything():
    assert median([3, None, 5]) == 5
    assert median([3, None, None]) == math.inf
    assert math.isnan(median([]))


def test_the_best_peer_is_the_quickest_of_those_with_enough_runs():
    runs = {
        "optuna": [run("optuna", 30, 40, None)] * LEAST_RUNS,
        "mobster": [run("mobster", 60, 20, None)] * LEAST_RUNS,
        "syne-asha": [run("syne-asha", 1, 1, 1)] * (LEAST_RUNS - 1),
        "freeze-thaw": [run("freeze-thaw", 20, 16, 50)],
    }
    assert best_peer(runs, "sgd-digits", 0) == ("optuna", 30)
    assert best_peer(runs, "sgd-digits", 1) == ("mobster", 20)
    assert best_peer(runs, "sgd-digits", 2) is None
    lines = aims(runs)
    assert "| linear, digits, best 5% | Optuna TPE, Hyperband | 0.67 | met |" in lines
    assert "| linear, digits, best 2% | Syne Tune MOBSTER | 0.80 | **not met** |" in lines
    assert len(lines) == 4


def test_only_the_last_version_of_a_method_is_shown(tmp_path):
    files = RunFiles(tmp_path)
    for version, spent in (("old", 10), ("new", 20), ("new", 30)):
        files.add(1, run("asha", spent, None, None, seed=spent, version=version))
    assert epochs({"asha": files.newest(1, "asha")}, "asha", "sgd-digits", 0) == 25
    assert files.done(1, "asha", "old", {"sgd-digits": 1080}) == set()
    assert files.done(1, "asha", "new", {"sgd-digits": 1080}) == {("sgd-digits", 20), ("sgd-digits", 30)}
    assert files.done(1, "asha", "new", {"sgd-digits": 99}) == set()
    assert "| **asha**, random | 25 | > 1080 | > 1080 | 2 | 0.5 |" in block(tmp_path)


def test_waiting_is_shown_where_there_are_slots_to_wait(tmp_path):
    runs = {"asha": [run("asha", 4, 8, None)], "sha": [run("sha", 8, 12, None)]}
    assert waits(runs)[-1] == "| linear, digits | 1 | 2 | > 135 | 2 | 3 | > 135 |"


def test_runs_are_kept_and_not_repeated(tmp_path, capsys):
    words = ["--methods", "asha,random", "--tables", "sgd-digits", "--seeds", "1", "--results", str(tmp_path)]
    assert main(words) == 0
    assert "asha, sgd-digits, seed 0" in capsys.readouterr().err
    assert main(words) == 0
    assert capsys.readouterr().err == ""
    assert main([*words, "--list"]) == 0
    assert capsys.readouterr().out == "1 slots, asha: 1 of 1 runs\n1 slots, random: 1 of 1 runs\n"
