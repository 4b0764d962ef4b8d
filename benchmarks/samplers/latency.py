"""How long one ask takes when so many results are known, in a space of six parameters of all kinds."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.json_lines import append, read
from benchmarks.results_files import machine
from benchmarks.samplers import peers
from benchmarks.samplers.spaces import Space, choice, draw, real, whole

NAME = "latency.jsonl"
SIZES = (10, 100, 1000, 10_000)
ASKS = 3
TOO_LONG = 20.0
"""CPU seconds of an ask after which larger sizes are left out."""
SPACE: Space = {
    "lr": real(1e-5, 1e-1, log=True),
    "weight_decay": real(1e-6, 1e-1, log=True),
    "dropout": real(0.0, 0.7),
    "width": whole(16, 512, log=True),
    "depth": whole(1, 6),
    "activation": choice("relu", "tanh", "gelu"),
}


def loss(configuration: dict[str, Any]) -> float:
    """Something with an optimum inside."""
    return float(
        (math.log10(configuration["lr"]) + 3.0) ** 2
        + 0.1 * (math.log10(configuration["weight_decay"]) + 4.0) ** 2
        + configuration["dropout"]
        + 0.3 * abs(configuration["depth"] - 3)
        + (0.5 if configuration["activation"] == "tanh" else 0.0)
        + 10.0 / configuration["width"]
    )


def ask_cpu_s(sampler: str, size: int) -> list[float]:
    """CPU seconds of each of ASKS asks, with the tell before it; the first of them is not counted, it loads modules."""
    player = peers.player(sampler, peers.Start(SPACE, seed=0, budget=size + ASKS + 1, parallel=1))
    rng = np.random.default_rng(0)
    known = [draw(SPACE, rng) for _ in range(size)]
    player.learn(known, [loss(one) for one in known])
    taken = []
    for _ in range(ASKS + 1):
        begun = time.process_time()
        ((handle, configuration),) = player.ask(1)
        player.tell(handle, loss(configuration))
        taken.append(time.process_time() - begun)
        if taken[-1] > TOO_LONG:
            break
    return taken[1:] or taken


def measure(samplers: Sequence[str], folder: Path, say: Callable[[str], None]) -> bool:
    """Add what is not there; whether nothing failed."""
    path = folder / NAME
    good = True
    for sampler in samplers:
        version = peers.version(sampler)
        for size in SIZES:
            if str(size) in measured(folder, sampler).split(", "):
                continue
            try:
                taken = ask_cpu_s(sampler, size)
            except Exception as error:  # somebody's package may raise anything; the others go on
                say(f"latency, {sampler}, {size} known: FAILED: {type(error).__name__}: {error}")
                good = False
                break
            record = {"sampler": sampler, "version": version, "size": size, "machine": machine()}
            append(path, {**record, "cpu_s": [round(one, 5) for one in taken]})
            say(f"latency, {sampler}, {size} known: {statistics.median(taken):.4f} CPU s")
            if max(taken) > TOO_LONG:
                break
    return good


def measured(folder: Path, sampler: str) -> str:
    """The numbers of results with which this version was measured on this machine: `10, 100`."""
    wanted = {"sampler": sampler, "version": peers.version(sampler), "machine": machine()}
    return ", ".join(str(record["size"]) for record in read(folder / NAME) if wanted.items() <= record.items())


def newest(folder: Path) -> dict[str, dict[int, list[float]]]:
    """CPU seconds by sampler and number of results, of the version and machine that was measured last."""
    records = read(folder / NAME)
    last = {record["sampler"]: (record["version"], record["machine"]) for record in records}
    found: dict[str, dict[int, list[float]]] = {}
    for record in records:
        if (record["version"], record["machine"]) == last[record["sampler"]]:
            found.setdefault(record["sampler"], {})[record["size"]] = record["cpu_s"]
    return found
