"""Hyperband: brackets of successive halving that begin at different levels, because nobody knows how soon losses tell.

The first bracket begins at the lowest level with the most configurations, the last one trains a few to the top at once;
then it begins again.

Source: Li et al. 2018, arXiv:1603.06560, algorithm 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from hpo_workflow.multifidelity.successive_halving import Shape, SuccessiveHalving


@dataclass(frozen=True)
class Hyperband(SuccessiveHalving):
    """Successive halving over brackets s = top, ..., 0 and again."""

    def shape(self, bracket: int) -> Shape:
        top = self.ladder.top
        s = top - bracket % (top + 1)
        return Shape(-(-(top + 1) * self.ladder.eta**s // (s + 1)), top - s)
