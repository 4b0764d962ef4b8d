"""Text of a trial's output -> numbers.

Standard library only, Python 3.8 or newer: the runner imports it on every node. Works on bytes, in bounded memory, and
gives the same result however the text is cut into reads.

A *line* ends at `\\n` or `\\r` (progress bars); lines are counted as editors count them, by `\\n`. Terminal colours are
removed, NUL and invalid UTF-8 are survived, and a line is read up to CAP_LINE bytes. A *point* is one value of a metric
with its step: the value of `metrics.step` on the same line, else the last one printed before, else the count of values.

What a format reads:

equals      `name=value`: a name that stands alone, any spaces around `=`, a plain decimal number that stands alone.
            `val/loss=1` is the metric `val/loss`, never `loss`. What could be read in two ways (`1,000`, `0x10`,
            `tensor(0.5)`) is no number; where a wanted metric is concerned it is a Problem that names the line.
katib       Kubeflow Katib's default rule, with what it does to `1,234.5` (1) and `val/loss=0.3` (`loss`).
json        one flat JSON object a line; numbers, or strings that hold a number. Nested objects are not entered.
"""

from __future__ import annotations

import json
import re
import signal
from array import array

from hpo_workflow.objective import loss_of, reached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from types import FrameType, TracebackType
    from typing import Any, NamedTuple

CAP_LINE = 64 * 1024
"""Bytes of a line that are read."""
CAP_PATTERN = 8 * 1024
"""Bytes of a line that a user's regular expression is tried on."""
CAP_POINTS = 10_000
"""Points of one metric that are kept; beyond it every second, fourth, ... and the last, lowest and highest."""
CAP_TOTAL = 300_000
"""Points of all metrics together."""
CAP_NAMES = 500
CAP_NAME = 200
"""Characters of a name; what is longer is data, and dropped."""
CAP_NUMBER = 100
"""Characters of a number."""
CAP_REJECTED = 50
"""Values of one line that are told one by one why they are no numbers."""
CAP_PROBLEMS = 20
CAP_SHAPES = 16
CAP_TEXT = 200
"""Characters of a line that are quoted in a message."""
PATTERN_SECONDS = 1.0
"""CPU time of one search of a user's regular expression before it is given up."""
PATTERN_TICKS = 60
"""Seconds that a user's regular expression may take in all while it reads less than 100 kB/s."""

# Control characters, white space, brackets and quotes separate names; bytes of multi-byte characters belong to names,
# so that `é_loss=1` is not `loss`.
_SEPARATOR = rb"\x00-\x20()\[\]{},;|\"'`<>\x7f"
_NAME = rb"[A-Za-z0-9_\x80-\xff](?:[\w./:@\x80-\xff-]*[\w\x80-\xff])?"
_DIGITS = rb"\d+(?:_\d+)*"
_DECIMAL = rb"[+-]?(?:" + _DIGITS + rb"(?:\.(?:" + _DIGITS + rb")?)?|\." + _DIGITS + rb")(?:[eE][+-]?\d+)?%?"
_END = rb"(?=[\x00-\x20;)\]}|]|$|[\"'`](?!\d)|,(?![+-]?\.?\d))"
_EQUALS = re.compile(
    rb"(?<![^" + _SEPARATOR + rb"])(" + _NAME + rb")[ \t]*=(?!=)[ \t]*(?:(" + _DECIMAL + rb")" + _END + rb")?"
)
_NUMBER = re.compile(_DECIMAL + _END)
_NUMBER_ALONE = re.compile(_DECIMAL + rb"\Z")
_NONFINITE = re.compile(rb"([+-]?)(?:(nan(?:\(\w*\))?)|inf(?:inity)?|1\.#(?:(inf)|\w+))(?![\w.(])", re.IGNORECASE)
_TOKEN = re.compile(rb"[^\x00-\x20]*")
_WORD = re.compile(rb"[\"'`]?[^,;)\]}|\"'`]*[\"'`]?")
_KATIB_NUMBER = re.compile(rb"[\t\n\f\r ]*([+-]?\d*(?:\.\d+)?(?:[Ee][+-]?\d+)?)")
_KATIB_NAME = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_|-"
_RANK_LABEL = re.compile(rb"\s*\d+: ")
_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()*+][0-9A-Za-z]|[@-Z\\^_=>78c])?")
_MASK_NUMBER = re.compile(
    rb"(?<![A-Za-z])[+-]?(?:\d+(?:[.,_:]\d+)*\.?(?:[eE][+-]?\d+)?|\.\d+|(?:nan|inf(?:inity)?)\b)", re.I
)
_MASK_BAR = re.compile(rb"[\x80-\xff][\x80-\xff ]*|([=#*>.-])\1+")
_MASK_SPACE = re.compile(rb"\s+")


