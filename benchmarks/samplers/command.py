"""`python -m benchmarks samplers`: play samplers on problems, measure how long they take, show the tables."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from benchmarks.results_files import COMMITTED, ROOT
from benchmarks.samplers import latency, peers, process, reference
from benchmarks.samplers.problems import SUITES, Problem
from benchmarks.samplers.runs import MODES, Run, RunFiles, improvements, play, start_of

RESULTS = COMMITTED / "samplers"
TUNING = ROOT / "build" / "benchmarks" / "samplers"
"""Not in version control."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m benchmarks samplers",
        description="Play samplers on problems whose answers are known. What is in the results is not repeated unless\n"
        "the code of the sampler, or the version of its package, has changed; a call that was killed goes on\n"
        "where it was. "
        "Samplers that are not installed are left out. Use one thread:\n"
        "OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 python -m benchmarks samplers ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "word",
        nargs="?",
        choices=("table", "clean"),
        help="show the tables, or forget runs of versions before the last",
    )
    made.add_argument("--mode", default=",".join(MODES), help=f"some of {', '.join(MODES)}  [all]")
    made.add_argument(
        "--samplers", default=",".join(peers.SAMPLERS), help=f"some of {', '.join(peers.SAMPLERS)}  [all]"
    )
    made.add_argument("--seeds", type=int, default=10, metavar="N", help="seeds 0 to N - 1  [10]")
    made.add_argument("--first-seed", type=int, default=0, metavar="N", help="begin with this seed  [0]")
    made.add_argument("--budget", type=int, metavar="N", help="trials of a run  [the mode's own]")
    made.add_argument(
        "--tuning", action="store_true", help=f"the problems to tune on; results in {TUNING.relative_to(ROOT)}"
    )
    made.add_argument(
        "--problems", action="append", default=[], metavar="TEXT", help="only problems with this in their name"
    )
    made.add_argument("--results", type=Path, metavar="FOLDER", help=f"[{RESULTS.relative_to(ROOT)}]")
    made.add_argument("--stop-after", type=float, metavar="S", help="start no run after so many seconds")
    made.add_argument("--latency", action="store_true", help="measure instead how long an ask takes")
    made.add_argument("--list", action="store_true", help="show how many runs are there and how many are missing")
    return made


def words(made: argparse.ArgumentParser, text: str, known: Sequence[str], option: str) -> list[str]:
    """The words of a list with commas, each of which must be known."""
    found = [word for word in text.split(",") if word]
    for word in found:
        if word not in known:
            made.error(f"--{option}: there is no {word!r}; there are {', '.join(known)}")
    return found


def usable(samplers: Sequence[str], problems: Sequence[Problem]) -> tuple[list[str], list[Problem]]:
    """What is installed; the others are named once with what they lack."""
    able = []
    for name in samplers:
        reason = peers.lacks(name)
        if reason is None:
            able.append(name)
        else:
            say(f"{name}: left out: {reason}")
    ready = []
    for problem in problems:
        if peers.is_installed(problem.package):
            ready.append(problem)
        else:
            say(f"{problem.name}: left out: the package {problem.package} is not installed (pip install '.[peers]')")
    return able, ready


def run_missing(
    mode_name: str, samplers: Sequence[str], problems: Sequence[Problem], options: argparse.Namespace, files: RunFiles
) -> bool:
    """All problems with the first seed, then with the second, and so on; whether nothing failed."""
    mode = MODES[mode_name]
    budget = options.budget or mode.budget
    versions = {name: peers.version(name) for name in samplers}
    done = {name: files.done(mode_name, name, versions[name], budget) for name in samplers}
    good = True
    for seed in range(options.first_seed, options.seeds):
        for problem in problems:
            for name in samplers:
                if (problem.name, seed) in done[name]:
                    continue
                if options.stop_after is not None and time.monotonic() - options.begun > options.stop_after:
                    say("the time is over; the same call goes on where it was")
                    return good
                label = f"{mode_name}, {name}, {problem.name}, seed {seed}"
                try:
                    problem.landscape  # noqa: B018  loaded outside of what is timed
                    player = peers.player(name, start_of(problem, mode, budget, seed))
                    losses, cpu_s = play(problem, player, mode, budget, seed)
                except Exception as error:  # somebody's package may raise anything; the others go on
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    say(f"{label}: FAILED: {type(error).__name__}: {error} ({where.filename}, line {where.lineno})")
                    good = False
                    continue
                improved = improvements(losses)
                run = Run(name, versions[name], problem.name, seed, budget, len(losses), improved, round(cpu_s, 3))
                files.add(mode_name, run)
                say(f"{label}: {run.lowest:.6g} after {run.trials}, {cpu_s:.1f} CPU s")
    return good


def main(argv: Sequence[str]) -> int:
    """Exit code: 0 good, 1 a run failed, 2 the call is wrong."""
    made = parser()
    options = made.parse_args(argv)
    modes = words(made, options.mode, tuple(MODES), "mode")
    samplers = words(made, options.samplers, tuple(peers.SAMPLERS), "samplers")
    for name in ("seeds", "budget"):
        value = getattr(options, name)
        if value is not None and value < 1:
            made.error(f"--{name} {value}: at least 1")
    folder = options.results or (TUNING if options.tuning else RESULTS)
    files = RunFiles(folder)
    options.begun = time.monotonic()
    if options.word == "table":
        from benchmarks.samplers.tables_and_plots import block

        print(block(folder))
        return 0
    if options.word == "clean":
        for mode in modes:
            for name in samplers:
                dropped = files.drop_old_versions(mode, name)
                if dropped:
                    say(f"{files.path(mode, name).name}: {dropped} runs of earlier versions forgotten")
        return 0
    if options.latency:
        able = usable(samplers, ())[0]
        if options.list:
            for name in able:
                print(f"latency, {name}: measured with {latency.measured(folder, name) or 'no'} results known")
            return 0
        good = latency.measure(able, folder, say)
        process.measure(able, folder, say)
        return 0 if good else 1
    good = True
    for mode in modes:
        suite = SUITES[MODES[mode].tuning if options.tuning else MODES[mode].suite]
        problems = [one for one in suite if not options.problems or any(part in one.name for part in options.problems)]
        if not problems:
            made.error(
                f"--problems: no problem of the suite is like this; there are {'; '.join(one.name for one in suite)}"
            )
        able, ready = usable(samplers, problems)
        if options.list:
            show_progress(mode, able, ready, options, files)
            continue
        if able and ready:
            reference.make(folder, ready)
            good &= run_missing(mode, able, ready, options, files)
    return 0 if good else 1


def show_progress(
    mode: str, samplers: Sequence[str], problems: Sequence[Problem], options: argparse.Namespace, files: RunFiles
) -> None:
    """A line for each sampler."""
    budget = options.budget or MODES[mode].budget
    wanted = {(one.name, seed) for one in problems for seed in range(options.first_seed, options.seeds)}
    for name in samplers:
        there = len(wanted & files.done(mode, name, peers.version(name), budget))
        print(f"{mode}, {name}: {there} of {len(wanted)} runs of {budget} trials")
