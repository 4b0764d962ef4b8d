"""How long a test is: a moment in the usual run, as long as a promise says under `make soak`.

@pytest.mark.soak          one that `make soak` runs, where HPO_SOAK is set
size(2_000, 100_000)       how many of something: the first in the usual run, the second there
"""

from __future__ import annotations

import os

IS_SOAK = bool(os.environ.get("HPO_SOAK"))
"""Whether this is `make soak`. HPO_SOAK may be a share, `HPO_SOAK=0.1` for a tenth of the long sizes."""


def size(usual: int, long: int) -> int:
    """How many of something a test makes."""
    if not IS_SOAK:
        return usual
    return max(usual, round(long * float(os.environ["HPO_SOAK"])))
