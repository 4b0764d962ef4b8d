"""Tables of real learning curves: random configurations of a training, each with its loss after every epoch.

`python -m benchmarks.multifidelity.tables` makes those that are missing in `data/`, which takes half an hour in all.
Those who work on methods tune on the first ones; nobody tunes on the others, which are reported.
"""

from __future__ import annotations

import functools
import json
import lzma
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.multifidelity import trainings
from benchmarks.multifidelity.trainings import BOOSTING, CONVOLUTIONS, LINEAR, NETWORK, Curve, split
from benchmarks.samplers.spaces import Configuration, Space, draw

DATA = Path(__file__).parent / "data"
DIGITS = 5
"""Of a loss, in the files."""


@dataclass(frozen=True)
class Training:
    """What a table is of.

    Args:
        name: Of the table, and of its file.
        title: As it is shown.
        space: Of its configurations.
        epochs: Of each curve.
        count: Configurations.
        curve: Trains one.
        tuning: Whether methods are tuned on it.
    """

    name: str
    title: str
    space: Space
    epochs: int
    count: int
    curve: Callable[[int, Mapping[str, Any]], Curve]
    tuning: bool = False

    def configurations(self) -> list[Configuration]:
        """Random ones, always the same."""
        rng = np.random.default_rng(20_260_101)
        return [draw(self.space, rng) for _ in range(self.count)]


def _training(
    name: str,
    title: str,
    space: Space,
    epochs: int,
    count: int,
    train: Any,
    data: tuple[str, int],
    *,
    tuning: bool = False,
) -> Training:
    def curve(epochs: int, settings: Mapping[str, Any]) -> Curve:
        return list(train(split(*data), epochs, settings))

    return Training(name, title, space, epochs, count, curve, tuning)


_convolutions = functools.partial(trainings.network, convolutions=True)

TRAININGS = {
    one.name: one
    for one in (
        _training(
            "mlp-digits",
            "network, digits",
            NETWORK,
            27,
            400,
            trainings.network,
            ("digits", 500),
            tuning=True,
        ),
        _training(
            "boosting-cancer",
            "boosting, breast cancer",
            BOOSTING,
            81,
            400,
            trainings.boosting,
            ("breast_cancer", 280),
            tuning=True,
        ),
        _training(
            "boosting-diabetes",
            "boosting, diabetes",
            BOOSTING,
            81,
            400,
            trainings.boosting,
            ("diabetes", 240),
            tuning=True,
        ),
        _training("sgd-digits", "linear, digits", LINEAR, 27, 600, trainings.linear, ("digits", 500)),
        _training("cnn-digits", "convolutions, digits", CONVOLUTIONS, 27, 400, _convolutions, ("digits", 500)),
        _training("mlp-diabetes", "network, diabetes", NETWORK, 81, 400, trainings.network, ("diabetes", 240)),
    )
}


@dataclass(frozen=True)
class Table:
    """A table as methods are played on it.

    Args:
        name: Its name.
        space: Of its configurations.
        configurations: n of them.
        losses: (n, epochs) the best loss up to each epoch, as a program prints that keeps its best checkpoint.
    """

    name: str
    space: Space
    configurations: Sequence[Configuration]
    losses: np.ndarray

    @property
    def epochs(self) -> int:
        return int(self.losses.shape[1])

    def target(self, share: float) -> float:
        """The loss that this share of the configurations reaches, when trained to the end."""
        return float(np.sort(self.losses[:, -1])[int(len(self.losses) * share)])


def path_of(name: str) -> Path:
    return DATA / f"{name}.json.xz"


def make(training: Training, say: Callable[[str], None]) -> None:
    """Train all configurations and write the table."""
    begun = time.monotonic()
    rows = []
    for number, settings in enumerate(training.configurations()):
        curve = training.curve(training.epochs, settings)
        rows.append([settings, [float(f"{loss:.{DIGITS}g}") for loss in curve]])
        if number % 50 == 49:
            say(f"{training.name}: {number + 1} of {training.count}, {time.monotonic() - begun:.0f} s")
    text = json.dumps(rows, separators=(",", ":"))
    DATA.mkdir(exist_ok=True)
    path_of(training.name).write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


@functools.cache
def load(name: str) -> Table:
    """The table of this name."""
    rows = json.loads(lzma.decompress(path_of(name).read_bytes()))
    losses = np.minimum.accumulate(np.array([curve for _, curve in rows], float), axis=1)
    return Table(name, TRAININGS[name].space, [settings for settings, _ in rows], losses)


def main() -> None:
    for training in TRAININGS.values():
        if not path_of(training.name).exists():
            make(training, lambda text: print(text, file=sys.stderr, flush=True))


if __name__ == "__main__":
    main()
