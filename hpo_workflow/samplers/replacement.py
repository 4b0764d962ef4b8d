"""What is said of a proposal that could not be used."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Replacement:
    """A proposal in whose place there is a random one.

    Args:
        reason: `impossible` (not a configuration of the space), `known` (proposed before) or `missing`.
        sentence: What was wrong with it.
    """

    reason: str
    sentence: str
