"""What a study found and how sure one can be of it, in sentences."""

from __future__ import annotations

from dataclasses import dataclass

CONFIDENCES = ("certain", "likely", "hint")
"""`certain` was counted, `likely` would come by chance in fewer than 5 % of studies, a `hint` is a rule of thumb."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Args:
        kind: `best | noise | budget | edge | importance | failures | untried | pruning | comparability`.
        text: A sentence or two, with the cure where there is one.
        confidence: One of CONFIDENCES.
        parameter: The parameter that it is about; empty where it is about none.
    """

    kind: str
    text: str
    confidence: str
    parameter: str = ""
