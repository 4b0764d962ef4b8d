"""Snakemake's locks that a dead run of this study has left.

Snakemake locks the files of a run under `.snakemake/locks` and, killed, leaves them; the next run then refuses to
start. Who holds a lock is not written in it. Whoever runs a study holds its session first, so once the session is ours,
locks on the study's files have no owner.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection

LOCKS = os.path.join(".snakemake", "locks")
_NAME = re.compile(r"\d+\.(input|output)\.lock")


def clear_stale_locks(root: str, needs: Collection[str], folder: str = LOCKS) -> list[str]:
    """Remove locks that name only files of the study in `root`; call it while holding the study's session.

    Args:
        root: The study's folder, as the rules write it.
        needs: Other inputs of its trials; an input lock may name them too.
        folder: Where the locks are.
    """
    removed = []
    for path in find_locks(root, needs, folder)[0]:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue
        removed.append(path)
    return removed


def find_locks(root: str, needs: Collection[str], folder: str = LOCKS, base: str = "") -> tuple[list[str], list[str]]:
    """Locks that name only files of the study in `root`, and those that name files of it and others.

    Args:
        root: The study's folder.
        needs: Other inputs of its trials; an input lock may name them too.
        folder: Where the locks are.
        base: The folder in which Snakemake ran; the working directory by default.
    """
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return [], []
    ours: list[str] = []
    mixed: list[str] = []
    for name in names:
        kind = _NAME.fullmatch(name)
        if kind is None:
            continue
        path = os.path.join(folder, name)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                locked = [line.strip() for line in file if line.strip()]
        except OSError:
            continue
        allowed = needs if kind[1] == "input" else ()
        inside = [_is_below(os.path.join(base, file), root) for file in locked]
        if any(inside):
            alone = all(is_in or file in allowed for is_in, file in zip(inside, locked, strict=True))
            (ours if alone else mixed).append(path)
    return ours, mixed


def _is_below(path: str, root: str) -> bool:
    return os.path.abspath(path).startswith(os.path.abspath(root) + os.sep)