def printable(text: str, cap: int = CAP_TEXT) -> str:
    """`text` without what could steer a terminal (controls, bidirectional marks), cut to `cap` characters."""
    shown = "".join(c if c.isprintable() else " " if c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown if len(shown) <= cap else shown[: cap - 1] + "…"


def _text(data: bytes, cap: int = CAP_TEXT) -> str:
    return printable(data[: 4 * cap].decode("utf-8", "replace").strip(), cap)


def number_of(text: bytes) -> float | None:
    """The number that `text` is as a whole, or None; `nan`, `inf` and `1e400` are numbers that are not finite."""
    text = text.strip()
    if len(text) <= CAP_NUMBER and _NUMBER_ALONE.match(text):
        return float(text[:-1] if text.endswith(b"%") else text)
    match = _NONFINITE.match(text)
    return _nonfinite(match) if match and match.end() == len(text) else None


def _nonfinite(match: re.Match[bytes]) -> float:
    sign, nan, msvc_inf = match.groups()
    word = match.group().lower()
    if nan or (b"#" in word and not msvc_inf):
        return float("nan")
    return float("-inf") if sign == b"-" else float("inf")


def is_finite(value: float) -> bool:
    return value - value == 0


if TYPE_CHECKING:

    class Found(NamedTuple):
        """One metric on one line: a value, or (value None) why what stands there is not one."""

        name: str
        value: float | None
        text: str
        kind: str
        reason: str
else:
    from collections import namedtuple

    Found = namedtuple("Found", "name value text kind reason")


# ---- numbers on a line -------------------------------------------------------------------------------------


def _rejected(name: str, shown: bytes, token: bytes) -> Found:
    """Says why `token`, found behind a name, is not a number. Kind `word`: no digit in it, as in `optimizer='SGD'`."""
    quoted = _text(shown, 80)
    bare = token.strip(b"\"'`")
    if not any(character.isdigit() for character in token.decode("utf-8", "replace")):
        word = _WORD.match(token)
        if word is not None and word.group():
            quoted = _text(shown[: len(shown) - len(token) + word.end()], 80)
            bare = word.group().strip(b"\"'`")
        reason = f"`{_text(bare, 40)}` is not a number" if bare else "no number follows"
        return Found(name, None, quoted, "word", reason)
    if re.match(rb"[+-]?0[xXbBoO]", bare):
        reason = "only decimal numbers are read"
    elif re.match(rb"[+-]?\d+,\d", bare):
        reason = "the comma can be a decimal point or a thousands separator; print it without"
    elif re.match(rb"[+-]?[\d.]+[dD][+-]?\d+", bare):
        reason = "a Fortran `D` exponent; print it with `E` (ES format)"
    elif re.match(rb"[A-Za-z_.]+\(", bare):
        reason = "an object around the number; print the bare number (`.item()`)"
    else:
        reason = f"`{_text(bare, 40)}` is not a plain number"
    return Found(name, None, quoted, "ambiguous", reason)


def _value_at(line: bytes, start: int, name: str, shown_from: int, brief: bool) -> Found:
    """What stands at `start` of `line`, where a number was expected and the quick pattern found none.

    Args:
        shown_from: Where the text begins that a message quotes.
        brief: Do not spend time on saying what is wrong.
    """
    match = _NUMBER.match(line, start)
    if match and match.end() - start <= CAP_NUMBER:
        token = match.group()
        return Found(name, float(token[:-1] if token.endswith(b"%") else token), "", "", "")
    bad = _NONFINITE.match(line, start)
    if bad:
        return Found(name, _nonfinite(bad), "", "", "")
    quote = line[start : start + 1]
    if quote in (b'"', b"'", b"`") and quote:
        close = line.find(quote, start + 1, start + CAP_NUMBER)
        value = number_of(line[start + 1 : close]) if close >= 0 else None
        if value is not None:
            return Found(name, value, "", "", "")
    if brief:
        return Found(name, None, "", "ambiguous", "one of many on this line")
    token_match = _TOKEN.match(line, start, start + CAP_NUMBER)
    assert token_match is not None  # it matches the empty text
    end = token_match.end()
    return _rejected(name, line[max(shown_from, start - CAP_NUMBER) : end], line[start:end])


def _scan_equals(line: bytes) -> list[Found]:
    found = []
    rejected = 0
    for match in _EQUALS.finditer(line):
        raw, number = match.groups()
        name = raw.decode("utf-8", "replace")
        if number is not None and len(number) <= CAP_NUMBER:
            value = float(number[:-1] if number.endswith(b"%") else number)
            found.append(Found(name, value, "", "", ""))
        else:
            start = match.end() if number is None else match.start(2)
            item = _value_at(line, start, name, match.start(), rejected >= CAP_REJECTED)
            rejected += item.value is None
            found.append(item)
    return found


def _scan_katib(line: bytes) -> list[Found]:
    """Matches of `([\\w|-]+)\\s*=\\s*([+-]?\\d*(\\.\\d+)?([Ee][+-]?\\d+)?)`, in time linear in the line.

    As written, the pattern tries every start inside a long word again. A match has exactly one `=`, so it is enough to
    look at each `=` once: the name is what stands before it and behind the previous match.
    Source: kubeflow/katib, pkg/metricscollector/v1beta1/common/const.go (Go's RE2: `\\w`, `\\d` are ASCII).
    """
    found: list[Found] = []
    start = rejected = 0
    while True:
        equals = line.find(b"=", start)
        if equals < 0:
            return found
        before = line[start:equals].rstrip(b"\t\n\f\r ")
        name = before[len(before.rstrip(_KATIB_NAME)) :]
        shown = line[start + len(before) - len(name) : equals + 40]
        start = equals + 1
        if not name:
            continue
        match = _KATIB_NUMBER.match(line, start)
        assert match is not None  # every part is optional
        number = match.group(1)
        start = match.end()
        text = name.decode()
        if number.lstrip(b"+-")[:1] not in (b"", b"e", b"E"):  # the rule lets no other text through that is no number
            found.append(Found(text, float(number), "", "", ""))
            continue
        rejected += 1
        if rejected <= CAP_REJECTED:
            reason = f"katib's rule reads `{number.decode()}` here, which is no number"
            found.append(Found(text, None, _text(shown, 80), "ambiguous", reason))
        else:
            found.append(Found(text, None, "", "ambiguous", "one of many on this line"))


def _scan_json(line: bytes) -> tuple[list[Found], str]:
    """Metrics of one JSON object, and why the line is not one (empty where it is, or does not try to be)."""
    body = line.strip()
    if not body.startswith(b"{"):
        return [], ""
    try:
        # Whole numbers become floats at once: Python refuses, or takes long over, integers of thousands of digits.
        data = json.loads(body.decode("utf-8", "replace"), parse_int=float)
    except (ValueError, RecursionError):
        return [], "a Python dict, not JSON: print json.dumps(...)" if body.startswith(b"{'") else "not a JSON object"
    found = []
    for name, value in data.items():
        if isinstance(value, float):
            found.append(Found(name, value, "", "", ""))
        elif isinstance(value, str):
            number = number_of(value.encode("utf-8", "replace"))
            if number is None:
                found.append(
                    _rejected(name, json.dumps({name: value})[1:-1].encode(), value.encode("utf-8", "replace"))
                )
            else:
                found.append(Found(name, number, "", "", ""))
        elif isinstance(value, dict):
            found.append(Found(name, None, name, "word", "a nested object, which is not entered"))
            found.extend(
                Found(f"{name}.{key}", None, f"{name}.{key}", "word", "inside a nested object")
                for key in list(value)[:20]
                if isinstance(value[key], float)
            )
        else:
            shown = json.dumps(value)
            found.append(Found(name, None, f'"{name}": {shown[:60]}', "word", f"`{shown[:40]}` is not a number"))
    return found, ""


# ---- regular expressions of users --------------------------------------------------------------------------


class _TooSlow(Exception):
    """A user's regular expression does not come to an end."""


class _Pattern:
    """A user's regular expression and what it has cost so far."""

    def __init__(self, text: str, key: str) -> None:
        self.text = text
        self.key = key
        self.given_up = False
        self.ticks = 0
        self.read = 0
        try:
            self.compiled = re.compile(text)
        except (re.error, RecursionError, OverflowError) as error:
            from hpo_workflow.errors import MetricError

            raise MetricError(f"{key}: {text!r} is not a regular expression: {error}") from None


class _Watchdog:
    """Stops a search that takes more than PATTERN_SECONDS of CPU time.

    `re` looks for signals while it matches, so a timer's handler can leave it by raising. Works in the main thread
    only; elsewhere searches are not watched. While the watchdog is entered the timer ticks; two ticks inside the same
    search are one second at least.
    """

    def __init__(self) -> None:
        self.pattern: _Pattern | None = None
        self.serial = 0
        self.seen = -1
        self.armed = False
        self._left = 0.0
        self._before: Any = None

    def __enter__(self) -> None:
        try:
            self._before = signal.signal(signal.SIGVTALRM, self._tick)
        except ValueError:  # not the main thread
            return
        self.armed = True
        # The tick goes on where it was, else many short reads would never see one.
        signal.setitimer(signal.ITIMER_VIRTUAL, self._left or PATTERN_SECONDS, PATTERN_SECONDS)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.armed:
            self._left = signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)[0]
            signal.signal(signal.SIGVTALRM, self._before or signal.SIG_DFL)
            self.armed = False

    def _tick(self, number: int, frame: FrameType | None) -> None:
        pattern = self.pattern
        if pattern is None:
            return
        pattern.ticks += 1
        stuck = self.seen == self.serial
        self.seen = self.serial
        if stuck or (pattern.ticks > PATTERN_TICKS and pattern.read < 100_000 * pattern.ticks * PATTERN_SECONDS):
            self.pattern = None
            raise _TooSlow

    def search(self, pattern: _Pattern, text: str) -> list[re.Match[str]]:
        """All matches; raises _TooSlow."""
        self.serial += 1
        pattern.read += len(text)
        self.pattern = pattern
        try:
            return list(pattern.compiled.finditer(text))
        finally:
            self.pattern = None


