"""Random search: each configuration is trained to the end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.multifidelity.playing import Work
from benchmarks.multifidelity.rows import Rows
from benchmarks.multifidelity.tables import Table


class WholeCourses:
    """Random rows, each once."""

    def __init__(self, table: Table, seed: int) -> None:
        self._rows = Rows(table)
        self._rng = np.random.default_rng(seed)
        self._epochs = table.epochs

    def next(self, slot: int) -> Work | None:
        row = self._rows.any(self._rng)
        return None if row is None else Work(row, self._epochs)

    def tell(self, slot: int, work: Work, losses: Sequence[float]) -> None:
        """It learns nothing."""
