"""Real trainings whose validation loss is known after every epoch; each takes up to some seconds on one core.

Data sets are those that come with scikit-learn, so nothing is downloaded. A loss that is not a number, or beyond
DIVERGED, is DIVERGED. The spaces are wide: schedules, small learning rates and regularisation let curves cross, so that
early ranks mislead.
"""

from __future__ import annotations

import functools
import importlib
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from benchmarks.samplers.spaces import Space, choice, real, whole

Curve = list[float]
Data = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Inputs and truth to train on, inputs and truth to validate on."""

DIVERGED = 10.0
"""No more is told of a loss: ten times what knowing nothing costs, or nearly."""

BOOSTING: Space = {
    "learning_rate": real(5e-3, 0.5, log=True),
    "leaves": whole(2, 64, log=True),
    "rows": real(0.3, 1.0),
    "columns": real(0.1, 1.0),
    "least_in_leaf": whole(1, 60, log=True),
    "l2": real(1e-3, 1e2, log=True),
    "trees": choice("gbdt", "dart"),
    "dropped": real(0.02, 0.5, when={"trees": ["dart"]}),
}
NETWORK: Space = {
    "optimizer": choice("sgd", "adam"),
    "learning_rate": real(1e-4, 1.0, log=True),
    "momentum": real(0.0, 0.98, when={"optimizer": ["sgd"]}),
    "schedule": choice("constant", "cosine", "steps", "warm-up"),
    "batch": whole(16, 256, log=True),
    "width": whole(8, 256, log=True),
    "dropout": real(0.0, 0.7),
    "decay": real(1e-6, 0.1, log=True),
}
CONVOLUTIONS: Space = {
    "learning_rate": real(1e-4, 1.0, log=True),
    "momentum": real(0.0, 0.98),
    "schedule": choice("constant", "cosine", "steps", "warm-up"),
    "batch": whole(16, 256, log=True),
    "channels": whole(4, 32, log=True),
    "dropout": real(0.0, 0.7),
    "decay": real(1e-6, 0.1, log=True),
}
LINEAR: Space = {
    "loss": choice("hinge", "log_loss", "modified_huber", "squared_hinge"),
    "penalty": choice("l1", "l2", "elasticnet"),
    "alpha": real(1e-6, 1.0, log=True),
    "l1_ratio": real(0.01, 0.99, when={"penalty": ["elasticnet"]}),
    "learning_rate": choice("optimal", "invscaling", "constant"),
    "eta0": real(1e-5, 1.0, log=True, when={"learning_rate": ["invscaling", "constant"]}),
    "average": choice("no", "yes"),
}


@functools.cache
def split(name: str, train: int) -> Data:
    """The data set `load_NAME` of scikit-learn, standardised by its training part; regression to deviation 1."""
    module = importlib.import_module("sklearn.datasets")
    x, y = getattr(module, f"load_{name}")(return_X_y=True)
    order = np.random.default_rng(11).permutation(len(y))
    x, y = x[order], y[order]
    spread = x[:train].std(0)
    x = (x - x[:train].mean(0)) / np.where(spread > 1e-9, spread, 1.0)
    if y.dtype.kind == "f":
        y = (y - y[:train].mean()) / y[:train].std()
    return x[:train], y[:train], x[train:], y[train:]


def limited(losses: Curve, epochs: int) -> Curve:
    """A curve of so many epochs, with DIVERGED for what is no loss and after it has ended early."""
    known = [loss if math.isfinite(loss) and loss < DIVERGED else DIVERGED for loss in losses]
    return known + [DIVERGED] * (epochs - len(known))


def boosting(data: Data, epochs: int, settings: Mapping[str, Any]) -> Curve:
    """LightGBM, a boosting round an epoch: log loss of two classes, or the root of the mean square."""
    import lightgbm

    x, y, unseen, truth = data
    metric = "rmse" if y.dtype.kind == "f" else "binary_logloss"
    options = {
        "objective": "regression" if metric == "rmse" else "binary",
        "metric": metric,
        "learning_rate": settings["learning_rate"],
        "num_leaves": settings["leaves"],
        "bagging_fraction": settings["rows"],
        "bagging_freq": 1,
        "feature_fraction": settings["columns"],
        "min_data_in_leaf": settings["least_in_leaf"],
        "lambda_l2": settings["l2"],
        "boosting": settings["trees"],
        "drop_rate": settings.get("dropped", 0.1),
        "num_threads": 1,
        "seed": 0,
        "deterministic": True,
        "verbosity": -1,
    }
    seen: dict[str, Any] = {}
    train = lightgbm.Dataset(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a split that helps nobody is an ordinary end of boosting
        lightgbm.train(
            options,
            train,
            epochs,
            valid_sets=[lightgbm.Dataset(unseen, truth, reference=train)],
            callbacks=[lightgbm.record_evaluation(seen)],
        )
    return limited(seen["valid_0"][metric], epochs)


def schedule(name: str, epochs: int) -> Callable[[int], float]:
    """The factor of the learning rate in an epoch, from 0."""
    factors: dict[str, Callable[[int], float]] = {
        "constant": lambda epoch: 1.0,
        "cosine": lambda epoch: 0.5 * (1.0 + math.cos(math.pi * epoch / epochs)),
        "steps": lambda epoch: 0.1 ** (3 * epoch // epochs),
        "warm-up": lambda epoch: min(1.0, (epoch + 1) / (0.3 * epochs)),
    }
    return factors[name]


def network(data: Data, epochs: int, settings: Mapping[str, Any], *, convolutions: bool = False) -> Curve:
    """A small network in PyTorch: cross entropy of classes, or the root of the mean square."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(1)
    regression = data[1].dtype.kind == "f"
    kind = torch.float32 if regression else torch.int64
    x, unseen = (torch.tensor(part, dtype=torch.float32) for part in (data[0], data[2]))
    y, truth = (torch.tensor(part, dtype=kind) for part in (data[1], data[3]))
    n_out = 1 if regression else int(y.max()) + 1
    layers: list[Any]
    if convolutions:
        c = settings["channels"]
        layers = [nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        layers += [nn.Conv2d(c, 2 * c, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        layers += [nn.Dropout(settings["dropout"]), nn.Linear(8 * c, n_out)]
    else:
        w = settings["width"]
        layers = [nn.Linear(x.shape[1], w), nn.ReLU(), nn.Dropout(settings["dropout"])]
        layers += [nn.Linear(w, w), nn.ReLU(), nn.Linear(w, n_out)]
    model = nn.Sequential(*layers)
    rate, decay = settings["learning_rate"], settings["decay"]
    optimizer: Any
    if settings.get("optimizer") == "adam":
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    else:
        momentum = settings["momentum"]
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum, weight_decay=decay)
    factor = schedule(settings["schedule"], epochs)
    losses: Curve = []

    def loss_of(out: Any, wanted: Any) -> Any:
        return nn.functional.mse_loss(out[:, 0], wanted) if regression else nn.functional.cross_entropy(out, wanted)

    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = rate * factor(epoch)
        model.train()
        order: Any = torch.randperm(len(y))
        for rows in order.split(settings["batch"]):
            optimizer.zero_grad()
            loss_of(model(x[rows]), y[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            loss = float(loss_of(model(unseen), truth))
        losses.append(math.sqrt(loss) if regression and loss >= 0.0 else loss)
        if not math.isfinite(loss):
            break
    return limited(losses, epochs)


def linear(data: Data, epochs: int, settings: Mapping[str, Any]) -> Curve:
    """Stochastic gradient descent of a linear classifier: the share of errors, which has steps and ties."""
    from sklearn.linear_model import SGDClassifier

    x, y, unseen, truth = data
    model = SGDClassifier(
        **{**settings, "average": settings["average"] == "yes", "eta0": settings.get("eta0", 0.01)}, random_state=0
    )
    losses: Curve = []
    generator = np.random.default_rng(5)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for _ in range(epochs):
            order = generator.permutation(len(y))
            try:
                model.partial_fit(x[order], y[order], classes=np.unique(y))
            except ValueError:  # weights have become infinite
                break
            losses.append(float((model.predict(unseen) != truth).mean()))
    return limited(losses, epochs)
