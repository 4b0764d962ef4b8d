"""The tests. Their folders mirror the package's; what they want of a machine is in machine.py."""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before numpy is loaded: threads that fight for two cores make it slower