# ---- what was found ----------------------------------------------------------------------------------------


class Series:
    """All points of one metric, in bounded memory.

    Attributes:
        count: How many values were printed.
        last, lowest, highest: (index, step, value); the latter two of finite values only, None while there is none.
    """

    __slots__ = ("_steps", "_stride", "_values", "count", "highest", "last", "lowest")

    def __init__(self) -> None:
        self._steps = array("d")
        self._values = array("d")
        self._stride = 1
        self.count = 0
        self.last: tuple[int, float, float] | None = None
        self.lowest: tuple[int, float, float] | None = None
        self.highest: tuple[int, float, float] | None = None

    def append(self, step: float, value: float, cap: int) -> None:
        point = (self.count, step, value)
        if self.count % self._stride == 0:
            self._steps.append(step)
            self._values.append(value)
        self.count += 1
        self.last = point
        if value - value == 0:
            if self.lowest is None or value < self.lowest[2]:
                self.lowest = point
            if self.highest is None or value > self.highest[2]:
                self.highest = point
        while len(self._values) > cap:
            self._steps = self._steps[::2]
            self._values = self._values[::2]
            self._stride *= 2

    def points(self) -> list[tuple[float, float]]:
        """(step, value) in the order of printing."""
        kept = {i * self._stride: point for i, point in enumerate(zip(self._steps, self._values))}  # noqa: B905 - 3.8
        for extreme in (self.lowest, self.highest, self.last):
            if extreme is not None:
                kept[extreme[0]] = extreme[1:]
        return [kept[index] for index in sorted(kept)]


