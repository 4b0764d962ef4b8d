"""One line -> all that stands on it, as the `metrics` section of a study says."""

from __future__ import annotations

import re

from hpo_workflow.metrics.line_formats import scan_equals, scan_json, scan_katib
from hpo_workflow.metrics.numbers import CAP_FOUND, Found, printable
from hpo_workflow.metrics.user_patterns import (
    TooSlow,
    UserPattern,
    Watchdog,
    after_pattern,
    captured_value,
    values_after,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CAP_PATTERN = 8 * 1024
"""Bytes of a line that a user's regular expression is tried on."""

_EQUALS_SIGN = ord("=")
_RANK_LABEL = re.compile(rb"\s*\d+: ")
"""What `srun --label` puts before each line."""


class LineScanner:
    """Finds the metrics of single lines.

    Args:
        metrics: The study's `metrics` section: `format`, `lines`, `define: {name: {after, regex, lines}}`.
        objective: The metric that a pattern is blamed for which belongs to no metric.

    Attributes:
        format, lines: As in the section.
        defined: The metrics that `define` reads.
        with_own_lines: Those of them that have `lines` of their own, and so are read from what `lines` keeps out.
        after: Text, pattern and metric of the rules that look for a text.
        crowded: Lines on which so much was found that no more was looked for.
        watched: Whether there are regular expressions of the user, so that `watchdog` must be entered.
    """

    def __init__(self, metrics: Mapping[str, Any], objective: str) -> None:
        self._objective = objective
        self.format: str = metrics.get("format") or "equals"
        self.lines: str | None = metrics.get("lines")
        self._filter = UserPattern(self.lines, "metrics.lines") if self.lines else None
        self._define: list[tuple[str, re.Pattern[bytes] | None, UserPattern | None, UserPattern | None]] = []
        for name, rule in (metrics.get("define") or {}).items():
            after = after_pattern(rule["after"]) if rule.get("after") else None
            regex = UserPattern(rule["regex"], f"metrics.define.{name}.regex") if rule.get("regex") else None
            lines = UserPattern(rule["lines"], f"metrics.define.{name}.lines") if rule.get("lines") else None
            self._define.append((name, after, regex, lines))
        self.defined = {rule[0] for rule in self._define}
        self.after = [(metrics["define"][rule[0]]["after"], rule[1], rule[0]) for rule in self._define if rule[1]]
        self.with_own_lines = {name for name, _, _, lines in self._define if lines is not None}
        self.watched = self._filter is not None or any(regex or lines for _, _, regex, lines in self._define)
        self.watchdog = Watchdog()
        self.crowded = 0
        self._labels = self.watched or self.format == "json"

    def scan(self, line: bytes) -> tuple[bool, list[Found], str, list[Found]]:
        """What stands on one line.

        Returns: Whether `lines:` lets it through; all that was found; why it is not JSON; the regular expressions that
        were given up on it, kind `slow`.
        """
        read, found, broken, crowded = True, [], "", False
        given_up: list[Found] = []
        text: str | None = None
        labelled = self.label(line) if self._labels and line[:1] <= b"9" else 0  # it starts with a digit, or space
        if self.watched:
            text = line[:CAP_PATTERN].decode("utf-8", "replace")
            read = self._filter is None or self._passes(self._filter, text, labelled, given_up)
        if read:
            if self.format == "equals":
                found = scan_equals(line) if _EQUALS_SIGN in line else []
            elif self.format == "katib":
                found = scan_katib(line) if _EQUALS_SIGN in line else []
            else:
                found, broken = scan_json(line[labelled:] if labelled else line)
            crowded = len(found) >= CAP_FOUND
            if self.defined and found:
                found = [item for item in found if item.name not in self.defined]
        for name, after, regex, lines in self._define:
            if lines is None:
                if not read:
                    continue
            elif not self._passes(lines, text or "", labelled, given_up):
                continue
            if after is not None:
                more = values_after(line, after, name)
            elif regex is not None:
                matches = self._search(name, regex, text or "", labelled, given_up)[:CAP_FOUND]
                more = [item for item in (captured_value(match, name) for match in matches) if item is not None]
            else:
                continue
            crowded = crowded or len(more) >= CAP_FOUND
            found += more
        self.crowded += crowded
        return read, found, broken, given_up

    @staticmethod
    def label(line: bytes) -> int:
        """Length of the label that `srun --label` put before the line."""
        label = _RANK_LABEL.match(line)
        return label.end() if label else 0

    def _passes(self, pattern: UserPattern, text: str, label: int, given_up: list[Found]) -> bool:
        if pattern.given_up:
            return False
        try:
            found = self.watchdog.finds(pattern, text)
            return found or (label > 0 and self.watchdog.finds(pattern, text[label:]))
        except TooSlow:
            self._give_up(self._objective, pattern, text, given_up)
            return False

    def _search(
        self, name: str, pattern: UserPattern, text: str, label: int, given_up: list[Found]
    ) -> list[re.Match[str]]:
        """Matches on the line, else on what follows srun's rank label (`0: `)."""
        if pattern.given_up:
            return []
        try:
            matches = self.watchdog.search(pattern, text)
            if not matches and label:
                matches = self.watchdog.search(pattern, text[label:])
            return matches
        except TooSlow:
            self._give_up(name, pattern, text, given_up)
            return []

    @staticmethod
    def _give_up(name: str, pattern: UserPattern, text: str, given_up: list[Found]) -> None:
        pattern.given_up = True
        reason = f"{pattern.key} takes too long on lines like this one ({len(text)} characters) and was given up"
        given_up.append(Found(name, None, printable(text, 80), "slow", reason))
