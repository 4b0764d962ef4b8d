"""Sentences for a person whose objective was not found, or perhaps not found as meant."""

from __future__ import annotations

import json
import re
from collections import Counter

from hpo_workflow.metrics.numbers import excerpt, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

CAP_SHAPES = 16
"""Kinds of lines that are told apart."""
CAP_KEYS = 1000

_MASK_NUMBER = re.compile(
    rb"(?<![A-Za-z])[+-]?(?:\d+(?:[.,_:]\d+)*\.?(?:[eE][+-]?\d+)?|\.\d+|(?:nan|inf(?:inity)?)\b)", re.I
)
_MASK_BAR = re.compile(rb"[\x80-\xff][\x80-\xff ]*|([=#*>.-])\1+")
_MASK_SPACE = re.compile(rb"\s+")


def near_names(wanted: str, names: Iterable[str]) -> list[str]:
    """Those of `names` that a person could have meant by `wanted`, at most three."""
    parts = [part for part in re.split(r"[^a-z0-9]+", wanted.lower()) if len(part) > 1]
    near: dict[str, None] = {}
    for name in names:
        if name == wanted or not name:
            continue
        theirs = [part for part in re.split(r"[^a-z0-9]+", name.lower()) if len(part) > 1]
        if any(a.startswith(b) or b.startswith(a) for a in parts for b in theirs):
            near[name] = None
    if not near:
        import difflib

        near = dict.fromkeys(difflib.get_close_matches(wanted, [n for n in names if n and n != wanted], 3, 0.7))
    return list(near)[:3]


def listed(names: list[str]) -> str:
    """Names for a sentence."""
    return ", ".join(f"`{printable(name, 60)}`" for name in names)


class LineKinds:
    """The kinds of lines that the objective stands on; lines of one kind differ in numbers and progress bars only."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._kind_of: dict[bytes, str] = {}  # line without its digits -> kind
        self._last = ""

    def __len__(self) -> int:
        return len(self._counts)

    def count(self, line: bytes) -> None:
        key = line[:2000].translate(None, b"0123456789")  # cheap, and few: most lines differ in digits alone
        kind = self._kind_of.get(key)
        if kind is None:
            masked = _MASK_NUMBER.sub(b"#", line[:2000])
            masked = _MASK_SPACE.sub(b" ", _MASK_BAR.sub(b"~", masked)).strip()
            kind = excerpt(masked, 120)
            if len(self._kind_of) < CAP_KEYS:
                self._kind_of[key] = kind
        if kind in self._counts or len(self._counts) < CAP_SHAPES:
            self._counts[kind] = self._counts.get(kind, 0) + 1
        self._last = kind

    def knows(self, key: bytes) -> bool:
        """Whether lines that are `key` without their digits `count_again` can count."""
        return key in self._kind_of

    def count_again(self, keys: Sequence[bytes]) -> None:
        """Count lines more, given each without its digits; all are known."""
        for key, n in Counter(keys).items():
            kind = self._kind_of[key]
            if kind in self._counts:
                self._counts[kind] += n
        if keys:
            self._last = self._kind_of[keys[-1]]

    def shapes(self) -> list[list[Any]]:
        """`[[shape, count], ...]`; a shape is a line of the kind with its numbers masked."""
        return [[shape, count] for shape, count in self._counts.items()]

    def warning(self, objective: str) -> str:
        """That the objective stands on several kinds of lines, and how to choose; empty where it does not."""
        if len(self._counts) < 2:
            return ""
        kinds = sorted(self._counts.items(), key=lambda pair: -pair[1])[:3]
        listing = ", ".join(f"`{shape}` ({count}x)" for shape, count in kinds)
        more = f" and {len(self._counts) - 3} more" if len(self._counts) > 3 else ""
        prefix = self._distinct_start(objective)
        cure = f", for example lines: '^{prefix}'" if prefix else ""
        return (
            f"`{objective}` stands on {len(self._counts)} kinds of lines: {listing}{more}. "
            f"Say in metrics.lines which of them count{cure}."
        )

    def _distinct_start(self, objective: str) -> str:
        """A pattern for the start of the kind of lines that came last and of no other; empty where there is none."""
        start = re.split(r"[#~=]", self._last)[0]
        if start.endswith(objective):
            start = start[: -len(objective)]
        start = start.rstrip()
        if not start or any(shape.startswith(start) for shape in self._counts if shape != self._last):
            return ""
        return re.escape(start).replace("\\ ", " ")


def other_form(objective: str, text: str, form: str) -> str:
    """How to have the objective read from a line on which it stands in another form than `metrics.format`."""
    if form != "json" and text.startswith('{"') and text.endswith("}"):
        return "for JSON lines say metrics.format: json"
    match = re.search(rf"(?<![\w./-]){re.escape(objective)}[\"']?\s*:(?=\s*[-+.\d])", text)
    if match:
        return f"to read this one: metrics.define: {{{objective}: {{after: {json.dumps(match.group())}}}}}"
    return "metrics.define reads other forms"
