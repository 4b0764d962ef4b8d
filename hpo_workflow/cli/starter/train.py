"""Train a small neural network on two interleaved spirals and print its accuracy on points that it has not seen.

It needs nothing but Python. Replace it with your own program: all that a study wants is numbers printed as name=value.
"""

from __future__ import annotations

import argparse
import math
import random

parser = argparse.ArgumentParser()
parser.add_argument("--hidden", type=int, default=8)
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--momentum", type=float, default=0.0)
parser.add_argument("--activation", choices=["tanh", "relu"], default="tanh")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()


def spirals(n: int, rng: random.Random) -> list[tuple[list[float], int]]:
    """n points of two spirals as (features, class)."""
    points = []
    for i in range(n):
        turn = rng.random() * 1.6 * math.pi
        side = i % 2
        angle = turn + side * math.pi
        x = turn * math.cos(angle) / 5 + rng.gauss(0, 0.04)
        y = turn * math.sin(angle) / 5 + rng.gauss(0, 0.04)
        points.append(([x, y, 1.0], side))
    return points


data = random.Random(0)  # the same data for all trials
training, test = spirals(300, data), spirals(300, data)

rng = random.Random(options.seed)
tanh = options.activation == "tanh"
inner = [[rng.gauss(0, 1) for _ in range(3)] for _ in range(options.hidden)]
outer = [rng.gauss(0, 1) / math.sqrt(options.hidden) for _ in range(options.hidden + 1)]
inner_speed = [[0.0] * 3 for _ in inner]
outer_speed = [0.0] * len(outer)


def forward(features: list[float]) -> tuple[list[float], float]:
    """Activations of the hidden units and the probability of class 1."""
    sums = [sum(unit[k] * features[k] for k in range(3)) for unit in inner]
    hidden = [math.tanh(s) if tanh else max(0.0, s) for s in sums]
    total = outer[-1] + sum(outer[j] * h for j, h in enumerate(hidden))
    return hidden, 1 / (1 + math.exp(-max(-30.0, min(30.0, total))))


for epoch in range(1, options.epochs + 1):
    rng.shuffle(training)
    for features, label in training:
        hidden, probability = forward(features)
        error = probability - label
        for j, h in enumerate(hidden):
            slope = 1 - h * h if tanh else float(h > 0)
            back = error * outer[j] * slope
            outer_speed[j] = options.momentum * outer_speed[j] - options.lr * error * h
            outer[j] += outer_speed[j]
            for k in range(3):
                inner_speed[j][k] = options.momentum * inner_speed[j][k] - options.lr * back * features[k]
                inner[j][k] += inner_speed[j][k]
        outer_speed[-1] = options.momentum * outer_speed[-1] - options.lr * error
        outer[-1] += outer_speed[-1]
    right = sum((forward(features)[1] > 0.5) == (label == 1) for features, label in test)
    print(f"epoch={epoch} accuracy={right / len(test):.4f}", flush=True)
