"""What an importer fills: the keys of a study file, and what became of everything that is not among them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hpo_workflow.template.placeholders import NAME
from hpo_workflow.template.shell_words import variable_of


@dataclass(frozen=True)
class Note:
    """One thing that is not in the study file as it was in the source.

    Args:
        key: Where it stands in the source.
        problem: What it says there and why it is not here, or not so. A sentence.
        cure: What to do about it; empty where nothing needs to be done.
    """

    key: str
    problem: str
    cure: str = ""


@dataclass(frozen=True)
class Missing:
    """A key that a study file needs and that the user has to fill in.

    Args:
        why: Why it is not known. A sentence.
        example: The value as a line of YAML, for the user to change.
    """

    why: str
    example: str


@dataclass
class Draft:
    """A study file to be written.

    Args:
        source: What it was made from, for people: `a W&B sweep`.
        study: Keys of the study file, nested as there.
        left_out: What could not be carried over.
        changed: What is carried over, in another form.
        unneeded: Keys of the source that have no meaning here, so that nothing is lost without them.
        missing: By dotted key, what the user has to fill in.
    """

    source: str
    study: dict[str, Any] = field(default_factory=dict)
    left_out: list[Note] = field(default_factory=list)
    changed: list[Note] = field(default_factory=list)
    unneeded: list[str] = field(default_factory=list)
    missing: dict[str, Missing] = field(default_factory=dict)
    _variables: set[str] = field(default_factory=set)

    def leave_out(self, key: str, problem: str, cure: str = "") -> None:
        """Name what is not carried over."""
        self.left_out.append(Note(key, problem, cure))

    def change(self, key: str, problem: str, cure: str = "") -> None:
        """Name what is carried over in another form."""
        self.changed.append(Note(key, problem, cure))

    def need(self, key: str, why: str, example: str) -> None:
        """Leave a key for the user to fill in."""
        self.missing[key] = Missing(why, example)

    def section(self, name: str) -> dict[str, Any]:
        """A mapping of the study file, made where it is not there yet."""
        section: dict[str, Any] = self.study.setdefault(name, {})
        return section

    def name_study(self, name: Any, otherwise: str) -> None:
        """Set `study:`; a name that a study cannot have is changed."""
        given = name if isinstance(name, str) and name.strip() else otherwise
        allowed = re.sub(r"[^A-Za-z0-9._-]+", "-", given).strip("-._")[:64] or "study"
        self.study["study"] = allowed
        if allowed != given and given is name:
            self.change("name", f"{quoted(given)} cannot name a folder, so the study is called {allowed}.")

    def parameter(self, key: str, name: str) -> str:
        """A name that a parameter can have: as given, or the nearest that is allowed and free, with a note.

        Args:
            key: Where it stands in the source.
            name: What it is called there.
        """
        allowed = name
        if not re.fullmatch(NAME, name):
            parts = [re.sub(r"[^A-Za-z0-9_]", "_", part) for part in name.split(".") if part]
            allowed = ".".join(part if not part[0].isdigit() else f"_{part}" for part in parts) or "_"
        base, number = allowed, 2
        while variable_of(allowed) in self._variables:
            allowed, number = f"{base}_{number}", number + 1
        self._variables.add(variable_of(allowed))
        if allowed != name:
            self.change(key, f"a parameter cannot be called {quoted(name)} here, so it is {allowed}.")
        return allowed


def quoted(value: Any, longest: int = 60) -> str:
    """A value of the source in a sentence: short, on one line, texts in quotes."""
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def listed(names: Iterable[str], most: int = 8) -> str:
    """`a, b and 3 more`."""
    names = list(names)
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
