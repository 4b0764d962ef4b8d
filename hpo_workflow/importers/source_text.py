"""The text of a source as plain values, and its faults in the manner of a study file's.

YAML is read by the reader of study files, with its bounds: no tags, no merge keys, no duplicate keys, no endless
aliases. JSON is read as JSON, because its tabs are not YAML, and under the same bounds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from hpo_workflow.errors import ConfigError, Fault
from hpo_workflow.importers.draft import Draft, quoted
from hpo_workflow.study_file import yaml_reader
from hpo_workflow.study_file.yaml_reader import Document, dotted

MOST = 10**6
"""The largest count that a study file may hold."""


class SourceText:
    """A source that was read, and the faults that are found in it.

    Args:
        text: YAML or JSON.
        file: The file as the user named it.

    Raises:
        ConfigError: It is neither, or breaks a bound.
    """

    def __init__(self, text: str | bytes, file: str) -> None:
        self.file = file
        self.document: Document = _json(text, file) or yaml_reader.read_yaml(text, file)
        self.faults: list[Fault] = [fault for _, fault in self.document.faults]
        _check_characters(self.document.value, (), self)
        self.finish()
        self.value: Any = self.document.value

    def fault(self, key: str, problem: str, cure: str = "") -> None:
        """Remember a fault; `finish` reports them all."""
        self.faults.append(Fault(key, problem, cure))

    def stop(self, key: str, problem: str, cure: str = "") -> NoReturn:
        """Report a fault that makes all others uninteresting."""
        raise ConfigError(self.file, [Fault(key, problem, cure)])

    def finish(self) -> None:
        """Raise ConfigError if there are faults."""
        if self.faults:
            raise ConfigError(self.file, list(dict.fromkeys(self.faults)))

    def note_ambiguous(self, draft: Draft, reader: str) -> None:
        """Name the scalars that YAML 1.1, which `reader` reads, takes for something else than text."""
        for path, kind in self.document.warnings.items():
            written = self.document.place(path).source
            draft.change(
                dotted(path),
                f"{quoted(written)} is text here, and {reader} may read it as {kind}.",
                "Write true, false or the number if that is meant.",
            )

    # ---- values of a kind; a fault and a stand-in where it is another one --------------------------------------
    def mapping(self, key: str, value: Any) -> dict[str, Any]:
        """A mapping; empty with a fault where it is none, empty where it is not given."""
        if value is None:
            return {}
        if not isinstance(value, dict):
            self.fault(key, f"{quoted(value)} is not a mapping.", "Give `key: value` lines below it.")
            return {}
        return value

    def items(self, key: str, value: Any) -> list[Any]:
        """A list; empty with a fault where it is none, empty where it is not given."""
        if value is None:
            return []
        if not isinstance(value, list):
            self.fault(key, f"{quoted(value)} is not a list.", "Give a list.")
            return []
        return value

    def text(self, key: str, value: Any) -> str | None:
        """A text; None with a fault where it is none, None where it is not given."""
        if value is None or isinstance(value, str):
            return value
        self.fault(key, f"{quoted(value)} is not a text.", "Put it in quotes if it is meant as text.")
        return None

    def number(self, key: str, value: Any, *, as_text: bool = False) -> float | int | None:
        """A finite number; None with a fault where it is none, None where it is not given.

        Args:
            as_text: It may also be a text that reads as a number, as in Kubernetes.
        """
        if value is None:
            return None
        if as_text and isinstance(value, str):
            for kind in (int, float):
                try:
                    number = kind(value)
                except ValueError:
                    continue
                if "_" not in value and len(value) < 40 and math.isfinite(number):
                    return number
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fault(key, f"{quoted(value)} is not a number.", "Give a number.")
            return None
        return value

    def whole(self, key: str, value: Any, least: int = 1, *, as_text: bool = False) -> int | None:
        """A whole number from `least` to MOST; None with a fault where it is none, None where it is not given."""
        number = self.number(key, value, as_text=as_text)
        if number is None:
            return None
        if number != int(number) or not least <= number <= MOST:
            self.fault(key, f"{quoted(value)} is not a whole number from {least} to {MOST}.", "Give one.")
            return None
        return int(number)

    def word(self, key: str, value: Any, known: Sequence[str]) -> str | None:
        """One of some words; None with a fault where it is another one, None where it is not given."""
        if value is None or (isinstance(value, str) and value in known):
            return value
        self.fault(key, f"{quoted(value)} is not one of {', '.join(known)}.", "Give one of them.")
        return None

    def pair(self, key: str, low: Any, high: Any, *, as_text: bool = False) -> tuple[float, float] | None:
        """The two ends of a range, in order; None with a fault where they are none."""
        if low is None or high is None:
            self.fault(key, "has not both ends of a range.", "Give the smallest and the largest value.")
            return None
        first, last = self.number(key, low, as_text=as_text), self.number(key, high, as_text=as_text)
        if first is None or last is None:
            return None
        if first > last:
            self.fault(key, f"the smallest value, {first}, is above the largest, {last}.", "Exchange them.")
            return None
        return first, last


def _check_characters(value: Any, path: yaml_reader.Path, source: SourceText) -> None:
    """Refuse texts that no file and no program can be given: escapes can spell what is no character."""
    if isinstance(value, dict):
        for name, item in value.items():
            _check_characters(name, path, source)
            _check_characters(item, (*path, name), source)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_characters(item, (*path, index), source)
    elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" or character == "\0" for character in value):
        source.fault(dotted(path), f"{quoted(value)} holds what is no character.", "Write it without.")


def _json(data: str | bytes, file: str) -> Document | None:
    """JSON, or None where it is none: then it may be YAML in brackets."""
    if len(data) > yaml_reader.LARGEST_FILE:
        return None  # the reader of YAML says so
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    text = text.lstrip("\ufeff \t\r\n")
    if not text.startswith("{"):
        return None
    twice: list[str] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                twice.append(key)
            found[key] = value
        return found

    try:
        value = json.loads(text, object_pairs_hook=mapping)
    except (ValueError, RecursionError):
        return None
    if twice:
        raise ConfigError(file, [Fault(key, "is given twice.", "Keep one of them.") for key in dict.fromkeys(twice)])
    try:
        return yaml_reader.from_mapping(value if isinstance(value, Mapping) else {})
    except ConfigError as error:
        raise ConfigError(file, error.faults) from None
