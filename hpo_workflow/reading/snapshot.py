"""A study's folder at one moment, read as far as it can be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo_workflow.errors import StudyFolderError
from hpo_workflow.metrics import Extraction
from hpo_workflow.parse import read_output, summarise
from hpo_workflow.store.study_folder import StudyFolder

LARGEST_LOG = 8 * 1024 * 1024
"""Bytes; a larger log is not read again for its learning curves."""


class Snapshot(StudyFolder):
    """A study's folder at one moment, read as far as it can be read.

    What parse has not written yet, or what is damaged of it, is made from the trial's result.

    Attributes:
        problems: What cannot be read; sentences.
    """

    def __init__(self, root: str, plan: Mapping[str, Any]) -> None:
        super().__init__(root)
        self.problems: list[str] = []
        self._plan = plan
        self._results: dict[int, dict[str, Any] | None] = {}
        self._batches: list[dict[str, Any]] | None = None

    def batches(self) -> list[dict[str, Any]]:
        if self._batches is None:
            self._batches = super().batches()
        return self._batches

    def result(self, number: int) -> dict[str, Any] | None:
        """The result of a trial without the points of its metrics: those of all trials may not fit into memory."""
        if number not in self._results:
            self.whole_result(number)
        return self._results.get(number)

    def whole_result(self, number: int) -> dict[str, Any] | None:
        """The result of a trial; None where there is none or it is damaged."""
        try:
            record: Any = super().result(number)
        except (StudyFolderError, OSError):
            record = "damaged"
        if record is None or isinstance(record, dict):
            self._results[number] = record if record is None else {**record, "metrics": None}
            return record
        self._results[number] = None
        self._note(f"{self.paths.result_record(number)} cannot be read: it is damaged.")
        return None

    def _note(self, problem: str) -> None:
        if problem not in self.problems:
            self.problems.append(problem)

    def outcome(self, metrics_digest: str, number: int, batch: int) -> dict[str, Any] | None:
        try:
            metric = super().outcome(metrics_digest, number, batch)
        except (StudyFolderError, OSError):
            metric = None
        if isinstance(metric, dict) and "state" in metric:
            return metric
        result = self.whole_result(number)
        if result is None:
            return None
        try:
            return summarise(result, self.extraction(result), self._plan["spec"]["objective"], batch)
        except (AttributeError, KeyError, TypeError, ValueError, OSError):
            self._note(f"{self.paths.result_record(number)} cannot be understood: it is damaged.")
            return None

    def _is_current(self, result: Mapping[str, Any]) -> bool:
        """Whether the metrics in a result were read with the present settings."""
        return bool(result["metrics"].get("digest") == self._plan["metrics_digest"])

    def is_readable(self, result: Mapping[str, Any]) -> bool:
        """Whether the metrics of a trial are in its result, or in a log that is not too large to be read again."""
        if self._is_current(result) or not result["log"]:
            return True
        return bool(result["log_bytes"] <= LARGEST_LOG)

    def extraction(self, result: Mapping[str, Any]) -> Extraction:
        """The metrics of a trial under the present settings: from its result, or from its log where they changed."""
        if self._is_current(result):
            return Extraction.from_json(result["metrics"])
        spec = self._plan["spec"]
        return read_output(self.paths, result, spec["metrics"], spec["objective"])
