"""`python -m benchmarks multifidelity`: play methods on tables of learning curves, show what was found."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.multifidelity import methods
from benchmarks.multifidelity.playing import play
from benchmarks.multifidelity.runs import RunFiles, run_of
from benchmarks.multifidelity.tables import TRAININGS, load
from benchmarks.results_files import COMMITTED, ROOT

RESULTS = COMMITTED / "multifidelity"
FULL_COURSES = 40
"""The budget of a run, in configurations trained to the end."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m benchmarks multifidelity",
        description="Play multi-fidelity methods on tables of real learning curves. What is in the results is not\n"
        "repeated unless the code of the method, or the version of its package, has changed; a call that was killed\n"
        "goes on where it was. Methods that are not installed are left out. Use one thread:\n"
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 python -m benchmarks multifidelity ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("word", nargs="?", choices=("table",), help="show the tables")
    made.add_argument(
        "--methods", default=",".join(methods.METHODS), help=f"some of {', '.join(methods.METHODS)}  [all]"
    )
    made.add_argument("--tables", default=",".join(TRAININGS), help=f"some of {', '.join(TRAININGS)}  [all]")
    made.add_argument("--seeds", type=int, default=20, metavar="N", help="seeds 0 to N - 1  [20]")
    made.add_argument("--slots", type=int, default=1, metavar="N", help="trials under way at once  [1]")
    made.add_argument("--results", type=Path, metavar="FOLDER", help=f"[{RESULTS.relative_to(ROOT)}]")
    made.add_argument("--stop-after", type=float, metavar="S", help="start no run after so many seconds")
    made.add_argument("--list", action="store_true", help="show how many runs are there and how many are missing")
    return made


def words(made: argparse.ArgumentParser, text: str, known: Sequence[str], option: str) -> list[str]:
    """The words of a list with commas, each of which must be known."""
    found = [word for word in text.split(",") if word]
    for word in found:
        if word not in known:
            made.error(f"--{option}: there is no {word!r}; there are {', '.join(known)}")
    return found


def main(argv: Sequence[str]) -> int:
    """Exit code: 0 good, 1 a run failed, 2 the call is wrong."""
    made = parser()
    options = made.parse_args(argv)
    names = words(made, options.methods, tuple(methods.METHODS), "methods")
    tables = words(made, options.tables, tuple(TRAININGS), "tables")
    for option in ("seeds", "slots"):
        if getattr(options, option) < 1:
            made.error(f"--{option} {getattr(options, option)}: at least 1")
    folder = options.results or RESULTS
    if options.word == "table":
        from benchmarks.multifidelity.figures import block

        print(block(folder))
        return 0
    files = RunFiles(folder)
    budgets = {name: FULL_COURSES * TRAININGS[name].epochs for name in tables}
    able = []
    for name in names:
        reason = methods.lacks(name)
        if reason is None:
            able.append(name)
        else:
            say(f"{name}: left out: {reason}")
    versions = {name: methods.version(name) for name in able}
    done = {name: files.done(options.slots, name, versions[name], budgets) for name in able}
    wanted = [(table, seed) for seed in range(options.seeds) for table in tables]
    if options.list:
        for name in able:
            there = len(done[name] & set(wanted))
            print(f"{options.slots} slots, {name}: {there} of {len(wanted)} runs")
        return 0
    begun = time.monotonic()
    good = True
    for table, seed in wanted:
        for name in able:
            if (table, seed) in done[name]:
                continue
            if options.stop_after is not None and time.monotonic() - begun > options.stop_after:
                say("the time is over; the same call goes on where it was")
                return 0 if good else 1
            label = f"{options.slots} slots, {name}, {table}, seed {seed}"
            try:
                loaded = load(table)
                player = methods.player(name, loaded, seed, options.slots)
                outcome = play(loaded, player, seed, options.slots, budgets[table])
            except Exception as error:  # somebody's package may raise anything; the others go on
                where = traceback.extract_tb(error.__traceback__)[-1]
                say(f"{label}: FAILED: {type(error).__name__}: {error} ({where.filename}, line {where.lineno})")
                good = False
                continue
            files.add(options.slots, run_of(table, name, versions[name], seed, budgets[table], outcome))
            say(f"{label}: {', '.join(str(epochs) for epochs in outcome.epochs)} epochs, {outcome.cpu_s:.1f} CPU s")
    return 0 if good else 1
