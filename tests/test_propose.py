"""What a batch is made of, and what it does not depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.cli.propose import sentence
from hpo_workflow.errors import SamplerError
from hpo_workflow.replay import Replay
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


# ---- start points ------------------------------------------------------------------------------------------
START = ({"k": "b"}, {"x": 0.25, "k": "a"}, {"x": 0.5})


def started(study: Simulated) -> list[tuple[int, dict[str, Any]]]:
    return [
        (trial["number"], trial["params"])
        for record in study.folder.batches()
        for trial in record["trials"]
        if trial["origin"] == "start"
    ]


@pytest.mark.parametrize("name", ["random", "tpe", "grid"])
@pytest.mark.parametrize(("refill", "parallel"), [("rounds", 2), ("rolling", 1), ("rolling", 5)])
def test_start_points_run_first_and_in_order_and_the_rest_of_them_is_drawn(
    tmp_path: Path, name: str, refill: str, parallel: int
) -> None:
    space = {**SPACE, "x": {**SPACE["x"], "points": 4}}
    study = Simulated(
        tmp_path, space=space, sampler={"name": name}, budget=Budget(7, parallel), refill=refill, start=START
    )
    study.run(7)
    found = started(study)
    assert [number for number, _ in found] == [0, 1, 2]
    for (_, params), given in zip(found, START, strict=True):
        assert params.items() >= given.items()
        assert set(params) == {"x", "k"}
    assert found[1][1] == {"x": 0.25, "k": "a"}
    keys = [study.spec.search_space.key(params) for batch in proposals(study) for params in batch]
    assert len(set(keys)) == 7  # they count in the budget, and the sampler proposes none of them again
    assert not study.wants_batch()
    assert all(batch.verdict == "agrees" and not batch.cause for batch in Replay(study.folder))


def test_start_points_do_not_depend_on_how_many_run_at_once_nor_on_the_sampler(tmp_path: Path) -> None:
    first = Simulated(tmp_path / "one", space=SPACE, budget=Budget(7, 1), start=START)
    second = Simulated(tmp_path / "many", space=SPACE, budget=Budget(7, 4), sampler={"name": "sobol"}, start=START)
    first.run(5)
    second.run(5, max)
    assert started(first) == started(second)


def test_a_start_point_that_is_added_runs_next_and_those_that_ran_do_not_run_again(tmp_path: Path) -> None:
    study = Simulated(tmp_path, space=SPACE, budget=Budget(8, 1), start=START[:1])
    study.run(3)
    study.use(start=({"x": 0.75}, START[0], {"x": 0.75}))
    study.run(3)
    assert [(number, params["x"]) for number, params in started(study)][1:] == [(3, 0.75), (4, 0.75)]
    known = study.folder.batches()[-1]["trials"][0]["params"]
    study.use(start=(known,))  # the sampler had the same idea before
    assert study.propose() == [6]
    assert started(study)[-1][0] == 4
    assert all(batch.verdict == "agrees" for batch in Replay(study.folder))


def test_a_start_point_that_was_lost_runs_again_and_one_set_aside_is_not_a_new_one(tmp_path: Path) -> None:
    study = Simulated(tmp_path, space=SPACE, budget=Budget(6, 1), start=START[:1])
    study.propose()
    study.lose(0)
    assert study.propose() == [0]
    study.end(0, text="", kind="failed", reason="exit_code")
    study.folder.decide({"kind": "retry_failed", "numbers": [0]})
    study.propose()
    (trial,) = study.folder.batches()[-1]["trials"]
    assert (trial["origin"], trial["number"]) == ("retry", 1)
    study.end(1)
    study.run(2)
    assert started(study) == [(0, trial["params"])]


def test_start_points_run_anew_where_earlier_trials_do_not_count(tmp_path: Path) -> None:
    study = Simulated(tmp_path, space=SPACE, budget=Budget(6, 1), start=START[1:2])
    study.run(2)
    study.use(identity="identity-b")
    study.run(1)
    assert [number for number, _ in started(study)] == [0, 2]


def test_start_points_are_run_when_the_space_had_been_exhausted_without_them(tmp_path: Path) -> None:
    small = {"k": ["a", "b"], "x": {"type": "float", "low": 0, "high": 1, "points": 2}}
    study = Simulated(tmp_path, space=small, budget=Budget(None, 1), sampler={"name": "grid"})
    study.run(4)
    study.propose()
    assert not study.wants_batch()
    study.use(start=({"x": 0.5, "k": "a"}, {"x": 0.0, "k": "a"}))  # the second is on the grid
    assert study.propose() == [4]
    study.end(4)
    assert study.propose() == []
    assert not study.wants_batch()


def test_a_start_point_that_no_longer_fits_the_space_is_run_with_what_is_given_now(tmp_path: Path) -> None:
    study = Simulated(tmp_path, space=SPACE, budget=Budget(6, 1), start=({"k": "c"},))
    study.run(1)
    study.use(space={**SPACE, "y": {"type": "int", "low": 1, "high": 9}})
    study.run(1)
    assert [sorted(params) for _, params in started(study)] == [["k", "x"], ["k", "x", "y"]]


def test_what_a_start_point_leaves_open_is_drawn_from_the_prior_and_under_its_conditions(tmp_path: Path) -> None:
    space = {
        "k": ["a", "b"],
        "x": {"type": "float", "low": 0, "high": 1, "prior": {"center": 0.9, "strength": "strong"}},
        "m": {"type": "float", "low": 0.0, "high": 1.0, "when": {"k": "b"}},
    }
    study = Simulated(tmp_path, space=space, budget=Budget(40, 40), start=({"k": "a"}, *[{"k": "b"}] * 39))
    study.propose()
    found = [params for _, params in started(study)]
    assert set(found[0]) == {"k", "x"}
    assert all(set(params) == {"k", "x", "m"} for params in found[1:])
    assert sum(params["x"] > 0.7 for params in found) > 30
    assert len({params["x"] for params in found}) == 40


def external(answer: str) -> dict[str, str]:
    """An external sampler in a line of shell."""
    return {"name": "external", "command": f"cat > /dev/null; {answer}"}


def test_a_sampler_whose_command_fails_loses_nothing_and_is_asked_again(tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    sampler = external(f"[ -e {mended} ] || {{ echo no licence >&2; exit 3; }}; echo '{{\"proposals\": []}}'")
    study = Simulated(tmp_path / "study", space=SPACE, sampler=sampler, budget=Budget(3, 3))
    with pytest.raises(SamplerError, match="sampler.command ended with exit code 3.*\n  no licence"):
        study.propose()
    assert study.folder.batches() == []
    assert study.wants_batch()
    mended.touch()
    study.run(3)
    assert len(study.folder.state(study.current).finished) == 3


def test_what_a_sampler_proposed_in_vain_is_recorded_and_counted(tmp_path: Path) -> None:
    sampler = external("""echo '{"proposals": [{"x": 0.5, "k": "a"}, {"x": 7}, {"x": 0.5, "k": "a"}]}'""")
    study = Simulated(tmp_path, space=SPACE, sampler=sampler, budget=Budget(8, 4))
    study.propose()
    (record,) = study.folder.batches()
    assert record["trials"][0]["params"] == {"x": 0.5, "k": "a"}
    assert {reason: said["count"] for reason, said in record["replaced"].items()} == {
        "impossible": 1,
        "known": 1,
        "missing": 1,
    }
    assert record["replaced"]["impossible"]["example"].startswith("x is never 7.")
    assert sentence(record).endswith("4 trials, 0 to 3, 3 of them random because of what was proposed")
    for number in range(4):
        study.end(number)
    study.propose()
    state = study.folder.state(study.current)
    assert {reason: said["count"] for reason, said in state.replaced.items()} == {
        "impossible": 2,
        "known": 3,
        "missing": 2,
    }
    assert [(batch.verdict, batch.cause) for batch in Replay(study.folder)] == [
        ("unknown", "an external command chose its trials; its answer is recorded and not asked for again")
    ] * 2
