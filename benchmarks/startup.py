"""CPU seconds of the short commands: each trial pays for one `runner` and one `parse`, each batch for one `propose`."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.accounting import account
from benchmarks.overhead import own_cpu_s
from benchmarks.parts import Aim, Part, Results, aims, spread, table
from benchmarks.places import HPO, SLOTS, STUDY_FILE, Place, Workshop, clean_environment
from benchmarks.results_files import Case, Record
from benchmarks.rule_commands import RuleCommands, with_options
from hpo_workflow.store.study_folder import StudyFolder

CALLS = 10
"""A figure is the median of so many calls."""
Call = tuple[list[str], Place]
"""A command, and where it is run."""
PLAN, BATCH, DONE, METRIC = "plan.json", "batch.json", "done.json", "metric.json"

BARE = {
    "python -S -E -c pass": [sys.executable, "-S", "-E", "-c", "pass"],
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import numpy'": [sys.executable, "-c", "import numpy"],
}
"""Bounds: what a Python that does nothing costs, as the runner starts it, as tools do, and with numpy."""

PLAIN = {**BARE, "hpo --help": [*HPO, "--help"], "hpo status": [*HPO, "status", STUDY_FILE]}
"""Commands that change nothing."""


def cases(quick: bool) -> list[Case]:
    """Bounds, then every command on a new study, then those whose cost may grow with the study."""
    finished = 48 if quick else 1024
    return [
        *({"call": name, "finished": 0} for name in BARE),
        *({"call": name, "finished": 0} for name in ("hpo --help", "propose, random", "runner", "parse")),
        *({"call": name, "finished": finished} for name in ("propose, random", "propose, tpe", "parse", "hpo status")),
    ]


def lacks(case: Case) -> str | None:
    return None


def new_study(workshop: Workshop) -> Place:
    """A place with a study of which nothing but the plan exists."""
    from_place, place = RuleCommands(workshop).place, workshop.place()
    for name in ("ledger/plans", "ledger/identities"):
        shutil.copytree(from_place.root / name, place.root / name)
    (place.root / "state").mkdir()
    shutil.copy2(from_place.root / "state" / "plan.json", place.root / "state")
    write_plan(place)
    return place


def plan_of(place: Place) -> dict[str, Any]:
    """The current plan of the study that has run in a place."""
    plan = StudyFolder(str(place.root)).current_plan()
    assert plan is not None, f"{place.root} has no plan"
    return plan


def write_plan(place: Place, **changes: Any) -> None:
    """Put the current plan of a study beside it, with changes to its spec."""
    plan = plan_of(place)
    (place.folder / PLAN).write_text(json.dumps({**plan, "spec": {**plan["spec"], **changes}}), encoding="utf-8")


def imported(command: Sequence[str], cwd: Path) -> set[str]:
    """The top names of the modules that a Python command imports."""
    said = account([command[0], "-X", "importtime", *command[1:]], cwd, clean_environment()).said
    lines = (line for line in said.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def last_emission(place: Place) -> tuple[int, int]:
    """The last trial of a finished study, and the last batch, which proposed it."""
    record = next(record for record in reversed(StudyFolder(str(place.root)).batches()) if record["trials"])
    return record["trials"][-1]["number"], record["batch"]


class Calls:
    """The calls of one case, each made ready just before it is due.

    Args:
        workshop: Where.
        finished: Trials of the study that they are about; 0 for a study that has only a plan.
    """

    def __init__(self, workshop: Workshop, finished: int) -> None:
        self._workshop = workshop
        self._finished = finished
        self._words = RuleCommands(workshop).words
        self._places: list[Place] = []

    def study(self, **changes: Any) -> Place:
        """A place of its own for a call, with changes to the study's spec."""
        if self._finished:
            place = self._workshop.place()
            shutil.copytree(self._workshop.finished(self._finished).root, place.root)
            shutil.copy2(self._workshop.finished(self._finished).folder / STUDY_FILE, place.folder)
        else:
            place = new_study(self._workshop)
        write_plan(place, **changes)
        self._places.append(place)
        return place

    def drop(self) -> None:
        """Remove the places."""
        for place in self._places:
            self._workshop.drop(place)

    def plain(self, words: Sequence[str]) -> Iterator[Call]:
        """A command that changes nothing."""
        place = self.study()
        for _ in range(CALLS):
            yield list(words), place

    def propose(self, sampler: str) -> Iterator[Call]:
        """The next batch: the first eight trials of a new study, one more of a finished one."""
        for _ in range(CALLS):
            place = self.study()
            spec = plan_of(place)["spec"]
            trials = self._finished + 1 if self._finished else SLOTS
            budget = {**spec["budget"], "trials": trials}
            write_plan(place, sampler={**spec["sampler"], "name": sampler}, budget=budget)
            batch = last_emission(place)[1] + 1 if self._finished else 0
            yield with_options(self._words["propose"], plan=PLAN, out=BATCH, batch=batch), place

    def runner(self) -> Iterator[Call]:
        """The first trials of new studies."""
        for call in range(CALLS):
            number = call % SLOTS
            if number == 0:
                place = self.study()
                words = with_options(self._words["propose"], plan=PLAN, out=BATCH, batch=0)
                account(words, place.folder, clean_environment())
            yield with_options(self._words["runner"], plan=PLAN, out=DONE, number=number, batch=BATCH), place

    def parse(self) -> Iterator[Call]:
        """The outcomes of these trials, or the last one of a finished study."""
        if self._finished:
            place = self.study()
            number, batch = last_emission(place)
            for _ in range(CALLS):
                yield with_options(self._words["parse"], plan=PLAN, out=METRIC, number=number, batch=batch), place
            return
        for call, (words, place) in enumerate(self.runner()):
            account(words, place.folder, clean_environment())
            yield with_options(self._words["parse"], plan=PLAN, out=METRIC, number=call % SLOTS, batch=0), place


