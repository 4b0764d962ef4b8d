"""Commands of other tools, which run words without a shell, as `command:` of a study file.

A command becomes text for the shell where no word needs quotes, which is easier to read and to edit, and else a list of
arguments, which no shell reads.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]*")
_OURS = re.compile(r"\$(?=\{(?:hpo|trial|study)[.}:?])")


@dataclass(frozen=True)
class Value:
    """A placeholder of ours: `${hpo.lr}`."""

    source: str


@dataclass(frozen=True)
class Variable:
    """The value of an environment variable."""

    name: str


Part = str | Value | Variable
Word = tuple[Part, ...]
"""A word as its parts; text is meant as it stands."""


def is_plain(word: Word) -> bool:
    """Whether a shell reads a word as it stands."""
    if not word or word == ("",):
        return False
    return all(not isinstance(part, str) or _PLAIN.fullmatch(part) for part in word)


def as_command(words: Sequence[Word]) -> str | list[str]:
    """The words as `command:` of a study file."""
    has_variables = any(isinstance(part, Variable) for word in words for part in word)
    if has_variables or all(is_plain(word) for word in words):
        return " ".join("".join(_in_shell(part) for part in word) or "''" for word in words)
    return ["".join(_literal(part) for part in word) for word in words]


def _in_shell(part: Part) -> str:
    if isinstance(part, Variable):
        return f'"${{{part.name}}}"'
    return part.source if isinstance(part, Value) else shlex.quote(part) if part else ""


def _literal(part: Part) -> str:
    assert not isinstance(part, Variable)
    # `$${hpo.x}` is how a study file says the text `${hpo.x}` itself
    return part.source if isinstance(part, Value) else _OURS.sub("$$", part)
