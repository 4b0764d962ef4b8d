"""The index of curves: what the complete trials of a study had reached by which step, written, mended and read.

Standard library only, Python 3.8 or newer: the runner imports it on every node. The index is a cache on a shared disk:
it may be torn, deleted, written anew or out of reach at any moment, and then there is less to compare with, no more.
"""

from __future__ import annotations

import os

from hpo_workflow.objective import loss_of
from hpo_workflow.pruners.curves import CAP_TRIALS, Others, curve_of, entry_of, is_entry
from hpo_workflow.store.atomic import replace, seal, unseal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from hpo_workflow.metrics.extraction import Extraction

PIECE_BYTES = 64 * 1024
"""So much is read at once; takes about a millisecond."""
TAIL_BYTES = 4 * 1024 * 1024
"""So much of a long index is read, its end: the last trials, which are what counts."""


def curve_entry(
    number: int, fidelity: float | None, value: float, extraction: Extraction, objective: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The entry of a complete trial, as if it were the first; None where nothing finite was read of it.

    Args:
        number, fidelity, value: The trial and its objective.
        extraction: What it printed.
        objective: `metric` and `direction`.
    """
    direction = objective["direction"]
    points = extraction.points.get(objective["metric"], ())
    curve = curve_of([(step, loss_of(each, direction)) for step, each in points])
    loss = loss_of(value, direction)
    return None if curve is None else entry_of(number, fidelity, loss, loss, curve)


def line_after(entry: Mapping[str, Any], last_lines: Iterable[bytes]) -> str:
    """An entry as the next line of an index that ends with these lines, which say what the best trial is.

    Several parses may write at once, so the last few know together what a single one may have missed.
    """
    known = [before["best"] for before in map(_entry, last_lines) if before is not None]
    return seal({**entry, "best": min([entry["best"], *known])})


def mend(path: str, complete: Mapping[int, float | None], make: Callable[[int], dict[str, Any] | None]) -> bool:
    """Let an index hold the complete trials that count and no others; whether it had to be written.

    Only the last CAP_TRIALS of each fidelity are kept then: no trial is compared with more.

    Args:
        path: The index.
        complete: The fidelity of each complete trial, by its number.
        make: The entry of a trial that the index lacks, None where it cannot be had.
    """
    known: dict[int, dict[str, Any]] = {}
    try:
        with open(path, "rb") as file:
            for line in file:
                entry = _entry(line)
                if entry is not None:
                    known[entry["number"]] = entry
    except FileNotFoundError:
        pass
    wanted = _last_of_each(complete)
    if wanted <= set(known) <= set(complete):
        return False
    made = {number: known.get(number) or make(number) for number in sorted(set(complete) & set(known) | wanted)}
    entries = {number: entry for number, entry in made.items() if entry is not None}
    best = min((entry["loss"] for entry in entries.values()), default=0.0)
    kept = (entry for number, entry in entries.items() if number in wanted)
    replace(path, "".join(seal({**entry, "best": best}) for entry in kept))
    return True


def _last_of_each(complete: Mapping[int, float | None]) -> set[int]:
    """The last CAP_TRIALS of each fidelity."""
    counts: dict[float | None, int] = {}
    last = set()
    for number in sorted(complete, reverse=True):
        counts[complete[number]] = counts.get(complete[number], 0) + 1
        if counts[complete[number]] <= CAP_TRIALS:
            last.add(number)
    return last


class CurveIndex:
    """Reads an index piece by piece.

    Args:
        path: The index.
        number, fidelity: The running trial.

    Attributes:
        others: What was read.
    """

    def __init__(self, path: str, number: int, fidelity: float | None) -> None:
        self._path = path
        self._file: tuple[int, int] | None = None  # device and inode
        self._offset = 0
        self._is_cut = False  # the next line is the end of one
        self.others = Others(number, fidelity)

    def read(self) -> bool:
        """Read at most one piece of what is new; whether that is all there is."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            self._file = None
            return True
        try:
            found = os.fstat(descriptor)
            size, file = found.st_size, (found.st_dev, found.st_ino)
            if file != self._file or size < self._offset:  # another file: what is known of trials stays true
                self._file = file
                self._offset = max(0, size - TAIL_BYTES)
                self._is_cut = self._offset > 0
            if size == self._offset:
                return True
            data = os.pread(descriptor, PIECE_BYTES, self._offset)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return self._take(data, size)

    def _take(self, data: bytes, size: int) -> bool:
        end = data.rfind(b"\n") + 1
        if end == 0:
            if len(data) < PIECE_BYTES:
                return True  # a line that is being written
            self._is_cut = True  # longer than any that we write
            self._offset += len(data)
            return self._offset >= size
        self._offset += end
        lines = data[:end].split(b"\n")
        for line in lines[1:] if self._is_cut else lines:
            entry = _entry(line)
            if entry is not None:
                self.others.add(entry)
        self._is_cut = False
        return self._offset >= size


def _entry(line: bytes) -> dict[str, Any] | None:
    """A line as an entry; None where it is torn, or of another version."""
    if not line.strip():
        return None
    try:
        entry: dict[str, Any] = unseal(line)
    except ValueError:
        return None
    return entry if is_entry(entry) else None