def _plain(value: float) -> float | int | str:
    """A number for strict JSON: whole steps as ints, what is not finite as `"nan"`, `"inf"`, `"-inf"`."""
    return value if is_finite(value) else str(value)


def _step(value: float) -> float | int | str:
    return int(value) if is_finite(value) and value == int(value) and abs(value) < 2**53 else _plain(value)


class Extraction:
    """All that was read from the output of one attempt.

    Attributes:
        points: Metric name -> [(step, value), ...]; the last, lowest and highest are always among them.
        counts: Metric name -> how many values were printed; more than points where they were thinned.
        problems: What stood where a number of a wanted metric was expected: `{"line", "metric", "text", "kind",
            "reason"}`. Kind `ambiguous` could be read in two ways, `word` has no digit, `slow` is a regular
            expression that was given up. The first and last few; `n_problems` counts all.
        unreadable: The problem that forbids to read the objective, or None.
        hints: Sentences for a person whose objective was not found.
        warnings: Sentences for a person whose objective was found, but perhaps not as meant.
        shapes: Kinds of lines that the objective stood on, numbers masked: `[[shape, count], ...]`.
        lines, cut_lines: Lines in all, and those longer than CAP_LINE.
        dropped_names: Metrics that were not kept because there were too many.
    """

    _FIELDS = ("counts", "problems", "n_problems", "unreadable", "hints", "warnings", "shapes", "lines", "cut_lines")

    def __init__(self) -> None:
        self.points: dict[str, list[tuple[float, float]]] = {}
        self.counts: dict[str, int] = {}
        self.problems: list[dict[str, Any]] = []
        self.n_problems = 0
        self.unreadable: dict[str, Any] | None = None
        self.hints: list[str] = []
        self.warnings: list[str] = []
        self.shapes: list[list[Any]] = []
        self.lines = 0
        self.cut_lines = 0
        self.dropped_names = 0

    def last(self) -> dict[str, float]:
        """Last value of each metric, where it is finite."""
        return {name: points[-1][1] for name, points in self.points.items() if is_finite(points[-1][1])}

    def to_json(self) -> dict[str, Any]:
        data = {name: getattr(self, name) for name in (*self._FIELDS, "dropped_names")}
        data["points"] = {
            name: [[_step(step), _plain(value)] for step, value in points] for name, points in self.points.items()
        }
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Extraction:
        """The extraction that `to_json` wrote; what an older version did not write keeps its empty value."""
        extraction = cls()
        for name in (*cls._FIELDS, "dropped_names"):
            if name in data:
                setattr(extraction, name, data[name])
        extraction.points = {
            name: [(float(step), float(value)) for step, value in points] for name, points in data["points"].items()
        }
        return extraction


# ---- the reader --------------------------------------------------------------------------------------------


class _Lines:
    """Cuts a stream into numbered lines of bounded length, whatever the sizes of its pieces."""

    def __init__(self) -> None:
        self.number = 1
        self.cut = 0
        self._at_start = True
        self._rest = b""

    @property
    def count(self) -> int:
        """Lines so far, the last one also where it has no end yet."""
        return self.number - self._at_start

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        if data:
            self._at_start = data.endswith(b"\n")
        if len(self._rest) > CAP_LINE:  # the rest of an over-long line is not kept
            ends = [position for position in (data.find(b"\n"), data.find(b"\r")) if position >= 0]
            if not ends:
                return
            data = data[min(ends) :]
        pieces = (self._rest + data).split(b"\n")
        last = len(pieces) - 1
        for index, piece in enumerate(pieces):
            segments = piece.split(b"\r") if b"\r" in piece else [piece]
            rest = segments.pop() if index == last else None
            for segment in segments:
                if segment:
                    yield self.number, self._bounded(segment)
            if rest is None:
                self.number += 1
            else:
                self._rest = rest[: CAP_LINE + 1]

    def close(self) -> Iterator[tuple[int, bytes]]:
        rest, self._rest = self._rest, b""
        if rest:
            yield self.number, self._bounded(rest)

    def _bounded(self, line: bytes) -> bytes:
        if len(line) > CAP_LINE:
            self.cut += 1
            line = line[:CAP_LINE]
        if b"\x1b" in line:
            line = _ESCAPE.sub(b"", line)
        return line.replace(b"\x00", b"") if b"\x00" in line else line


