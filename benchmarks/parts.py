"""What every part of the benchmarks consists of, and how its tables are written."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.places import Workshop
from benchmarks.results_files import Case, Record


@dataclass(frozen=True)
class Part:
    """One word of `python -m benchmarks`.

    Args:
        name: The word.
        title: What it measures, in a few words.
        repeats: How often each case is measured.
        cases: All cases, or with True the small ones of `--quick`; keys and values identify a result.
        lacks: What this machine lacks for a case, or None.
        measure: Measure a case once.
        tables: The results as lines of Markdown.
    """

    name: str
    title: str
    repeats: int
    cases: Callable[[bool], list[Case]]
    lacks: Callable[[Case], str | None]
    measure: Callable[[Case, Workshop], dict[str, Any]]
    tables: Callable[[Sequence[Record]], list[str]]


@dataclass(frozen=True)
class Chapter:
    """A word of `python -m benchmarks` with a command line and results of its own, shown in the same document.

    Args:
        name: The word, and the folder of its results.
        title: What it measures, in a few words.
        block: Its results as Markdown, from that folder.
        pictures: File name and text of each picture that the Markdown shows.
    """

    name: str
    title: str
    block: Callable[[Path], str]
    pictures: Callable[[Path], dict[str, str]]


def label(case: Case) -> str:
    """A case as it is typed after --only."""
    return " ".join(f"{key}={value}" for key, value in case.items())


class Results:
    """The results of a part, looked up by case."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._values: dict[str, list[dict[str, Any]]] = {}
        self.cases: list[Case] = []
        for record in records:
            key = json.dumps(record["case"], sort_keys=True)
            if key not in self._values:
                self.cases.append(record["case"])
            self._values.setdefault(key, []).append(record["values"])

    def values(self, case: Case, name: str) -> list[float]:
        """A figure of all repeats of a case."""
        return [one[name] for one in self._values.get(json.dumps(case, sort_keys=True), []) if name in one]

    def having(self, **wanted: Any) -> list[Case]:
        """The cases with these keys and values, in the order of the first measurement."""
        return [case for case in self.cases if wanted.items() <= case.items()]


def spread(values: Sequence[float], digits: int = 3, unit: str = "") -> str:
    """The median, and lowest and highest where there are several: `0.142 (0.140 to 0.146)`."""
    if not values:
        return "–"
    median = f"{statistics.median(values):.{digits}f}{unit}"
    if len(values) == 1:
        return median
    return f"{median} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of Markdown; all columns but the first are numbers."""
    rule = ["---", *("---:" for _ in header[1:])]
    lines = [header, rule, *rows]
    assert all(len(line) == len(header) for line in lines), f"a line of another length than {header}"
    return [f"| {' | '.join(line)} |" for line in lines]


@dataclass(frozen=True)
class Aim:
    """What we want of a figure.

    Args:
        text: What is wanted, in words.
        values: The figure, all repeats; empty when it was not measured.
        bound: The most, or with `least` the least, that is wanted.
        digits: Decimals shown.
    """

    text: str
    values: Sequence[float]
    bound: float
    digits: int = 3
    least: bool = False

    def row(self) -> list[str]:
        if not self.values:
            return [self.text, "–", "not measured"]
        median = statistics.median(self.values)
        met = median >= self.bound if self.least else median <= self.bound
        return [self.text, f"{median:.{self.digits}f}", "met" if met else "**not met**"]


def aims(rows: Sequence[Aim]) -> list[str]:
    """The table of aims: the median decides."""
    lines = table(("aim", "measured", ""), [aim.row() for aim in rows])
    return [lines[0], "| --- | ---: | --- |", *lines[2:]]
