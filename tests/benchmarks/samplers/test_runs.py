"""Runs: what is asked when, what is kept, what is not repeated."""

from __future__ import annotations

import pytest

from benchmarks.samplers import command, peers, reference
from benchmarks.samplers import runs as runs_module
from benchmarks.samplers.peers.plain_random import PlainRandom
from benchmarks.samplers.problems import Problem
from benchmarks.samplers.reference import Reference, space_digest
from benchmarks.samplers.runs import MODES, Run, RunFiles, improvements, play, seeds_of
from benchmarks.samplers.spaces import real

SPACE = {"x": real(0.0, 1.0), "y": real(0.0, 1.0)}


class Bowl:
    best = 0.0

    def loss(self, configuration):
        return (configuration["x"] - 0.3) ** 2 + configuration["y"]

    def told(self, configuration, rng):
        return self.loss(configuration) + rng.normal()


BOWL = Problem("bowl", SPACE, Bowl, "numpy")


class Recorder:
    """A sampler that goes along a line and remembers what happened; it names its parameters in another order."""

    def __init__(self):
        self.events: list[tuple[str, object]] = []
        self.asked = 0

    def ask(self, n):
        self.events.append(("ask", n))
        first, self.asked = self.asked, self.asked + n
        return [(number, {"y": 0.0, "x": number / 100}) for number in range(first, first + n)]

    def tell(self, handle, loss):
        self.events.append(("tell", handle))


def test_sequential_asks_for_one_when_one_has_ended():
    player = Recorder()
    losses, cpu_s = play(BOWL, player, MODES["sequential"], 5, 0)
    assert player.events == [event for number in range(5) for event in (("ask", 1), ("tell", number))]
    assert losses == pytest.approx([(number / 100 - 0.3) ** 2 for number in range(5)]), "scored without the noise"
    assert 0 <= cpu_s < 1


def test_eights_ask_for_eight_when_eight_have_ended_and_for_what_is_left_at_the_end():
    player = Recorder()
    play(BOWL, player, MODES["eights"], 20, 0)
    assert [event for event in player.events if event[0] == "ask"] == [("ask", 8), ("ask", 8), ("ask", 4)]
    assert [event[1] for event in player.events if event[0] == "tell"] == list(range(20))


def test_eight_workers_ask_for_one_each_time_that_one_is_free():
    player = Recorder()
    losses, _ = play(BOWL, player, MODES["asynchronous"], 20, 0)
    assert player.events[0] == ("ask", 8)
    asks = [event[1] for event in player.events if event[0] == "ask"]
    assert asks == [8, *([1] * 12)]
    told = [event[1] for event in player.events if event[0] == "tell"]
    assert sorted(told) == list(range(20)) and told != list(range(20)), "they end in another order"
    assert [kind for kind, _ in player.events[1:25]] == ["tell", "ask"] * 12
    assert losses == pytest.approx([(number / 100 - 0.3) ** 2 for number in told])
    again = Recorder()
    play(BOWL, again, MODES["asynchronous"], 20, 0)
    assert again.events == player.events, "durations depend on the seed alone"


def test_fewer_proposals_than_were_asked_for_are_no_run():
    class Stingy(Recorder):
        def ask(self, n):
            return super().ask(n)[:-1]

    with pytest.raises(RuntimeError, match="7 proposals, and 8 were asked for"):
        play(BOWL, Stingy(), MODES["eights"], 16, 0)


def test_only_improvements_are_kept():
    assert improvements([3.0, 4.0, 2.0, 2.0, 1.23456789123]) == ((1, 3.0), (3, 2.0), (5, 1.2345679))
    run = a_run(improved=((1, 3.0), (3, 2.0), (5, 1.5)))
    assert [run.best(after) for after in (1, 2, 3, 4, 5, 100)] == [3.0, 3.0, 2.0, 2.0, 1.5, 1.5]
    assert run.lowest == 1.5


def a_run(problem="bowl", seed=0, trials=50, version="1", improved=((1, 0.5), (7, 0.25)), sampler="random"):
    return Run(sampler, version, problem, seed, trials, trials, improved, 0.1)


def test_a_run_is_read_as_it_was_written(tmp_path):
    files = RunFiles(tmp_path / "new")
    assert files.newest("sequential", "random") == [] and files.lowest() == {}
    files.add("sequential", a_run())
    assert files.newest("sequential", "random") == [a_run()]
    assert files.lowest() == {"bowl": 0.25}


def test_a_longer_run_counts_and_one_of_another_version_does_not(tmp_path):
    files = RunFiles(tmp_path)
    files.add("sequential", a_run(version="0", seed=9, improved=((1, 0.125),)))
    files.add("sequential", a_run(trials=100))
    files.add("sequential", a_run(trials=50))
    files.add("sequential", a_run(seed=1))
    assert [(run.seed, run.trials) for run in files.newest("sequential", "random")] == [(0, 100), (1, 50)]
    assert files.lowest() == {"bowl": 0.125}, "what anybody has seen is known"
    assert seeds_of(files.newest("sequential", "random")) == 2
    assert files.done("sequential", "random", "1", 50) == {("bowl", 0), ("bowl", 1)}
    assert files.done("sequential", "random", "1", 51) == {("bowl", 0)}
    assert files.drop_old_versions("sequential", "random") == 1
    assert files.done("sequential", "random", "0", 1) == set()
    assert files.drop_old_versions("sequential", "random") == 0


