"""All attempts of a study's trials and all its batches, as far as records tell: what its timeline is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from hpo_workflow.analysis.timeline import Asking, Attempt, Timeline, timeline
from hpo_workflow.reading.unfinished import is_running
from hpo_workflow.store.atomic import read_json
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_state import StudyState

SYNCHRONOUS = ("sha", "hyperband")
"""Methods of `fidelity:` whose trials wait until a rung is filled; the others never do."""

KINDS = {"done": "complete"}
"""How a result calls the end of a program -> the state of its trial, where they differ."""


def moment(text: object) -> float | None:
    """A time of a record (ISO 8601 with its zone) in seconds since 1970, or None where it is none."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.timestamp() if found.tzinfo is not None else None


def study_timeline(folder: StudyFolder, state: StudyState, now: float, *, over: bool) -> Timeline | None:
    """Who held the slots of a study, trials of earlier versions of it too; None where no trial ran.

    Args:
        now: When attempts that are running end in the picture; seconds since 1970.
        over: Whether the study has ended.
    """
    numbers = dict.fromkeys(trial["number"] for record in folder.batches() for trial in record["trials"])
    attempts = [attempt for number in numbers for attempt in _attempts(folder, state, number, now)]
    spec = state.spec
    together = spec.refill == "rounds" or (spec.fidelity is not None and spec.fidelity.method in SYNCHRONOUS)
    return timeline(attempts, list(_askings(folder)), spec.budget.parallel, together=together, over=over)


def _askings(folder: StudyFolder) -> Iterator[Asking]:
    """The batches that say when they were made, in their order."""
    for record in folder.batches():
        created = moment(record.get("created"))
        if created is not None:
            trials = tuple(trial["number"] for trial in record["trials"])
            yield Asking(created, str(record.get("session") or ""), trials, tuple(record["new"]))


def _attempts(folder: StudyFolder, state: StudyState, number: int, now: float) -> Iterator[Attempt]:
    result = folder.result(number)
    if result is None:
        yield from _claimed(folder, number, now)
        return
    if result.get("cached"):
        return
    known = state.finished.get(number)
    end = result.get("end")
    kind = str(end.get("kind")) if isinstance(end, dict) else ""
    last_how = KINDS.get(kind, kind) if known is None else known.state.value
    listed = [each for each in result.get("attempts") or [] if isinstance(each, dict)] or [result]
    for index, each in enumerate(listed):
        is_last = index == len(listed) - 1
        begun = moment(each.get("started") or (result.get("started") if is_last else None))
        if begun is None:
            continue
        ended = begun + _seconds(each.get("seconds"))
        how = last_how if is_last else "failed" if each.get("end") == "failed" else "lost"
        yield Attempt(number, _whole(each.get("attempt"), index + 1), begun, ended, how, str(each.get("host") or ""))


def _claimed(folder: StudyFolder, number: int, now: float) -> Iterator[Attempt]:
    """The attempts of a trial without a result: what their claims say."""
    attempt = 1
    while (claim := _claim(folder, number, attempt)) is not None:
        begun = moment(claim.get("started"))
        end = claim.get("ended")
        if begun is not None and isinstance(end, dict):
            how = "failed" if end.get("end") == "failed" else "lost"
            yield Attempt(
                number, attempt, begun, begun + _seconds(end.get("seconds")), how, str(claim.get("host") or "")
            )
        elif begun is not None and is_running(folder, number):
            yield Attempt(number, attempt, begun, max(now, begun), "running", str(claim.get("host") or ""))
        attempt += 1


def _claim(folder: StudyFolder, number: int, attempt: int) -> Mapping[str, Any] | None:
    try:
        record = read_json(folder.paths.claim(number, attempt))
    except (OSError, ValueError):
        return {}
    return record if record is None or isinstance(record, dict) else {}


def _seconds(value: object) -> float:
    return max(0.0, float(value)) if isinstance(value, (int, float)) else 0.0


def _whole(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise
