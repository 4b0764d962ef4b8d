"""A real study in which hopeless trials are ended."""

from __future__ import annotations

from pathlib import Path

from tests.workflow.running import Place

COMMAND = (
    'echo ${trial.number} >> "$HPO_TEST_STARTS"; '
    "for epoch in 1 2 3 4 5 6; do echo epoch=$epoch loss=${hpo.x}; sleep 0.4; done"
)
LOSSES = [0.1, 0.2, 0.9, 0.05, 0.8]


def test_hopeless_trials_are_pruned_and_the_study_ends_with_its_best(tmp_path: Path) -> None:
    place = Place(
        tmp_path,
        command=COMMAND,
        space={"x": LOSSES},
        sampler="grid",
        metrics={"step": "epoch"},
        pruner={"name": "median", "startup": 2},
        budget={"trials": 5, "parallel": 2},
    )
    said = place.snakemake()
    plan = place.store.current_plan()
    assert plan is not None
    state = place.store.state(plan)
    pruned = {number: trial for number, trial in state.finished.items() if trial.state == "pruned"}
    assert sorted(pruned) == [2, 4]
    for number, trial in pruned.items():
        assert trial.value == LOSSES[number]
        assert f"trial {number} pruned (median): {trial.detail}" in said
        assert f"the best loss so far, {LOSSES[number]:g}, is worse than the median" in trial.detail
        assert trial.seconds is not None
        assert trial.seconds < 2.4
    assert (place.best["trial"], place.best["value"]) == (3, 0.05)
    assert place.best["n_trials"] == {"complete": 3, "pruned": 2}
    assert sorted(place.starts) == list(range(5))

    index = Path(place.store.paths.curve_index(plan["metrics_digest"]))
    lines = index.read_text().splitlines()
    assert len(lines) == 3
    index.unlink()
    place.snakemake()
    assert len(index.read_text().splitlines()) == len(lines), "what is missing is made again from results"
    assert sorted(place.starts) == list(range(5))
