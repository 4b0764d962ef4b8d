"""Players that are here whatever is installed; others are played by the benchmark itself."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.samplers.latency import SPACE, loss
from benchmarks.samplers.peers import SAMPLERS, Start, is_installed, lacks, player
from benchmarks.samplers.spaces import active_part, choice, draw, real, whole
from hpo_workflow.samplers import known_samplers

TREE = {
    "kernel": choice("linear", "poly", "rbf"),
    "C": real(1e-3, 1e3, log=True),
    "degree": whole(2, 5, when={"kernel": ["poly"]}),
    "gamma": real(1e-5, 10.0, log=True, when={"kernel": ["poly", "rbf"]}),
}
LIGHT = [name for name in ("random", "tpe", "gp", "optuna_tpe", "hyperopt") if lacks(name) is None]


@pytest.mark.parametrize("name", LIGHT)
def test_a_player_proposes_in_the_space_and_the_same_each_time(name):
    def play():
        one = player(name, Start(TREE, seed=3, budget=12, parallel=2))
        found = []
        for _ in range(3):
            for handle, configuration in one.ask(2):
                assert configuration == active_part(TREE, configuration)
                one.tell(handle, float(configuration["C"]))
                found.append(configuration)
        return found

    first = play()
    assert len({str(one) for one in first}) > 4
    assert play() == first


@pytest.mark.parametrize("name", LIGHT)
def test_a_player_learns_what_it_has_not_asked_for(name):
    rng = np.random.default_rng(1)
    known = [draw(SPACE, rng) for _ in range(12)]
    one = player(name, Start(SPACE, seed=0, budget=20, parallel=1))
    one.learn(known, [loss(configuration) for configuration in known])
    ((handle, configuration),) = one.ask(1)
    assert configuration not in known
    one.tell(handle, 1.0)


def test_ours_are_samplers_of_the_package_and_others_say_how_to_get_them():
    for name, entry in SAMPLERS.items():
        if not entry.package:
            assert (lacks(name) is None) == (entry.which in known_samplers())
        elif not is_installed(entry.imported):
            assert "pip install" in lacks(name) or "benchmarks/README.md" in lacks(name)
