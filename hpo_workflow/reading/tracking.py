"""How far a tracker of `track:` has got, as whoever tells it writes it down for those who look."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hpo_workflow.store.atomic import read_json, replace, to_json
from hpo_workflow.store.paths import StudyPaths


@dataclass(frozen=True)
class Tracking:
    """Where a tracker stands.

    Args:
        tracker: Its name.
        where: Server and experiment, without credentials.
        told: Trials that have ended and are there.
        waiting: Trials that have ended and are not there yet.
        problem: Why not, as a sentence; empty where nothing is wrong.
    """

    tracker: str
    where: str
    told: int
    waiting: int
    problem: str = ""

    @property
    def sentence(self) -> str:
        """The same for people."""
        if self.problem:
            wait = f"{_trials(self.waiting)} wait{'s' * (self.waiting == 1)}"
            return f"warning: {self.tracker}: {self.problem}; {wait}. The study goes on; it is tried again."
        more = f", {self.waiting} to come" if self.waiting else ""
        return f"{self.tracker}: {_trials(self.told)} told{more} ({self.where})"


def _trials(count: int) -> str:
    return f"{count} trial{'s' * (count != 1)}"


def write_tracking(paths: StudyPaths, tracking: Tracking) -> None:
    """Write down how far it is."""
    replace(paths.tracking, to_json(asdict(tracking)) + "\n")


def read_tracking(paths: StudyPaths) -> Tracking | None:
    """How far it is, None where nobody has written it or it cannot be read."""
    try:
        record: Any = read_json(paths.tracking)
        return None if record is None else Tracking(**record)
    except (ValueError, TypeError, OSError):
        return None