class MetricReader:
    """Reads metrics from a trial's output while it is printed.

    Args:
        metrics: The study's `metrics` section: `format`, `lines`, `step`, `define: {name: {after, regex, lines}}`.
        objective: Its `objective` section: `metric`, `direction`, `reduce`, and for `target_reached` also `target`,
            `on_target`.
    """

    def __init__(self, metrics: Mapping[str, Any], objective: Mapping[str, Any]) -> None:
        self.objective: str = objective["metric"]
        self._direction: str = objective["direction"]
        self._best_counts = objective.get("reduce") == "best"
        stops = self._best_counts and objective.get("on_target", "cancel") == "cancel"
        self._target: float | None = objective.get("target") if stops else None
        self._format: str = metrics.get("format") or "equals"
        self._step_name: str | None = metrics.get("step")
        self._lines_text: str | None = metrics.get("lines")
        self._filter = _Pattern(self._lines_text, "metrics.lines") if self._lines_text else None
        self._define: list[tuple[str, re.Pattern[bytes] | None, _Pattern | None, _Pattern | None]] = []
        for name, rule in (metrics.get("define") or {}).items():
            after = _after_pattern(rule["after"]) if rule.get("after") else None
            regex = _Pattern(rule["regex"], f"metrics.define.{name}.regex") if rule.get("regex") else None
            lines = _Pattern(rule["lines"], f"metrics.define.{name}.lines") if rule.get("lines") else None
            self._define.append((name, after, regex, lines))
        self._defined = {rule[0] for rule in self._define}
        self._wanted = {self.objective, *self._defined} | ({self._step_name} if self._step_name else set())
        self._watched = self._filter is not None or any(regex or lines for _, _, regex, lines in self._define)
        self._watchdog = _Watchdog()
        self._printed = _Lines()
        self._recorded = _Lines()
        self._series: dict[str, Series] = {}
        self._records: dict[str, Series] = {}
        self._step: float | None = None
        self._dropped: set[str] = set()
        self._n_dropped = 0
        self._cap = CAP_POINTS
        self._problems: list[dict[str, Any]] = []
        self._n_problems = 0
        self._last_problem: dict[str, Any] | None = None
        self._first_ambiguous: dict[str, Any] | None = None
        self._given_up: dict[str, Any] | None = None
        self._shapes: dict[str, int] = {}
        self._shape_of: dict[bytes, str] = {}
        self._last_shape = ""
        self._mention: tuple[int, str] | None = None
        self._unread: dict[str, None] = {}
        self._objective_bytes = self.objective.encode().lower()
        self._broken_json: dict[str, Any] | None = None
        self._blank = True

    # ---- reading ---------------------------------------------------------------------------------------------------
    def feed(self, data: bytes) -> list[tuple[str, float, float]]:
        """Read more of what the program printed; the new points as (name, step, value)."""
        return self._consume(self._printed.feed(data))

    def feed_records(self, data: bytes) -> list[tuple[str, float, float]]:
        """Read more of $HPO_METRICS_FILE. A metric that stands there is not taken from the printed text."""
        points: list[tuple[str, float, float]] = []
        for number, line in self._recorded.feed(data):
            points += self._record(number, line)
        return points

    def best(self) -> float | None:
        """The best finite value of the objective so far."""
        series = self._records.get(self.objective) or self._series.get(self.objective)
        if series is None or series.lowest is None or series.highest is None:
            return None
        return min(series.lowest[2], series.highest[2], key=lambda value: loss_of(value, self._direction))

    def target_reached(self) -> bool:
        """Whether the trial may end now: its best value so far is what counts, and good enough."""
        if self._target is None:
            return False
        best = self.best()
        return best is not None and reached(best, self._target, self._direction)

    def scan(self, number: int, line: bytes) -> tuple[bool, list[Found], str]:
        """What stands on one line: whether `lines:` lets it through, all that was found, and why it is not JSON."""
        read, found, broken = True, [], ""
        text: str | None = None
        label = _RANK_LABEL.match(line)
        if self._watched:
            text = line[:CAP_PATTERN].decode("utf-8", "replace")
            labelled = len(label.group()) if label else 0
            read = self._passes(number, self._filter, text, labelled)
        if read:
            if self._format == "equals":
                found = _scan_equals(line) if b"=" in line else []
            elif self._format == "katib":
                found = _scan_katib(line) if b"=" in line else []
            else:
                found, broken = _scan_json(line[label.end() :] if label else line)
            if self._defined and found:
                found = [item for item in found if item.name not in self._defined]
        for name, after, regex, lines in self._define:
            if lines is None:
                if not read:
                    continue
            elif not self._passes(number, lines, text or "", labelled):
                continue
            if after is not None:
                found += _after(line, after, name)
            elif regex is not None:
                for match in self._search(number, name, regex, text or "", labelled):
                    item = _from_regex(match, name)
                    if item is not None:
                        found.append(item)
        return read, found, broken

    def _passes(self, number: int, pattern: _Pattern | None, text: str, label: int) -> bool:
        return pattern is None or bool(self._search(number, "", pattern, text, label))

    def _search(self, number: int, name: str, pattern: _Pattern, text: str, label: int) -> list[re.Match[str]]:
        """Matches on the line, else on what follows srun's rank label (`0: `)."""
        if pattern.given_up:
            return []
        try:
            matches = self._watchdog.search(pattern, text)
            if not matches and label:
                matches = self._watchdog.search(pattern, text[label:])
            return matches
        except _TooSlow:
            pattern.given_up = True
            reason = f"{pattern.key} takes too long on lines like this one ({len(text)} characters) and was given up"
            problem = self._problem(number, Found(name or self.objective, None, printable(text, 80), "slow", reason))
            if name in ("", self.objective):
                self._given_up = problem
            return []

    def _consume(self, lines: Iterator[tuple[int, bytes]]) -> list[tuple[str, float, float]]:
        points: list[tuple[str, float, float]] = []
        if not self._watched:
            for number, line in lines:
                self._line(number, line, points)
            return points
        with self._watchdog:
            for number, line in lines:
                self._line(number, line, points)
        return points

    def _line(self, number: int, line: bytes, points: list[tuple[str, float, float]]) -> None:
        self._blank = False
        _, found, broken = self.scan(number, line)
        if self._step_name is not None:
            for item in found:
                if item.name == self._step_name and item.value is not None and is_finite(item.value):
                    self._step = item.value
        seen = False
        for item in found:
            name = item.name
            if name == self.objective:
                seen = seen or item.value is not None or item.kind == "ambiguous"
            if item.value is None:
                if name not in self._wanted:
                    if len(self._unread) < 50 and len(name) <= CAP_NAME:
                        self._unread[name] = None
                else:
                    problem = self._problem(number, item)
                    if name == self.objective:
                        self._last_problem = problem
                        if item.kind == "ambiguous" and self._first_ambiguous is None:
                            self._first_ambiguous = problem
                continue
            if name == self._step_name:
                continue
            series = self._series_of(self._series, name)
            if series is None:
                continue
            step = self._step if self._step is not None else series.count + 1.0
            series.append(step, item.value, self._cap)
            points.append((name, step, item.value))
            if name == self.objective:
                self._last_problem = None
        if seen:
            if self._lines_text is None:
                self._shape(line)
        elif self._mention is None and not self._shapes and self._objective_bytes in line.lower():
            self._mention = (number, _text(line))
        if broken and self._broken_json is None and self._objective_bytes in line.lower():
            self._broken_json = self._problem(number, Found(self.objective, None, _text(line, 80), "word", broken))

    def _record(self, number: int, line: bytes) -> list[tuple[str, float, float]]:
        found, broken = _scan_json(line)
        step_name = self._step_name or "step"
        points = []
        if broken:
            self._problem(number, Found("", None, _text(line, 80), "word", f"$HPO_METRICS_FILE: {broken}"))
        step = next((item.value for item in found if item.name == step_name and item.value is not None), None)
        for item in found:
            if item.name == step_name:
                continue
            if item.value is None:
                if item.name in self._wanted:
                    self._problem(number, item._replace(reason=f"$HPO_METRICS_FILE: {item.reason}"))
                continue
            series = self._series_of(self._records, item.name)
            if series is not None:
                at = step if step is not None and is_finite(step) else series.count + 1.0
                series.append(at, item.value, self._cap)
                points.append((item.name, at, item.value))
        return points

    def _series_of(self, table: dict[str, Series], name: str) -> Series | None:
        series = table.get(name)
        if series is None:
            if (len(table) >= CAP_NAMES or len(name) > CAP_NAME) and name not in self._wanted:
                self._n_dropped += 1
                return None
            series = table[name] = Series()
            self._cap = max(100, min(CAP_POINTS, CAP_TOTAL // (len(self._series) + len(self._records))))
        return series

    def _problem(self, number: int, item: Found) -> dict[str, Any]:
        problem = {
            "line": number,
            "metric": item.name,
            "text": item.text,
            "kind": item.kind,
            "reason": item.reason,
        }
        self._n_problems += 1
        self._problems.append(problem)
        if len(self._problems) > CAP_PROBLEMS:
            del self._problems[CAP_PROBLEMS // 2]  # the first and the last ones say most
        return problem

    def _shape(self, line: bytes) -> None:
        """Count the kind of line that the objective stands on."""
        key = line[:2000].translate(None, b"0123456789")  # cheap, and few: most lines differ in digits alone
        shape = self._shape_of.get(key)
        if shape is None:
            masked = _MASK_NUMBER.sub(b"#", line[:2000])
            masked = _MASK_SPACE.sub(b" ", _MASK_BAR.sub(b"~", masked)).strip()
            shape = _text(masked, 120)
            if len(self._shape_of) < 100:
                self._shape_of[key] = shape
        if shape in self._shapes or len(self._shapes) < CAP_SHAPES:
            self._shapes[shape] = self._shapes.get(shape, 0) + 1
        self._last_shape = shape

    # ---- the end ---------------------------------------------------------------------------------------------------
    def close(self) -> Extraction:
        """Read what has no line end yet; all that was found."""
        self._consume(self._printed.close())
        for number, line in self._recorded.close():
            self._record(number, line)
        merged = {**self._series, **self._records}
        result = Extraction()
        result.points = {name: series.points() for name, series in merged.items()}
        result.counts = {name: series.count for name, series in merged.items()}
        result.problems, result.n_problems = self._problems, self._n_problems
        result.lines = self._printed.count
        result.cut_lines = self._printed.cut + self._recorded.cut
        result.dropped_names = self._n_dropped
        result.shapes = [[shape, count] for shape, count in self._shapes.items()]
        if self.objective not in self._records:
            result.unreadable = self._given_up or (self._first_ambiguous if self._best_counts else self._last_problem)
            if self.objective not in merged and result.unreadable and result.unreadable["kind"] == "word":
                result.unreadable = None  # `loss='mse'` and never a number: the metric is missing
        if self.objective not in merged and not self.objective.startswith("trial."):
            result.hints = self._hints(list(merged))
        result.warnings = self._warnings()
        return result

    def _hints(self, names: list[str]) -> list[str]:
        """Why the objective was perhaps not found, likeliest first."""
        hints = []
        near = near_names(self.objective, [*names, *self._unread])
        if near:
            hints.append(f"saw {_listed(near)}; the objective is `{self.objective}`")
        if self._last_problem is not None:
            hints.append(describe_problem(self._last_problem))
        if self._broken_json is not None:
            hints.append(describe_problem(self._broken_json))
        elif self._mention is not None and self._last_problem is None:
            number, text = self._mention
            form = '{"%s": 0.5}' if self._format == "json" else "%s=0.5"
            other = self._other_form(text)
            hints.append(
                f"line {number} mentions it: `{text}`; "
                + (
                    f"metrics.lines ({self._lines_text!r}) lets only matching lines through, and "
                    if self._filter
                    else ""
                )
                + f"the form that is read is `{form % self.objective}`; {other}"
            )
        if not hints and names:
            hints.append(f"saw {_listed(names[:6])}; the objective is `{self.objective}`")
        if not hints:
            form = "no JSON object" if self._format == "json" else "no name=value"
            hints.append("the program printed nothing" if self._blank else f"{form} was found in its output")
        return hints

    def _other_form(self, text: str) -> str:
        """How to have the objective read from a line on which it stands in another form."""
        if self._format != "json" and text.startswith('{"') and text.endswith("}"):
            return "for JSON lines say metrics.format: json"
        name = re.escape(self.objective)
        match = re.search(rf"(?<![\w./-]){name}[\"']?\s*:(?=\s*[-+.\d])", text)
        if match:
            return f"to read this one: metrics.define: {{{self.objective}: {{after: {json.dumps(match.group())}}}}}"
        return "metrics.define reads other forms"

    def _distinct_start(self) -> str:
        """A pattern for the start of the kind of lines that came last and of no other; empty where there is none."""
        start = re.split(r"[#~=]", self._last_shape)[0]
        if start.endswith(self.objective):
            start = start[: -len(self.objective)]
        start = start.rstrip()
        if not start or any(shape.startswith(start) for shape in self._shapes if shape != self._last_shape):
            return ""
        return re.escape(start).replace("\\ ", " ")

    def _warnings(self) -> list[str]:
        warnings = []
        if len(self._shapes) > 1 and self.objective not in self._records:
            kinds = sorted(self._shapes.items(), key=lambda pair: -pair[1])[:3]
            listed = ", ".join(f"`{shape}` ({count}x)" for shape, count in kinds)
            more = f" and {len(self._shapes) - 3} more" if len(self._shapes) > 3 else ""
            prefix = self._distinct_start()
            cure = f", for example lines: '^{prefix}'" if prefix else ""
            warnings.append(
                f"`{self.objective}` stands on {len(self._shapes)} kinds of lines: {listed}{more}. "
                f"Say in metrics.lines which of them count{cure}."
            )
        if self.objective in self._series and self._last_problem is None and self._first_ambiguous is not None:
            warnings.append(describe_problem(self._first_ambiguous))
        if self._n_dropped:
            warnings.append(f"more than {CAP_NAMES} metrics were printed; {self._n_dropped} values were not kept")
        if self._printed.cut:
            warnings.append(f"{self._printed.cut} lines are longer than {CAP_LINE} bytes; only their start was read")
        return warnings


def _after_pattern(text: str) -> re.Pattern[bytes]:
    """Matches `text` where it is not the end of a longer name; then the number may stand behind `:` or `=`."""
    boundary = rb"(?<![\w./\x80-\xff-])" if re.match(r"\w", text) else b""
    return re.compile(boundary + re.escape(text.encode()) + rb"[ \t]*(?:[:=][ \t]*)?")


def _after(line: bytes, pattern: re.Pattern[bytes], name: str) -> list[Found]:
    found = []
    rejected = 0
    for match in pattern.finditer(line):
        item = _value_at(line, match.end(), name, match.start(), rejected >= CAP_REJECTED)
        rejected += item.value is None
        following = line[match.end() : match.end() + 1]
        # `auc` on lines like `auc_mean: 1` or `auc is high`: the text stands there, but no number is meant
        if item.value is not None or (
            item.kind == "ambiguous" and not (match.group()[-1:].isalnum() and following == b"_")
        ):
            found.append(item)
    return found


def _from_regex(match: re.Match[str], name: str) -> Found | None:
    groups = match.re.groupindex
    value = match.group("value") if "value" in groups else match.group(1) if match.re.groups else match.group()
    if value is None:
        return None
    raw = value.encode("utf-8", "replace")
    number = number_of(raw)
    return Found(name, number, "", "", "") if number is not None else _rejected(name, match.group()[:80].encode(), raw)


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


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{printable(name, 60)}`" for name in names)


def describe_problem(problem: Mapping[str, Any]) -> str:
    """A problem as a sentence."""
    return f"line {problem['line']}: `{problem['text']}`: {problem['reason']}"


def judge(
    end: Mapping[str, Any],
    extraction: Extraction,
    objective: Mapping[str, Any],
    seconds: float | None,
    max_rss_mb: float | None,
) -> dict[str, Any]:
    """State and value of a trial: `{"state", "reason", "value", "detail"}`.

    Args:
        end: How its program ended: `{"kind": "done" | "failed" | "cancelled", "reason", "detail"}`.
        extraction: What it printed.
        objective: `metric`, `direction`, `reduce` as in the study file.
        seconds, max_rss_mb: The values of the built-in metrics `trial.seconds` and `trial.max_rss_mb`.
    """

    def failed(reason: str, detail: str) -> dict[str, Any]:
        return {"state": "failed", "reason": reason, "value": None, "detail": detail}

    if end["kind"] != "done":
        return {"state": end["kind"], "reason": end.get("reason"), "value": None, "detail": end.get("detail") or ""}
    metric = objective["metric"]
    if metric in ("trial.seconds", "trial.max_rss_mb"):
        value = seconds if metric == "trial.seconds" else max_rss_mb
        if value is None:
            return failed("metric_missing", f"`{metric}` was not measured")
        return {"state": "complete", "reason": end.get("reason"), "value": value, "detail": end.get("detail") or ""}
    if extraction.unreadable is not None:
        return failed("metric_unreadable", f"`{metric}` cannot be read: {describe_problem(extraction.unreadable)}")
    points = extraction.points.get(metric)
    if not points:
        return failed("metric_missing", f"`{metric}` was never printed: {'; '.join(extraction.hints) or 'no output'}")
    if objective.get("reduce") == "best":
        finite = [value for _, value in points if is_finite(value)]
        if not finite:
            return failed("nonfinite", f"`{metric}` was never a finite number (last: {points[-1][1]})")
        value = min(finite, key=lambda each: loss_of(each, objective["direction"]))
    else:
        value = points[-1][1]
        if not is_finite(value):
            return failed("nonfinite", f"the last `{metric}` is {value}")
    return {"state": "complete", "reason": end.get("reason"), "value": value, "detail": end.get("detail") or ""}


# ---- explaining --------------------------------------------------------------------------------------------


if TYPE_CHECKING:

    class LineReport(NamedTuple):
        """What the reader saw on one line of a log.

        Args:
            number: The line as an editor counts it.
            text: Its text, safe to print.
            read: Whether `metrics.lines` lets it through.
            values: (name, value) that were read.
            rejected: (name, text, why it is not a number).
            near: Names on it that resemble the objective.
        """

        number: int
        text: str
        read: bool
        values: list[tuple[str, float]]
        rejected: list[tuple[str, str, str]]
        near: list[str]
else:
    from collections import namedtuple

    LineReport = namedtuple("LineReport", "number text read values rejected near")


def explain(chunks: Iterable[bytes], metrics: Mapping[str, Any], objective: Mapping[str, Any]) -> Iterator[LineReport]:
    """Line by line what is read from a log given in pieces of any size; lines on which there is nothing to say are left
    out. What the reader makes of the whole is told by MetricReader (`problems`, `hints`, `warnings`, `shapes`)."""
    reader = MetricReader(metrics, objective)
    wanted = reader.objective
    lines = _Lines()

    def report(number: int, line: bytes) -> LineReport | None:
        with reader._watchdog:
            read, found, broken = reader.scan(number, line)
        values = [(item.name, item.value) for item in found if item.value is not None]
        rejected = [(item.name, item.text, item.reason) for item in found if item.value is None]
        if broken:
            rejected.append(("", _text(line, 80), broken))
        near = near_names(wanted, [item.name for item in found]) if all(i.name != wanted for i in found) else []
        mentioned = wanted.lower().encode() in line.lower()
        if not (values or rejected or mentioned):
            return None
        return LineReport(number, _text(line), read, values, rejected, near)

    for chunk in chunks:
        for number, line in lines.feed(chunk):
            told = report(number, line)
            if told is not None:
                yield told
    for number, line in lines.close():
        told = report(number, line)
        if told is not None:
            yield told
