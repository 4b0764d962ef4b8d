"""Cross-validation of a support vector machine, computed when it is asked for: real conditions, no steps in the loss.

The loss is the mean of log(1 + exp(-margin)): accuracy would have steps. Some milliseconds each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.samplers.spaces import Space, choice, real, whole

ROWS = 240
"""Of 569, to keep it short."""
FOLDS = 3

SPACE: Space = {
    "kernel": choice("linear", "rbf", "poly", "sigmoid"),
    "C": real(1e-3, 1e3, log=True),
    "shrink": real(0.0, 1.0),
    "gamma": real(1e-5, 1e1, log=True, when={"kernel": ["rbf", "poly", "sigmoid"]}),
    "coef0": real(0.0, 3.0, when={"kernel": ["poly", "sigmoid"]}),
    "degree": whole(2, 5, when={"kernel": ["poly"]}),
}


class SupportVectors:
    """Breast cancer (UCI, from scikit-learn), standardised.

    `shrink` moves the weights of the two classes from even (0) to balanced (1).
    """

    best: float | None = None

    def __init__(self) -> None:
        from sklearn.datasets import load_breast_cancer
        from sklearn.model_selection import StratifiedKFold

        data, classes = load_breast_cancer(return_X_y=True)
        rows = np.random.default_rng(5).permutation(len(classes))[:ROWS]
        data, classes = data[rows], classes[rows]
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        self._folds = []
        for train, test in folds.split(data, classes):
            mean, spread = data[train].mean(axis=0), data[train].std(axis=0)
            scaled = (data - mean) / spread
            self._folds.append((scaled[train], classes[train], scaled[test], classes[test]))
        self._known: dict[str, float] = {}

    def loss(self, configuration: Mapping[str, Any]) -> float:
        key = json.dumps(configuration, sort_keys=True)
        if key not in self._known:
            self._known[key] = self._compute(**configuration)
        return self._known[key]

    def told(self, configuration: Mapping[str, Any], rng: np.random.Generator) -> float:
        return self.loss(configuration)

    def _compute(self, shrink: float, **settings: Any) -> float:
        from sklearn.svm import SVC

        losses = []
        for data, classes, unseen, truth in self._folds:
            even = len(classes) / (2.0 * np.bincount(classes))
            weights = dict(enumerate(1.0 + shrink * (even - 1.0)))
            machine = SVC(class_weight=weights, **settings).fit(data, classes)
            margin = machine.decision_function(unseen) * np.where(truth == 1, 1.0, -1.0)
            losses.append(np.logaddexp(0.0, -margin).mean())
        return float(np.mean(losses))
