"""A draft as the text of a study file: short lines, and comments that say what is missing and what is not there.

The values are written so that the reader of study files reads the same ones; a text that could be read as anything else
is quoted.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpo_workflow.addresses import secret_in, shown_uri
from hpo_workflow.errors import printable
from hpo_workflow.importers.draft import Draft, Note

WIDTH = 110
ORDER: tuple[str, ...] = (
    "study",
    "description",
    "seed",
    "command",
    "shell",
    "workdir",
    "setup",
    "env",
    "pass_env",
    "pass",
    "fidelity",
)
ORDER += ("space", "objective", "metrics", "sampler", "pruner", "budget", "resources", "limits", "retry", "start")
ORDER += ("history",)
"""The keys in the order in which people read them."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./+-]*|[1-9][0-9]{0,8}(?:[smhd]|[KMGT]i?B)")
_OTHER_KINDS = re.compile(r"true|false|null|yes|no|on|off|y|n", re.IGNORECASE)


def study_text(draft: Draft, origin: str, schema: str) -> str:
    """The study file.

    Args:
        draft: What it says.
        origin: The file that it was made from.
        schema: Path of the JSON Schema, for editors.
    """
    lines = [f"# yaml-language-server: $schema={schema}", "#"]
    lines += _comment(f"Imported from {one_line(origin)}, {draft.source}. `hpo check` shows what it would run.")
    if draft.missing:
        lines += ["#", "# To be filled in, where it says FILL IN: " + ", ".join(draft.missing) + "."]
    for title, notes in (
        ("Not carried over:", draft.left_out),
        ("Carried over in another form:", draft.changed),
    ):
        if notes:
            lines += ["#", f"# {title}"]
            for note in notes:
                lines += _note(note)
    if draft.unneeded:
        lines += ["#", *_comment(f"Not needed here: {', '.join(map(one_line, draft.unneeded))}.")]
    lines.append("")
    keys = [key for key in ORDER if key in draft.study or any(_top(name) == key for name in draft.missing)]
    assert not set(draft.study) - set(ORDER), "a key without a place"
    for key in keys:
        if key in ("command", "fidelity", "space", "objective", "sampler", "budget", "history"):
            lines.append("")
        lines += _section(draft, key)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def one_line(text: str) -> str:
    """A text of the source in a comment or on a terminal: one line without anything that could steer it."""
    return printable(" ".join(text.split()))


def without_password(url: str) -> str:
    """The URL of a database without the password that may stand in it; who logs in stays, as that is no secret."""
    kept = re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1@", url)
    return shown_uri(kept) if secret_in(kept) else kept


def _top(name: str) -> str:
    return name.partition(".")[0]


def _comment(text: str, indent: str = "") -> list[str]:
    """A paragraph of comment."""
    start = f"# {indent}"
    return textwrap.wrap(
        text, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False, break_on_hyphens=False
    )


def _note(note: Note) -> Iterator[str]:
    yield from _comment(f"{one_line(note.key)}: {one_line(note.problem)}", "  ")
    if note.cure:
        yield from _comment(one_line(note.cure), "    ")


# ---- keys --------------------------------------------------------------------------------------------------------
def _section(draft: Draft, key: str) -> list[str]:
    """One key of the top level."""
    missing = {name.removeprefix(key).lstrip("."): m for name, m in draft.missing.items() if _top(name) == key}
    value = draft.study.get(key)
    if "" in missing:
        found = missing[""]
        return [*_comment(f"FILL IN: {one_line(found.why)}"), f"# {key}: {one_line(found.example)}"]
    if key == "command":
        return _command(value)
    if isinstance(value, Mapping) or missing:
        # a key with nothing but comments below it would be null
        lines = [f"{key}:" if value or key == "space" else f"# {key}:"]
        for name, item in (value or {}).items():
            lines += _entry(name, item)
        for name, found in missing.items():
            lines += [f"  {line}" for line in _comment(f"FILL IN: {one_line(found.why)}")]
            lines.append(f"  # {flow(name)}: {one_line(found.example)}")
            if key == "space":  # without the name the study would be whole, and another one
                lines.append(f"  {flow(name)}:")
        return lines
    if isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(item, Mapping) for item in value):
        return [f"{key}:", *(f"  - {flow(item)}" for item in value)]
    return [f"{key}: {flow(value)}"]


def _entry(name: str, value: Any) -> Iterator[str]:
    """One entry of a mapping; mappings in it are written on one line where they fit."""
    line = f"  {flow(name)}: {flow(value)}"
    if len(line) <= WIDTH or not isinstance(value, (Mapping, list)):
        yield line
        return
    yield f"  {flow(name)}:"
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from (f"  {inner}" for inner in _entry(key, item))
    else:
        yield from (f"    - {flow(item)}" for item in value)


def _command(command: Any) -> list[str]:
    """The command: text folded at its spaces, or one argument a line."""
    if not isinstance(command, str):
        return ["command:", *(f"  - {flow(word)}" for word in command)]
    is_foldable = "\n" not in command and "  " not in command and command == command.strip() and command.isprintable()
    if is_foldable and len(f"command: {command}") <= WIDTH and _fits_on_its_line(command):
        return [f"command: {command}"]
    if is_foldable:
        return ["command: >-", *(f"  {line}" for line in _folded(command))]
    lines = command.strip("\n").split("\n")
    if not command.startswith((" ", "\n")) and all(line.isprintable() and line == line.rstrip() for line in lines):
        return ["command: |-", *(f"  {line}" if line else "" for line in lines)]
    return [f"command: {_double_quoted(command)}"]


def _fits_on_its_line(command: str) -> bool:
    """Whether YAML reads the text as it stands behind `command: `: words, of which none means anything to it."""
    if flow(command) == command:
        return True
    words = command.split(" ")
    return (
        bool(re.match(r"[A-Za-z0-9./]", command))
        and len(words) > 1
        and not any(w[0] == "#" or w[-1] == ":" for w in words)
    )


def _folded(command: str) -> list[str]:
    """Lines that YAML joins again by single spaces; words stay whole."""
    lines, line = [], ""
    for word in command.split(" "):
        if line and len(line) + len(word) >= WIDTH:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


# ---- values ------------------------------------------------------------------------------------------------------
def flow(value: Any) -> str:
    """A value on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _real(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{flow(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    text = str(value)
    if _PLAIN.fullmatch(text) and not _OTHER_KINDS.fullmatch(text):
        return text
    if text.isprintable() and ('"' in text or "\\" in text):
        return "'" + text.replace("'", "''") + "'"
    return _double_quoted(text)


def _real(value: float) -> str:
    """The shortest decimal that reads back as the same number; YAML 1.1 too reads it as a number."""
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent):+d}"


def _double_quoted(text: str) -> str:
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
