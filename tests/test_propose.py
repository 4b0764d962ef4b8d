"""What a batch is made of, and what it does not depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.samplers import Plan, get_sampler
from hpo_workflow.spec import Budget
from tests.simulated import Simulated

TPE = {"name": "tpe", "startup": 4}
SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}, "k": ["a", "b", "c"]}


def test_the_sampler_is_told_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr("hpo_workflow.propose.get_sampler", lambda *given: told.append(given) or get_sampler(*given))
    study = Simulated(tmp_path, space=SPACE, sampler={"name": "random"}, budget=Budget(16, 4))
    study.propose()
    assert told == [({"name": "random"}, Plan(trials=16, parallel=4))]


def proposals(study: Simulated) -> list[list[Any]]:
    """The new trials of each batch that has some."""
    batches = [[t["params"] for t in record["trials"] if t["origin"] != "again"] for record in study.folder.batches()]
    return [batch for batch in batches if batch]


@pytest.mark.parametrize(("refill", "parallel"), [("rounds", 4), ("rolling", 1)])
def test_neither_the_order_of_the_ends_nor_lost_trials_change_what_is_proposed(
    tmp_path: Path, refill: str, parallel: int
) -> None:
    settings = {"space": SPACE, "sampler": TPE, "budget": Budget(16, parallel), "refill": refill}
    plain, troubled = Simulated(tmp_path / "plain", **settings), Simulated(tmp_path / "troubled", **settings)
    plain.run(16)
    lost = {2, 7, 12}
    while (ended := len(troubled.folder.state(troubled.current).finished)) < 16:
        if troubled.wants_batch():
            troubled.propose()
        number = max(troubled.live)
        if number in lost:
            lost.remove(number)
            troubled.lose(number)
        else:
            troubled.end(number)
            assert len(troubled.folder.state(troubled.current).finished) == ended + 1
    assert not lost
    assert len(troubled.folder.batches()) == len(plain.folder.batches()) + 3
    assert proposals(troubled) == proposals(plain)


def test_rolling_trials_see_what_has_ended_before_them(tmp_path: Path) -> None:
    settings = {"space": SPACE, "sampler": TPE, "budget": Budget(16, 4)}
    first, last = Simulated(tmp_path / "first", **settings), Simulated(tmp_path / "last", **settings)
    first.run(16, min)
    last.run(16, max)
    assert proposals(first) != proposals(last)
