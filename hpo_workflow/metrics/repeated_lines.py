"""Lines that differ from an earlier one in nothing but the digits of their numbers: most lines of most logs.

What stands on such a line is known without looking again at anything but its numbers. The rules of `metrics.format`
and `after:` tell no digit from another and count none: where they find a name or a number, and where they find none,
stays the same while each run of digits is replaced by another one that is not empty. So a line that was read once in
the careful way gives a regular expression in which names alone keep their digits. A line that matches it holds the same
metrics, and all else that would be told of it has been told.

The exceptions are few, and lines with them are read in the careful way for ever: `1.#INF`, `1 000`, quoted texts of
about CAP_NUMBER characters, and what the user searches for with digits in it. JSON forbids leading zeros.
"""

from __future__ import annotations

import re

from hpo_workflow.metrics.line_formats import EQUALS, katib_matches
from hpo_workflow.metrics.numbers import CAP_NUMBER, GROUPED_OR_LIKE_IT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from hpo_workflow.metrics.line_scanner import LineScanner

DIGITS = b"0123456789"
LEARN_AFTER = 10
"""To learn a kind of line costs as much as to read some tens of lines in the careful way."""
CAP_KINDS = 1000
CAP_VARIANTS = 8
"""Kinds of lines that differ in digits only, as `layer1.loss=` and `layer2.loss=` do."""
CAP_LITERAL = 800
CAP_RUNS = 40
"""Numbers of a line. What matches has at most CAP_LITERAL bytes and 25 digits for each of these: it is never cut."""
CAP_SEEN = 1000

