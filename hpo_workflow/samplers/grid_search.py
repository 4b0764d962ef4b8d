"""Grid search: all values of ints and choices, `points` of floats, in the order of the space."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from hpo_workflow.errors import ConfigError
from hpo_workflow.samplers.history import History
from hpo_workflow.space import SearchSpace
from hpo_workflow.trial import Value


@dataclass(frozen=True)
class GridSearch:
    """The grid from its beginning, without what was already proposed; fewer than asked when the grid ends."""

    def propose(self, space: SearchSpace, history: History, n: int, rng: np.random.Generator) -> list[dict[str, Value]]:
        if space.grid_size() is None:
            from hpo_workflow.samplers import check_settings

            raise ConfigError("space", check_settings({"name": "grid"}, space))
        taken = history.keys(space)
        return list(islice((params for params in space.grid() if space.key(params) not in taken), n))
