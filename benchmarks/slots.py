"""How well eight local slots are used by sleeping trials: rolling, in rounds, and Optuna with the same program."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.accounting import account
from benchmarks.parts import Aim, Part, Results, aims, spread, table
from benchmarks.places import SLOTS, Place, Workshop, clean_environment
from benchmarks.results_files import ROOT, Case, Record
from benchmarks.slot_use import bounds, log_normal, read_times, use

SLEEPER = ROOT / "benchmarks" / "sleeper.sh"
SPACE: dict[str, Any] = {
    **{name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("x", "y", "z")},
    "units": {"type": "int", "low": 16, "high": 512},
    "optimizer": ["adam", "sgd", "lion"],
    "batch": [16, 32, 64, 128],
}
"""Six parameters, so that a model-based sampler has something to do."""
DURATIONS, TIMES = "durations.txt", "times.txt"


def cases(quick: bool) -> list[Case]:
    """Ours with and without a model, ours in rounds, and Optuna."""
    trials, mean_s, earlier = (24, 1.0, 32) if quick else (96, 4.0, 500)
    common = {"trials": trials, "mean_s": mean_s, "slots": SLOTS}
    return [
        {"who": "rolling", "sampler": "random", "earlier": 0, **common},
        {"who": "rolling", "sampler": "tpe", "earlier": earlier, **common},
        {"who": "rounds", "sampler": "random", "earlier": 0, **common},
        {"who": "optuna, in memory", "sampler": "random", "earlier": 0, **common},
        {"who": "optuna, SQLite", "sampler": "random", "earlier": 0, **common},
        {"who": "optuna, SQLite", "sampler": "tpe", "earlier": earlier, **common},
    ]


def lacks(case: Case) -> str | None:
    if case["who"].startswith("optuna") and importlib.util.find_spec("optuna") is None:
        return "this Python has no optuna: pip install '.[benchmarks]'"
    return None


def write_durations(folder: Path, earlier: int, durations: Sequence[float]) -> None:
    """The file that sleeper.sh reads: earlier trials end at once."""
    lines = ["0"] * earlier + [f"{value:.3f}" for value in durations]
    (folder / DURATIONS).write_text("\n".join(lines) + "\n", encoding="ascii")


def study(sampler: str, trials: int, slots: int, refill: str = "rolling") -> dict[str, Any]:
    """A study of trials that sleep."""
    parameters = " ".join(f"${{hpo.{name}}}" for name in SPACE)
    return {
        "study": "s",
        "command": f"bash {SLEEPER} ${{trial.number}} {DURATIONS} {TIMES} {parameters}",
        "inputs": [],
        "space": SPACE,
        "objective": {"metric": "loss", "direction": "minimize"},
        "sampler": sampler,
        "refill": refill,
        "budget": {"trials": trials, "parallel": slots},
    }


def _with_earlier(workshop: Workshop, earlier: int, durations: Sequence[float], slots: int) -> Place:
    """A place in which `earlier` trials have ended; the random sampler proposed them."""

    def make(place: Place) -> None:
        place.write(**study("random", earlier, slots))
        write_durations(place.folder, earlier, durations)
        place.snakemake(cores=slots)

    if not earlier:
        place = workshop.place()
        place.folder.mkdir(parents=True)
        write_durations(place.folder, 0, durations)
        return place
    return workshop.place().copy_of(workshop.prepared(f"earlier-{earlier}-{len(durations)}-{slots}", make))


def measure(case: Case, workshop: Workshop) -> dict[str, Any]:
    """All trials of a case once."""
    trials, earlier, slots = int(case["trials"]), int(case["earlier"]), int(case["slots"])
    durations = log_normal(trials, float(case["mean_s"]))
    if case["who"].startswith("optuna"):
        place = workshop.place()
        place.folder.mkdir(parents=True)
        write_durations(place.folder, earlier, durations)
        settings = {
            "sampler": case["sampler"],
            "earlier": earlier,
            "trials": trials,
            "slots": slots,
            "storage": "sqlite:///study.db" if case["who"].endswith("SQLite") else None,
            "space": SPACE,
            "program": ["bash", str(SLEEPER)],
            "files": [DURATIONS, TIMES],
        }
        call = [sys.executable, str(ROOT / "benchmarks" / "optuna_study.py"), json.dumps(settings)]
        usage = account(call, place.folder, clean_environment(OMP_NUM_THREADS="1"))
    else:
        place = _with_earlier(workshop, earlier, durations, slots)
        place.write(**study(case["sampler"], earlier + trials, slots, case["who"]))
        usage = place.snakemake(cores=slots)
    times = read_times(place.folder / TIMES, earlier)
    values = {
        **use(times, durations, slots),
        "bounds": bounds(durations, slots),
        "wall_s": usage.wall_s,
        "before_s": min(time.start for time in times) - usage.begun,
        "after_s": usage.begun + usage.wall_s - max(time.end for time in times),
        "cpu_a_trial_s": usage.cpu_s / trials,
        "others_cpu_s": usage.others_cpu_s,
    }
    workshop.drop(place)
    return values


def _name(case: Case) -> str:
    earlier = f", {case['earlier']} earlier trials" if case["earlier"] else ""
    return f"{case['who']}, {case['sampler']}{earlier}"


def tables(records: Sequence[Record]) -> list[str]:
    """Slot use by who fills the slots, and the aims."""
    results = Results(records)
    limits: dict[str, float] = records[0]["values"]["bounds"]
    common = {name: records[0]["case"][name] for name in ("trials", "mean_s", "slots")}
    rows = [
        [
            _name(case),
            spread(results.values(case, "use")),
            spread(results.values(case, "of_greedy")),
            spread(results.values(case, "before_s"), 1),
            spread(results.values(case, "after_s"), 1),
            spread(results.values(case, "cpu_a_trial_s")),
        ]
        for case in results.cases
    ]
    ideal = ["*ideal: a free slot is filled at once*", f"{limits['greedy']:.3f}", "1", "0", "0", "0"]
    rounds = ["*ideal of rounds*", f"{limits['rounds']:.3f}", f"{limits['rounds'] / limits['greedy']:.3f}"]
    header = ("who fills the slots", "slot use", "of ideal", "s before the first", "s after the last", "CPU s a trial")
    lines = table(header, [*rows, ideal, [*rounds, "0", "0", "0"]])
    random = {"who": "rolling", "sampler": "random", "earlier": 0, **common}
    tpe = {"who": "rolling", "sampler": "tpe", "earlier": 500, **common}
    wanted = [
        Aim("rolling with random: at least 0.88 of ideal", results.values(random, "of_greedy"), 0.88, 3, True),
        Aim(
            "rolling with tpe at 500 earlier trials: at least 0.85 of ideal",
            results.values(tpe, "of_greedy"),
            0.85,
            3,
            True,
        ),
    ]
    return [*lines, "", *aims(wanted)]


PART = Part("slots", "how well local slots are used", 3, cases, lacks, measure, tables)
