"""Where an export goes: files that appear whole or not at all, and never in the place of somebody else's."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from hpo_workflow.errors import UsageError
from hpo_workflow.store.atomic import open_beside


def named(out: object, otherwise: str) -> str:
    """The path that the user gave, or the usual one.

    Raises:
        UsageError: It is no path.
    """
    path = otherwise if out is None else str(out)
    if path in ("", "-"):
        raise UsageError(f"--out {path!r}: give a path.\n  `hpo trials STUDY --csv` prints a table.")
    return path


def chosen(out: object, otherwise: str) -> str:
    """The path of a file that the user gave, or the usual one.

    Raises:
        UsageError: It is a folder, or no path.
    """
    path = named(out, otherwise)
    if os.path.isdir(path):
        example = shlex.quote(os.path.join(path, otherwise))
        raise UsageError(f"--out {path}: this is a folder.\n  Give a file, for example {example}.")
    return path


def refuse_foreign(path: str, *, is_ours: bool, force: bool) -> None:
    """Refuse to write over what no export wrote.

    Args:
        path: What is about to be replaced, if it is there.
        is_ours: Whether an export wrote it.
        force: Whether the user wants it replaced whatever it is.

    Raises:
        UsageError: It is somebody else's.
    """
    if os.path.lexists(path) and not is_ours and not force:
        raise UsageError(
            f"{path} is there already, and it is not what an export wrote.\n"
            "  Give another place with --out, or --force to replace it."
        )


def table_paths(
    study: str, suffix: str, options: Mapping[str, Any], is_ours: Callable[[str], bool]
) -> tuple[str, str | None]:
    """Where the table of trials goes, and that of curves beside it (`a-curves.csv`), None where none is wanted.

    Args:
        study: Its name, for the usual place.
        suffix: Of the format, without a dot.
        options: `out`, `curves` and `force` are read.
        is_ours: Whether a file is a table that an export wrote.

    Raises:
        UsageError: Something else is there, or it is no path of a file.
    """
    path = chosen(options["out"], f"{study}.{suffix}")
    stem, end = os.path.splitext(path)
    curves = f"{stem}-curves{end}" if options["curves"] else None
    for each in filter(None, (path, curves)):
        refuse_foreign(each, is_ours=is_ours(each), force=options["force"])
    return path, curves


@contextlib.contextmanager
def whole_file(path: str, *, sync: bool = True) -> Iterator[BinaryIO]:
    """A file to be written. It takes the place of what `path` holds when the block ends, and not if the block fails.

    Args:
        path: Its name in the end.
        sync: Whether it is on the disk by then; thousands of small files can do without.
    """
    descriptor, temporary = open_beside(path)
    try:
        with open(descriptor, "wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
