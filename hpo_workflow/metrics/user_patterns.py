"""The texts and regular expressions of `metrics.define` and `metrics.lines`, and the watchdog over the latter."""

from __future__ import annotations

import re
import signal
import warnings

from hpo_workflow.metrics.numbers import CAP_FOUND, CAP_REJECTED, Found, number_of, refused, value_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

PATTERN_SECONDS = 1.0
"""CPU time of one search of a user's regular expression before it is given up."""
PATTERN_TICKS = 60
"""Seconds that a user's regular expression may take in all while it reads less than 100 kB/s."""


class TooSlow(Exception):
    """A user's regular expression does not come to an end."""


def compiled(text: str) -> re.Pattern[str]:
    """A user's regular expression. What Python warns of (`[[`, which may mean a set of sets one day) is no fault of it.

    Raises:
        re.error, RecursionError, OverflowError: It is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(text)


class UserPattern:
    """A user's regular expression and what it has cost so far."""

    def __init__(self, text: str, key: str) -> None:
        self.text = text
        self.key = key
        self.given_up = False
        self.ticks = 0
        self.read = 0
        try:
            self.compiled = compiled(text)
        except (re.error, RecursionError, OverflowError) as error:
            from hpo_workflow.errors import MetricError

            raise MetricError(f"{key}: {text!r} is not a regular expression: {error}") from None


class Watchdog:
    """Stops a search that takes more than PATTERN_SECONDS of CPU time.

    `re` looks for signals while it matches, so a timer's handler can leave it by raising. Works in the main thread
    only; elsewhere searches are not watched. While the watchdog is entered the timer ticks; two ticks inside the same
    search are one second at least.
    """

    def __init__(self) -> None:
        self.pattern: UserPattern | None = None
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
            raise TooSlow

    def search(self, pattern: UserPattern, text: str) -> list[re.Match[str]]:
        """All matches; raises TooSlow."""
        self.serial += 1
        pattern.read += len(text)
        self.pattern = pattern
        try:
            return list(pattern.compiled.finditer(text))
        finally:
            self.pattern = None

    def finds(self, pattern: UserPattern, text: str) -> bool:
        """Whether there is a match; raises TooSlow."""
        self.serial += 1
        pattern.read += len(text)
        self.pattern = pattern
        try:
            return pattern.compiled.search(text) is not None
        finally:
            self.pattern = None


def after_pattern(text: str) -> re.Pattern[bytes]:
    """Matches `text` where it is not the end of a longer name; then the number may stand behind `:` or `=`."""
    boundary = rb"(?<![\w./\x80-\xff-])" if re.match(r"\w", text) else b""
    return re.compile(boundary + re.escape(text.encode()) + rb"[ \t]*(?:[:=][ \t]*)?")


def values_after(line: bytes, pattern: re.Pattern[bytes], name: str) -> list[Found]:
    """What stands behind each match of an `after_pattern`."""
    found = []
    rejected = 0
    for match in pattern.finditer(line):
        # `auc` on lines like `auc_mean: 1` or `auc is high`: the text stands there, but no number is meant
        if line.startswith(b"_", match.end()) and match.group()[-1:].isalnum():
            rejected += 1
            continue
        item = value_at(line, match.end(), name, match.start(), rejected >= CAP_REJECTED)
        rejected += item.value is None
        if item.value is not None or item.kind == "ambiguous":
            found.append(item)
            if len(found) == CAP_FOUND:
                break
    return found


def captured_value(match: re.Match[str], name: str) -> Found | None:
    """What the group `value`, else the first group, else the whole match holds; None where the group took no part."""
    groups = match.re.groupindex
    value = match.group("value") if "value" in groups else match.group(1) if match.re.groups else match.group()
    if value is None:
        return None
    raw = value.encode("utf-8", "replace")
    number = number_of(raw)
    return Found(name, number, "", "", "") if number is not None else refused(name, match.group()[:80].encode(), raw)
