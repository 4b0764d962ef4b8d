"""What `hpo metrics` shows: line by line what is read from a log."""

from __future__ import annotations

from hpo_workflow.metrics.hints import near_names
from hpo_workflow.metrics.line_scanner import LineScanner
from hpo_workflow.metrics.lines import Lines
from hpo_workflow.metrics.numbers import excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, NamedTuple

if TYPE_CHECKING:

    class LineReport(NamedTuple):
        """What the reader saw on one line of a log.

        Args:
            number: The line as an editor counts it.
            text: Its text, safe to print.
            read: Whether `metrics.lines` lets it through.
            values: (name, value) that were read.
            rejected: (name, text, why it is not a number).
            near: Names on it that resemble the objective.
        """

        number: int
        text: str
        read: bool
        values: list[tuple[str, float]]
        rejected: list[tuple[str, str, str]]
        near: list[str]
else:
    from collections import namedtuple

    LineReport = namedtuple("LineReport", "number text read values rejected near")


def explain(chunks: Iterable[bytes], metrics: Mapping[str, Any], objective: Mapping[str, Any]) -> Iterator[LineReport]:
    """Line by line what is read from a log given in pieces of any size; lines on which there is nothing to say are left
    out. What the reader makes of the whole is told by MetricReader (`problems`, `hints`, `warnings`, `shapes`)."""
    wanted: str = objective["metric"]
    scanner = LineScanner(metrics, wanted)
    lines = Lines()

    def report(number: int, line: bytes) -> LineReport | None:
        with scanner.watchdog:
            read, found, broken, _ = scanner.scan(line)
        values = [(item.name, item.value) for item in found if item.value is not None]
        rejected = [(item.name, item.text, item.reason) for item in found if item.value is None]
        if broken:
            rejected.append(("", excerpt(line, 80), broken))
        near = near_names(wanted, [item.name for item in found]) if all(i.name != wanted for i in found) else []
        mentioned = wanted.lower().encode() in line.lower()
        if not (values or rejected or mentioned):
            return None
        return LineReport(number, excerpt(line), read, values, rejected, near)

    for chunk in chunks:
        for number, line in lines.feed(chunk):
            told = report(number, line)
            if told is not None:
                yield told
    for number, line in lines.close():
        told = report(number, line)
        if told is not None:
            yield told
