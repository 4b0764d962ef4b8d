"""What a run costs and when it has found what it looks for."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.multifidelity.methods import METHODS, lacks, player
from benchmarks.multifidelity.playing import Work, play, speeds
from benchmarks.multifidelity.rows import Rows, places
from benchmarks.multifidelity.tables import Table
from benchmarks.samplers.spaces import choice, real, whole

SPACE = {"x": real(0.0, 1.0), "n": whole(1, 8, log=True), "kind": choice("a", "b")}


def table(n=60, epochs=9):
    """The lower x, the better in the end; kind b is better at first."""
    rng = np.random.default_rng(3)
    rows = [{"x": float(x), "n": int(1 + i % 8), "kind": "ab"[i % 2]} for i, x in enumerate(rng.random(n))]
    losses = [
        [row["x"] + 1.0 / epoch - 0.3 * (row["kind"] == "b") / epoch for epoch in range(1, epochs + 1)] for row in rows
    ]
    return Table("made", SPACE, rows, np.array(losses))


class Scripted:
    """Does what it is told to, one after the other."""

    def __init__(self, *works):
        self.works = list(works)
        self.told = []

    def next(self, slot):
        return self.works.pop(0) if self.works else None

    def tell(self, slot, work, losses):
        self.told.append((work, list(losses)))


def test_a_configuration_that_goes_on_pays_only_for_what_is_new():
    played = table()
    order = np.argsort(played.losses[:, -1])
    poor, best = int(order[-1]), int(order[0])
    player = Scripted(Work(poor, 3), Work(poor, 9), Work(best, 9))
    outcome = play(played, player, 0, 1, 100)
    assert [len(losses) for _, losses in player.told] == [3, 6, 9]
    assert outcome.spent == 18
    first = int(np.argmax(played.losses[best] <= played.target(0.01)))
    assert outcome.epochs[2] == 9 + first + 1


def test_a_run_ends_with_its_budget_or_when_nothing_is_left():
    played = table()
    worst = [int(i) for i in np.argsort(-played.losses[:, -1])[:4]]
    assert play(played, Scripted(*(Work(i, 9) for i in worst)), 0, 1, 18).spent == 18
    outcome = play(played, Scripted(Work(worst[0], 9)), 0, 1, 100)
    assert (outcome.spent, outcome.epochs, outcome.decisions) == (9, (None,) * 3, 2)


def test_slots_work_at_once_and_the_slow_ones_end_late():
    played = table()
    takes = speeds(played, 5)
    worst = [int(i) for i in np.argsort(-played.losses[:, -1])[:2]]
    slow, fast = sorted(worst, key=lambda i: -takes[i])
    player = Scripted(Work(slow, 9), Work(fast, 9))
    play(played, player, 5, 2, 100)
    assert [work.row for work, _ in player.told] == [fast, slow]
    assert takes.mean() == pytest.approx(1.0, abs=0.3)


def test_the_target_is_what_a_share_of_the_configurations_reaches():
    played = table(n=200)
    reached = (played.losses[:, -1] <= played.target(0.05)).mean()
    assert reached == pytest.approx(0.05, abs=0.01)


def test_the_nearest_free_row_stands_for_a_wish():
    played = table()
    rows = Rows(played)
    wanted = played.configurations[7]
    assert rows.nearest(wanted) == 7
    other = rows.nearest(wanted)
    assert other not in (7, None) and played.configurations[other]["kind"] == wanted["kind"]
    for _ in range(len(played.configurations) - 2):
        assert rows.any(np.random.default_rng(0)) is not None
    assert rows.nearest(wanted) is None and rows.any(np.random.default_rng(0)) is None


def test_places_are_those_of_the_space():
    found = places(SPACE, [{"x": 0.25, "n": 8, "kind": "b"}])
    assert found.tolist() == [[0.25, 1.0, 1.0]]
    conditional = {"kind": choice("a", "b"), "y": real(0.0, 1.0, when={"kind": ["b"]})}
    assert places(conditional, [{"kind": "a"}]).tolist() == [[0.0, 0.5]]


@pytest.mark.parametrize("name", [name for name, entry in METHODS.items() if entry.is_ours])
@pytest.mark.parametrize("slots", [1, 3])
def test_each_method_of_ours_finds_the_best_of_a_small_table(name, slots):
    assert lacks(name) is None
    played = table(n=24, epochs=3)
    first, again = (play(played, player(name, played, 4, slots), 4, slots, 72) for _ in range(2))
    assert first.epochs == again.epochs and None not in first.epochs[:1]


@pytest.mark.need("optuna")
def test_optuna_learns_of_the_rows_that_stood_for_its_wishes():
    played = table(n=24, epochs=3)
    asked = player("optuna", played, 0, 1)
    outcome = play(played, asked, 0, 1, 72)
    assert outcome.spent > 0
    told = [trial.params for trial in asked._study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert told and all(params in played.configurations for params in told)
