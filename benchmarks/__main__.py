"""`python -m benchmarks`: measure, and write the tables."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks import extend, overhead, pruning, slots, slurm_slots, startup, watching
from benchmarks import parser as parser_part
from benchmarks.accounting import MeasurementError
from benchmarks.document import DOCUMENT, block, write
from benchmarks.multifidelity import command as multifidelity_command
from benchmarks.multifidelity import figures
from benchmarks.parts import Chapter, Part, label
from benchmarks.places import Workshop
from benchmarks.results_files import COMMITTED, ROOT, Case, ResultFiles, package_digest
from benchmarks.samplers import command as samplers_command
from benchmarks.samplers import tables_and_plots

PARTS: tuple[Part, ...] = (
    startup.PART,
    overhead.PART,
    extend.PART,
    slots.PART,
    slurm_slots.PART,
    pruning.PART,
    parser_part.PART,
    watching.PART,
)
SAMPLERS = Chapter(
    "samplers", "how good and how fast the samplers are", tables_and_plots.block, tables_and_plots.pictures
)
MULTIFIDELITY = Chapter(
    "multifidelity", "how many epochs multi-fidelity methods need", figures.block, lambda folder: {}
)
COMMANDS = {SAMPLERS.name: samplers_command.main, MULTIFIDELITY.name: multifidelity_command.main}
DOCUMENTED: tuple[Part | Chapter, ...] = (*PARTS, SAMPLERS, MULTIFIDELITY)
QUICK_RESULTS = ROOT / "build" / "benchmarks"
"""Not in version control: figures of small sizes are for those who work on the benchmarks."""


def parser() -> argparse.ArgumentParser:
    words = "\n".join(f"  {part.name:<10}{part.title}" for part in PARTS)
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what the orchestration costs. Without a word, all parts:\n\n"
        f"{words}\n  {'table':<10}write the results into docs/benchmarks.md\n\n"
        f"`python -m benchmarks {SAMPLERS.name} --help`: {SAMPLERS.title};\n"
        f"`python -m benchmarks {MULTIFIDELITY.name} --help`: {MULTIFIDELITY.title}.\n"
        "They take hours, so only their words start them.\n\n"
        "What has been measured on this machine with this version of the package is not measured again, so an\n"
        "interrupted call goes on where it was.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("words", nargs="*", metavar="PART", help="parts to measure, or `table`")
    made.add_argument("--quick", action="store_true", help="small sizes, once each, to see that everything works")
    made.add_argument("--results", type=Path, help=f"folder of the results  [{COMMITTED.relative_to(ROOT)}]")
    made.add_argument("--repeat", type=int, metavar="N", help="measure each case N times  [the part's own number]")
    made.add_argument("--only", action="append", default=[], metavar="KEY=VALUE", help="only cases with this value")
    made.add_argument("--again", action="store_true", help="measure also what has been measured")
    made.add_argument(
        "--work", type=Path, metavar="FOLDER", help="where studies are run; needs 1 GB  [a temporary one]"
    )
    made.add_argument("--list", action="store_true", help="show the cases and whether they were measured")
    made.add_argument("--show", action="store_true", help="with `table`: print the tables, and write nothing")
    return made


@contextlib.contextmanager
def workshop(folder: Path | None) -> Iterator[Workshop]:
    """A folder for one call, removed at its end."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="hpo-benchmarks-", dir=folder, ignore_cleanup_errors=True) as path:
        yield Workshop(Path(path))


def chosen(cases: Sequence[Case], only: Sequence[str]) -> list[Case]:
    """The cases that have every KEY=VALUE of `only`; several values of a key are alternatives."""
    wanted: dict[str, set[str]] = {}
    for word in only:
        key, _, value = word.partition("=")
        wanted.setdefault(key, set()).add(value)
    return [case for case in cases if all(str(case.get(key)) in values for key, values in wanted.items())]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(
    part: Part, cases: Sequence[Case], files: ResultFiles, repeats: int, *, quick: bool, again: bool, work: Workshop
) -> bool:
    """Measure what is missing of a part, all cases once before any a second time; whether nothing failed."""
    good = True
    able = []
    for case in cases:
        reason = part.lacks(case)
        if reason is None:
            able.append(case)
        else:
            say(f"{part.name}, {label(case)}: left out: {reason}")
    for repeat in range(repeats):
        for case in able:
            if not again and files.has(part.name, case, repeat):
                continue
            begun = time.monotonic()
            package = package_digest()
            try:
                values = part.measure(case, work)
                if package_digest() != package:
                    raise MeasurementError("the package was edited meanwhile; measure in a clone of its own")
            except MeasurementError as error:
                say(f"{part.name}, {label(case)}: FAILED: {error}")
                good = False
                continue
            files.add(part.name, case, repeat, values, package, quick=quick)
            say(f"{part.name}, {label(case)}, {repeat + 1} of {repeats}: {time.monotonic() - begun:.1f} s")
    return good


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 good, 1 a measurement failed, 2 the call is wrong."""
    given = sys.argv[1:] if argv is None else list(argv)
    if given and given[0] in COMMANDS:
        return COMMANDS[given[0]](given[1:])
    made = parser()
    options = made.parse_args(given)
    names = [part.name for part in PARTS]
    for word in options.words:
        if word not in (*names, "table"):
            made.error(
                f"there is no part {word!r}; the parts are {', '.join(names)}, and `table` writes the tables; "
                f"`{SAMPLERS.name}` and `{MULTIFIDELITY.name}` stand first"
            )
    if options.repeat is not None and options.repeat < 1:
        made.error(f"--repeat {options.repeat}: at least 1")
    if any("=" not in word for word in options.only):
        made.error("--only wants KEY=VALUE, for example --only trials=256; --list shows the cases")
    files = ResultFiles(options.results or (QUICK_RESULTS if options.quick else COMMITTED))
    parts = [part for part in PARTS if part.name in options.words or not options.words]
    cases = {part.name: chosen(part.cases(options.quick), options.only) for part in parts}
    if options.only and not any(cases.values()):
        made.error(f"--only {' '.join(options.only)}: no case of {', '.join(cases) or 'no part'} is like this")
    if options.list:
        for part in parts:
            for case in cases[part.name]:
                times = sum(files.has(part.name, case, repeat) for repeat in range(options.repeat or part.repeats))
                print(f"{part.name}: {label(case)}: measured {times} times")
        return 0
    good = True
    with workshop(options.work) as work:
        for part in parts:
            repeats = options.repeat or (1 if options.quick else part.repeats)
            good &= measure(part, cases[part.name], files, repeats, quick=options.quick, again=options.again, work=work)
    if options.show:
        for shown in DOCUMENTED:
            print(f"## {shown.title}\n{block(shown, files)}")
    elif "table" in options.words:
        changed = write(DOCUMENTED, files)
        say(f"{DOCUMENT.relative_to(ROOT)}: {'written' if changed else 'was in step'}")
    return 0 if good else 1


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """TERM ends a call as Ctrl-C does: clusters and studies are not left behind."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, interrupt)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("interrupted; the same call goes on where it was")
        sys.exit(130)
