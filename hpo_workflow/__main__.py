"""`hpo` and `python -P hpo_workflow/__main__.py`: the verbs of the command line.

The verbs that rules call (`propose`, `parse`, `adopt`, `collect`) run hundreds of times a study; they are dispatched
here without the command line's libraries.
"""

from __future__ import annotations

import os
import sys

if __package__ in (None, ""):  # called by its path, as the rules do: any Python that can read this file will do
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main(argv: list[str] | None = None) -> int:
    """Run one verb; gives the exit code: 0 good, 1 the study failed, 2 the user's file or call is wrong."""
    arguments = sys.argv[1:] if argv is None else argv
    verb = arguments[0] if arguments else ""
    if verb == "parse":
        from hpo_workflow import parse

        return parse.run(arguments[1:])
    if verb == "adopt":
        from hpo_workflow import orphans

        return orphans.run(arguments[1:])
    if verb in ("propose", "replay", "check"):  # before numpy is loaded: the same sums on every number of cores
        for library in ("OMP", "OPENBLAS", "MKL"):
            os.environ[f"{library}_NUM_THREADS"] = "1"
    if verb == "propose":
        from hpo_workflow.cli import propose

        return propose.run(arguments[1:])
    if verb == "head":
        from hpo_workflow.cli import head

        return head.run(arguments[1:])
    if verb == "track":
        from hpo_workflow.cli import track

        return track.run(arguments[1:])
    if verb == "collect":
        from hpo_workflow.cli import collect

        return collect.run(arguments[1:])
    from hpo_workflow.cli.main import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