@pytest.fixture
def suite(monkeypatch, tmp_path):
    """`python -m benchmarks samplers` with one problem, and the runs that it makes."""
    easy = Problem("bowl", SPACE, Bowl, "numpy")
    monkeypatch.setattr(command, "SUITES", {"test": (easy,), "tune": (easy,)})
    monkeypatch.setattr(reference, "SUITES", {"test": (easy,)})
    monkeypatch.setattr(reference, "SAMPLES", 200)
    played = []

    def recorded(problem, player, mode, budget, seed):
        played.append((problem.name, seed, budget))
        return runs_module.play(problem, player, mode, budget, seed)

    monkeypatch.setattr(command, "play", recorded)

    def call(*words):
        played.clear()
        code = command.main(["--mode", "sequential", "--samplers", "random", "--results", str(tmp_path), *words])
        return code, list(played)

    return call


def test_what_was_run_is_not_run_again_and_a_killed_run_is(suite, tmp_path, capsys):
    assert suite("--seeds", "2", "--budget", "6") == (0, [("bowl", 0, 6), ("bowl", 1, 6)])
    assert suite("--seeds", "3", "--budget", "6") == (0, [("bowl", 2, 6)])
    path = RunFiles(tmp_path).path("sequential", "random")
    text = path.read_text()
    path.write_text(text[:-30])  # killed while it wrote the last one
    assert suite("--seeds", "3", "--budget", "6") == (0, [("bowl", 2, 6)])
    first, second = (
        line.rpartition('"sampler"') for line in (text.splitlines()[-1], path.read_text().splitlines()[-1])
    )
    assert first == second, "and it is the same run"
    assert "bowl" in reference.load(tmp_path)
    capsys.readouterr()
    assert suite("--seeds", "4", "--budget", "6", "--list") == (0, [])
    assert capsys.readouterr().out == "sequential, random: 3 of 4 runs of 6 trials\n"


def test_another_version_and_more_trials_are_run(suite, monkeypatch):
    suite("--seeds", "1", "--budget", "6")
    assert suite("--seeds", "1", "--budget", "8")[1] == [("bowl", 0, 8)]
    monkeypatch.setattr(peers, "version", lambda name: "2")
    assert suite("--seeds", "1", "--budget", "8")[1] == [("bowl", 0, 8)]


def test_a_sampler_that_fails_is_named_and_the_others_go_on(suite, monkeypatch, capsys):
    def refuse(name, start):
        if start.seed == 0:
            raise ValueError("no idea")
        return PlainRandom(start)

    monkeypatch.setattr(peers, "player", refuse)
    code, played = suite("--seeds", "2", "--budget", "4")
    assert code == 1 and played == [("bowl", 1, 4)]
    assert "sequential, random, bowl, seed 0: FAILED: ValueError: no idea" in capsys.readouterr().err


def test_a_sampler_that_is_not_installed_is_left_out_with_a_sentence(suite, monkeypatch, capsys):
    entry = peers.Entry("plain_random", "x", "x", "no_such_module_here", "X")
    monkeypatch.setitem(peers.SAMPLERS, "x", entry)
    assert suite("--samplers", "x") == (0, [])
    assert "x: left out: the package no_such_module_here is not installed (pip install '.[peers]')" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--samplers", "bogus"], "--samplers: there is no 'bogus'"),
        (["--mode", "bogus"], "--mode: there is no 'bogus'"),
        (["--seeds", "0"], "--seeds 0: at least 1"),
        (["--problems", "bogus"], "no problem of the suite is like this; there are bowl"),
    ],
)
def test_a_wrong_call_is_refused(suite, capsys, words, said):
    with pytest.raises(SystemExit) as end:
        suite(*words)
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_a_problem_with_another_space_gets_another_reference(tmp_path, monkeypatch):
    monkeypatch.setattr(reference, "SUITES", {"test": (BOWL,)})
    monkeypatch.setattr(reference, "SAMPLES", 300)
    (made,) = reference.make(tmp_path, [BOWL]).values()
    assert made.best == 0.0 and made.space == space_digest(BOWL)
    assert 0 < made.random[100] < made.random[48] < 0.2
    other = Problem("bowl", {**SPACE, "y": real(0.0, 9.0)}, Bowl, "numpy")
    (again,) = reference.make(tmp_path, [other]).values()
    assert again.random[50] > made.random[50]
    assert reference.load(tmp_path) == {"bowl": again} and isinstance(again, Reference)


def test_what_is_committed_is_not_measured_again(tmp_path, monkeypatch):
    committed, other = tmp_path / "committed", tmp_path / "other"
    monkeypatch.setattr(reference, "SUITES", {"test": (BOWL,)})
    monkeypatch.setattr(reference, "SAMPLES", 300)
    monkeypatch.setattr(reference, "COMMITTED", committed)
    made = reference.make(committed / "samplers", [BOWL])
    monkeypatch.setattr(reference, "measure", None)
    assert reference.make(other, [BOWL]) == made == reference.load(other)