_RUN = re.compile(rb"\d+")
_DIGITS = rb"\d{1,25}"  # three of them, a sign, a point and an exponent are less than CAP_NUMBER
_WHOLE_JSON = rb"(?:0|[1-9]\d{0,24})"
_SIMPLE = re.compile(rb"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NEVER = re.compile(rb"[\x00\x1b]|\.#|\d{26}")
_JSON_TOKEN = re.compile(rb'"([^"]*)"(\s*:)?|-?(\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?|[]\[{},]')


class RepeatedLine:
    """A kind of line.

    Attributes:
        match: The match of a line of this kind, else None; its groups are the numbers of `names`.
        names: The metrics on it.
        key: The line without its digits.
    """

    __slots__ = ("key", "match", "names")

    def __init__(self, pattern: bytes, names: tuple[str, ...], key: bytes) -> None:
        self.match = re.compile(pattern).fullmatch
        self.names = names
        self.key = key


class RepeatedLines:
    """The kinds of lines that came so often that it is worth to know them.

    Args:
        scanner: Reads lines in the careful way.
        wanted: Metrics of which a person is told when no number follows.
        usable: Whether lines with these metrics may be of a known kind, also given one of them without its digits.

    Attributes:
        kinds: A line without its digits -> the kinds that it can be of.
    """

    def __init__(
        self, scanner: LineScanner, wanted: Collection[str], usable: Callable[[tuple[str, ...], bytes], bool]
    ) -> None:
        self.kinds: dict[bytes, list[RepeatedLine]] = {}
        self._scanner = scanner
        self._wanted = wanted
        self._usable = usable
        self._seen: dict[bytes, int] = {}
        self._n_kinds = 0

    @staticmethod
    def can_read(scanner: LineScanner) -> bool:
        """Whether what is read from a line is independent of its digits: the user's own patterns may name some."""
        return not scanner.watched and not any(_RUN.search(text.encode()) for text, _, _ in scanner.after)

    def learn(self, line: bytes, key: bytes) -> None:
        """Take note of a line that was read in the careful way.

        Args:
            key: The line without its digits.
        """
        if self._n_kinds >= CAP_KINDS or len(key) > CAP_LITERAL:
            return
        count = self._seen.get(key, 0) + 1
        if count < LEARN_AFTER:
            if len(self._seen) >= CAP_SEEN:
                self._seen.clear()
            self._seen[key] = count
            return
        self._seen[key] = 0
        variants = self.kinds.get(key, [])
        if len(variants) < CAP_VARIANTS:
            kind = self._kind(line, key)
            if kind is not None and self._usable(kind.names, key):
                self.kinds[key] = [*variants, kind]
                self._n_kinds += 1

    def _kind(self, line: bytes, key: bytes) -> RepeatedLine | None:
        """The kind of a line, None where its like has to be read one by one."""
        if len(line) > CAP_LITERAL or len(_RUN.findall(line)) > CAP_RUNS or _NEVER.search(line):
            return None
        _, found, broken, _ = self._scanner.scan(line)
        if broken or any(item.value is None and item.name in self._wanted for item in found):
            return None
        marks = Marks(line)
        if not marks.mark(self._scanner):
            return None
        kind = RepeatedLine(marks.pattern(), tuple(name for _, _, name in marks.numbers), key)
        match = kind.match(line)
        values = sorted((item.name, item.value) for item in found if item.value is not None)
        # What was marked must be what the careful way has found: no `nan`, no `"0.5"`, no name twice.
        if match is None or sorted(zip(kind.names, map(float, match.groups()))) != values:  # noqa: B905 - 3.8
            return None
        return kind if len(set(kind.names)) == len(kind.names) else None


class Marks:
    """Where the names and numbers of a line stand.

    Attributes:
        numbers: Start, end and metric of the numbers that are read.
    """

    def __init__(self, line: bytes) -> None:
        self.numbers: list[tuple[int, int, str]] = []
        self._line = line
        self._fixed: list[tuple[int, int]] = []  # what keeps its digits
        self._whole: set[int] = set()  # where whole numbers of JSON start

    def mark(self, scanner: LineScanner) -> bool:
        """Mark what a scanner reads; whether it can be done."""
        marked = {"equals": self._mark_equals, "katib": self._mark_katib, "json": self._mark_json}[scanner.format]
        if not marked(scanner):
            return False
        for _, pattern, name in scanner.after:
            for match in pattern.finditer(self._line):
                number = _SIMPLE.match(self._line, match.end())
                if number is None or GROUPED_OR_LIKE_IT.match(self._line, match.end()):
                    return False
                self.numbers.append((match.end(), number.end(), name))
        self.numbers.sort()
        after = 0
        for start, end, _ in self.numbers:
            if start < after or not _SIMPLE.fullmatch(self._line, start, end):
                return False
            if any(first <= start < last for first, last in self._fixed):
                return False
            after = end
        return True

    def _mark_equals(self, scanner: LineScanner) -> bool:
        line = self._line
        for match in EQUALS.finditer(line):
            raw, number = match.groups()
            if GROUPED_OR_LIKE_IT.match(line, match.end() if number is None else match.start(2)):
                return False
            if number is None:
                self._fixed.append(match.span())
                quote = line[match.end() : match.end() + 1]
                if quote in (b'"', b"'", b"`") and line.find(quote, match.end() + 1, match.end() + CAP_NUMBER) < 0:
                    return False
            else:
                self._fixed.append((match.start(), match.start(2)))
                name = raw.decode("utf-8", "replace")
                if name not in scanner.defined:
                    self.numbers.append((match.start(2), match.end(2) - number.endswith(b"%"), name))
        return True

    def _mark_katib(self, scanner: LineScanner) -> bool:
        for start, end, match in katib_matches(self._line):
            self._fixed.append((start, match.start(1)))
            name = self._line[start:end].decode()
            if match.group(1) and name not in scanner.defined:
                self.numbers.append((*match.span(1), name))
        return True

    def _mark_json(self, scanner: LineScanner) -> bool:
        line = self._line
        start = scanner.label(line)
        if not line[start:].lstrip().startswith(b"{"):
            return True
        if b"\\" in line:
            return False
        depth = 0
        name: str | None = None
        for token in _JSON_TOKEN.finditer(line, start):
            kind = token.group()[:1]
            if kind == b'"':
                if token.group(2):
                    self._fixed.append(token.span())
                    name = token.group(1).decode("utf-8", "replace") if depth == 1 else None
                elif len(token.group(1)) > CAP_NUMBER:
                    return False
            elif kind in b"{[":
                depth += 1
                name = None
            elif kind in b"}]":
                depth -= 1
            elif kind == b",":
                name = None
            else:
                self._whole.add(token.start(3))
                if name is not None and name not in scanner.defined:
                    self.numbers.append((*token.span(), name))
        return True

    def pattern(self) -> bytes:
        """A regular expression of all lines that differ in digits that are not fixed; its groups are the numbers."""
        starts = {start for start, _, _ in self.numbers}
        cuts = sorted({0, len(self._line), *starts, *(end for _, end, _ in self.numbers)})
        parts = []
        for start, end in zip(cuts, cuts[1:]):  # noqa: B905, RUF007 - 3.8
            loose = self._loose(start, end)
            parts.append(b"(" + loose + b")" if start in starts else loose)
        return b"".join(parts)

    def _loose(self, start: int, end: int) -> bytes:
        """The same for a part of the line without its numbers."""
        parts = []
        at = start
        for run in _RUN.finditer(self._line, start, end):
            if not any(first <= run.start() < last for first, last in self._fixed):
                parts.append(re.escape(self._line[at : run.start()]))
                parts.append(_WHOLE_JSON if run.start() in self._whole else _DIGITS)
                at = run.end()
        parts.append(re.escape(self._line[at:end]))
        return b"".join(parts)
