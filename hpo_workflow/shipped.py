"""Where the files are that come with the package: beside the modules in an installed one, at the top of a clone.

A clone shows `profiles/` at its top, where people look for them; a wheel carries the same files inside the package
(pyproject.toml, force-include). Standard library only.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """The file or folder `name` (`profiles/slurm`), wherever this installation keeps it.

    The package's own copy comes first: a wheel may be unpacked beside anything. A name that is nowhere is a fault of
    the installation and raises FileNotFoundError with both places.
    """
    inside, beside = PACKAGE / name, PACKAGE.parent / name
    for path in (inside, beside):
        if path.exists():
            return path
    raise FileNotFoundError(f"{name} is neither at {inside} nor at {beside}: hpo-workflow is not installed completely")
