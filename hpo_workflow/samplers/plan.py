"""How much a study is going to try, for samplers that choose by it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """What is known beforehand of a search.

    Args:
        trials: How many configurations will be tried; None where nobody knows.
        parallel: How many are under way at once.
    """

    trials: int | None = None
    parallel: int = 1