def measure(case: Case, workshop: Workshop) -> dict[str, Any]:
    """The median of ten calls."""
    name = str(case["call"])
    calls = Calls(workshop, int(case["finished"]))
    values: dict[str, Any] = {}
    own = 0.0
    due: Iterator[Call]
    try:
        if name == "runner":
            words, place = next(calls.runner())
            values["numpy"] = int("numpy" in imported(words, place.folder))
            own = own_cpu_s(place.folder)
            due = calls.runner()
        elif name == "parse":
            due = calls.parse()
        elif name.startswith("propose, "):
            due = calls.propose(name.removeprefix("propose, "))
        else:
            due = calls.plain(PLAIN[name])
        spent = [account(words, place.folder, clean_environment()) for words, place in due]
    finally:
        calls.drop()
    values["cpu_s"] = statistics.median(usage.cpu_s for usage in spent) - own
    values["wall_s"] = statistics.median(usage.wall_s for usage in spent)
    values["calls"] = len(spent)
    return values


def tables(records: Sequence[Record]) -> list[str]:
    """Seconds of each call, and the aims."""
    results = Results(records)
    rows = []
    for case in results.cases:
        on = f", {case['finished']} finished trials" if case["finished"] else ""
        rows.append(
            [f"`{case['call']}`{on}", spread(results.values(case, "cpu_s")), spread(results.values(case, "wall_s"))]
        )

    def cpu(call: str) -> list[float]:
        return results.values({"call": call, "finished": 0}, "cpu_s")

    wanted = [
        Aim("`hpo --help`: at most 0.15 CPU s", cpu("hpo --help"), 0.15),
        Aim("propose with random: at most 0.25 CPU s", cpu("propose, random"), 0.25),
        Aim("runner: at most 0.08 CPU s a trial", cpu("runner"), 0.08),
        Aim("runner: numpy is not imported (0)", results.values({"call": "runner", "finished": 0}, "numpy"), 0, 0),
        Aim("parse: at most 0.08 CPU s", cpu("parse"), 0.08),
    ]
    return [*table(("call", "CPU s", "wall s"), rows), "", *aims(wanted)]


PART = Part("startup", "CPU seconds of the short commands", 3, cases, lacks, measure, tables)
