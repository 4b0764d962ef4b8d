"""The correlation of the losses at two configurations: Matern 5/2.

    k = (1 + s + s**2 / 3) * exp(-s), with s = sqrt(5 * r2)

where r2 is the squared distance in lengths of each parameter (`surrogates.coordinates`).

Source: Rasmussen and Williams 2006, equation 4.17.
"""

from __future__ import annotations

import numpy as np

from hpo_workflow.space.encoding import Array


def matern(r2: Array) -> Array:
    """The correlation at squared distances `r2`."""
    s = np.sqrt(5.0 * r2)
    correlation: Array = (1.0 + s + s * s / 3.0) * np.exp(-s)
    return correlation


def matern_with_slope(r2: Array) -> tuple[Array, Array]:
    """The correlation, and its derivative by r2; the two share what costs most."""
    s = np.sqrt(5.0 * r2)
    fading = np.exp(-s)
    straight = (1.0 + s) * fading
    return straight + s * s * fading / 3.0, (-5.0 / 6.0) * straight
