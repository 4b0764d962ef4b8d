"""CPU seconds of a whole `propose` process on a study with a hundred finished trials of six parameters."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.json_lines import append, read
from benchmarks.samplers import peers
from benchmarks.samplers.latency import SPACE

NAME = "process.jsonl"
FINISHED = 100
CALLS = 5


def measure(samplers: Sequence[str], folder: Path, say: Callable[[str], None]) -> None:
    """Add what is not there, of our samplers. Makes a study with Snakemake first, which takes half a minute."""
    from benchmarks.accounting import account
    from benchmarks.places import SLOTS, Place, Workshop, clean_environment
    from benchmarks.rule_commands import RuleCommands, with_options
    from benchmarks.startup import BATCH, PLAN, last_emission, plan_of, write_plan

    known = {(record["sampler"], record["version"]) for record in read(folder / NAME)}
    due = [name for name in samplers if not peers.SAMPLERS[name].package and (name, peers.version(name)) not in known]
    if not due:
        return

    def study(place: Place) -> None:
        place.write(
            study="s",
            command="echo loss=${hpo.lr}",
            **{"pass": ["env"]},
            space={name: dict(entry) for name, entry in SPACE.items()},
            objective={"metric": "loss", "direction": "minimize"},
            sampler="random",
            budget={"trials": FINISHED, "parallel": SLOTS},
        )
        place.snakemake()

    with tempfile.TemporaryDirectory(prefix="hpo-benchmarks-", ignore_cleanup_errors=True) as top:
        workshop = Workshop(Path(top))
        words = RuleCommands(workshop).words["propose"]
        finished = workshop.prepared("six parameters", study)
        batch = last_emission(finished)[1] + 1
        for name in due:
            taken = []
            for _ in range(CALLS):
                place = workshop.place()
                shutil.copytree(finished.root, place.root)
                spec: dict[str, Any] = plan_of(place)["spec"]
                budget = {**spec["budget"], "trials": FINISHED + 1}
                write_plan(place, sampler={**spec["sampler"], "name": name}, budget=budget)
                call = with_options(words, plan=PLAN, out=BATCH, batch=batch)
                taken.append(account(call, place.folder, clean_environment()).cpu_s)
                workshop.drop(place)
            append(folder / NAME, {"sampler": name, "version": peers.version(name), "cpu_s": taken})
            say(f"propose process, {name}: {statistics.median(taken):.3f} CPU s")


def newest(folder: Path) -> dict[str, list[float]]:
    """CPU seconds of each call, of the version of each sampler that was measured last."""
    return {record["sampler"]: record["cpu_s"] for record in read(folder / NAME)}
