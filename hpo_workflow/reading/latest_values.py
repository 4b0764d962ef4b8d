"""The latest value of trials that run, read from the ends of what they print.

A look costs a bounded number of bytes, however much the programs print: it goes on where the one before ended, and
where more has come since than it may read, it jumps to the end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo_workflow.metrics.reader import MetricReader
from hpo_workflow.store.paths import StudyPaths

FIRST_BYTES = 64 * 1024
"""So much of the end of a log is read when a trial is looked at first."""

MORE_BYTES = 16 * 1024
"""So much of it at each further look."""

LOOK_BYTES = 256 * 1024
"""All trials together in one look; what is over waits for the next one."""


@dataclass(frozen=True)
class LatestValue:
    """What a trial has reported last of the objective.

    Args:
        value: As it was printed, whatever the direction.
        step: When; None where it is not known, because the beginning of the log was not read.
    """

    value: float
    step: float | None


class LatestValues:
    """Reads the objective of running trials.

    Args:
        paths: The study's files.
        spec: The plan's spec, as JSON.
    """

    def __init__(self, paths: StudyPaths, spec: Mapping[str, Any]) -> None:
        self._paths = paths
        self._metrics: Mapping[str, Any] = spec["metrics"]
        self._objective: Mapping[str, Any] = spec["objective"]
        rules = (self._metrics.get("define") or {}).values()
        self._has_patterns = bool(self._metrics.get("lines")) or any(
            rule.get("regex") or rule.get("lines") for rule in rules
        )
        self._outputs: dict[tuple[int, int], _Output] = {}

    def look(self, attempts: Mapping[int, int]) -> dict[int, LatestValue]:
        """The latest value of each trial that has printed one.

        Args:
            attempts: Trial -> the attempt that runs; others are forgotten.
        """
        if str(self._objective["metric"]).startswith("trial."):
            return {}  # known when it has ended
        if self._has_patterns and threading.current_thread() is not threading.main_thread():
            return {}  # an expression that never ends could not be stopped here
        for key in self._outputs.keys() - set(attempts.items()):
            del self._outputs[key]
        found = {}
        left = LOOK_BYTES
        for key in sorted(attempts.items(), key=lambda key: key in self._outputs):  # new ones first
            output = self._outputs.get(key)
            if output is None:
                output = self._outputs[key] = _Output(self._paths, *key, self._metrics, self._objective)
            left -= output.read(left)
            if output.latest is not None:
                found[key[0]] = output.latest
        return found


class _Output:
    """Log and metrics file of one attempt.

    Attributes:
        latest: What was found last.
    """

    def __init__(
        self,
        paths: StudyPaths,
        number: int,
        attempt: int,
        metrics: Mapping[str, Any],
        objective: Mapping[str, Any],
    ) -> None:
        self._settings = (metrics, objective)
        self._reader = MetricReader(metrics, objective)
        self._paths = (paths.metrics_file(number), paths.log(number, attempt))
        self._done = [0, 0]  # bytes of each that were read
        self._counts_steps = True
        self._is_recorded = False
        self._is_new = True
        self.latest: LatestValue | None = None

    def read(self, most: int) -> int:
        """Read what is new, `most` bytes at most; gives how many these were."""
        total = 0
        for index, path in enumerate(self._paths):
            done = self._done[index]
            limit = min(FIRST_BYTES if self._is_new else MORE_BYTES, most - total)
            try:
                with open(path, "rb", buffering=0) as file:
                    size = os.fstat(file.fileno()).st_size
                    if size < done:  # written anew
                        done = 0
                    if limit <= 0 or size == done:
                        continue
                    jumps = size - done > limit
                    file.seek(size - limit if jumps else done)
                    data = file.read(limit)
            except OSError:
                continue
            self._done[index] = size if jumps else done + len(data)
            total += len(data)
            if jumps:
                self._reader = MetricReader(*self._settings)
                self._counts_steps = False
                data = data[min((at for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0), default=len(data)) :]
            self._take(data, is_log=index == 1)
        if most > 0:
            self._is_new = False
        return total

    def _take(self, data: bytes, *, is_log: bool) -> None:
        points = self._reader.feed(data) if is_log else self._reader.feed_records(data)
        if not points or (is_log and self._is_recorded):
            return  # what is written into the metrics file stands for what is printed
        self._is_recorded = not is_log
        step, value = points[-1]
        known = self._counts_steps or self._settings[0].get("step") is not None
        self.latest = LatestValue(value, step if known else None)
