"""`python -m benchmarks.multifidelity`: as `python -m benchmarks multifidelity`, without what the other parts need."""

import sys

from benchmarks.multifidelity.command import main

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        print("interrupted; the same call goes on where it was", file=sys.stderr)
        sys.exit(130)
