"""A trial's rendered command -> what is started, with the facts of the trial filled in.

A *rendered* text is a list of pieces: text as it is, or `{"trial": NAME, "quote": bool}` where a fact goes.
"""

from __future__ import annotations

import os
import re
import zlib

from hpo_workflow.store.sealed import Sealed
from hpo_workflow.store.trial_files import are_deleted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Callable, Union

    from hpo_workflow.store.paths import StudyPaths

    Piece = Union[str, Mapping[str, Any]]
    Rendered = Sequence[Piece]

PORTS = range(20000, 32000)
"""Where `${trial.port}` lies: above well-known services, below the ports that Linux gives to connections."""


class Facts:
    """What is known of a trial only when it starts. Looked up by name: `facts["dir"]`, `facts["file.cfg"]`."""

    def __init__(self, known: Mapping[str, Any], port: Callable[[], int]) -> None:
        self._known = dict(known)
        self._port = port

    def __getitem__(self, name: str) -> str:
        if name == "port" and "port" not in self._known:
            self._known["port"] = self._port()
        value = self._known[name]
        return "" if value is None else str(value)


def quote(text: str) -> str:
    """`text` as one word of a POSIX shell."""
    if text and re.match(r"[A-Za-z0-9_@%+=:,./-]+\Z", text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"


def resolve(rendered: Rendered, facts: Facts) -> str:
    """The text, with each fact filled in and quoted where it stands in a shell's word."""
    words = []
    for piece in rendered:
        if isinstance(piece, str):
            words.append(piece)
        else:
            fact = facts[piece["trial"]]
            words.append(quote(fact) if piece.get("quote") else fact)
    return "".join(words)


def arguments(spec: Mapping[str, Any], rendered: Sequence[Any], facts: Facts) -> list[str]:
    """What is started.

    A text runs in the study's shell after `setup`; the shell stops at the first command that fails. `setup` alone is
    spared `set -u`, under which the activation scripts of conda and environment modules end. A list of arguments
    meets no shell; with a `setup`, one runs that and then becomes the program.
    """
    shell = ["bash", "-euo", "pipefail", "-c"] if spec.get("shell", "bash") == "bash" else ["sh", "-eu", "-c"]
    setup = (spec.get("setup") or "").strip("\n")
    before = f"set +u\n{setup}\nset -u\n" if setup.strip() else ""
    if isinstance(spec["command"], str):
        return [*shell, before + resolve(rendered, facts)]
    words = [resolve(word, facts) for word in rendered]
    return [*shell, f'{before}exec "$@"', "hpo", *words] if before else words


def resume_from(paths: StudyPaths, parent: int | None) -> str:
    """`${trial.resume_from}`: the directory of the trial that one goes on from, else empty.

    A result that came from a cache came without the files of its program, and those of others were deleted since; who
    goes on from there begins at nothing.
    """
    return "" if parent is None or are_deleted(paths, parent) else _left_by(paths, parent)


def resumed_from(paths: StudyPaths, number: int, parent: int | None) -> str:
    """What `${trial.resume_from}` was for a trial that has run, though the files there may have gone since.

    For another one it is what it would be now.
    """
    result = Sealed(paths).json(paths.result_record(number))
    if not isinstance(result, dict) or result.get("cached"):
        return resume_from(paths, parent)
    goes_on = result.get("resumed", parent)  # earlier versions deleted nothing
    return "" if goes_on is None else _left_by(paths, goes_on)


def _left_by(paths: StudyPaths, number: int) -> str:
    """The directory with what the program of a trial has left; empty where its result came from a cache."""
    result = Sealed(paths).json(paths.result_record(number))
    cached = isinstance(result, dict) and result.get("cached")
    return "" if cached else os.path.abspath(paths.trial_dir(number))


def choose_port(root: str, number: int) -> int:
    """A port that trials of one node hardly share: each number has its own, and ports in use are passed over."""
    import socket

    first = zlib.crc32(os.path.abspath(root).encode()) + 3 * number
    for offset in range(100):
        port = PORTS[(first + offset) % len(PORTS)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    return PORTS[first % len(PORTS)]
