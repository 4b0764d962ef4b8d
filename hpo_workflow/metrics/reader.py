"""The output of a program, while it is printed -> the points of its metrics."""

from __future__ import annotations

from hpo_workflow.metrics.extraction import Extraction, Series, describe_problem
from hpo_workflow.metrics.hints import LineKinds, listed, near_names, other_form
from hpo_workflow.metrics.line_formats import scan_json
from hpo_workflow.metrics.line_scanner import LineScanner
from hpo_workflow.metrics.lines import CAP_LINE, Lines
from hpo_workflow.metrics.numbers import CAP_FOUND, Found, excerpt, is_finite
from hpo_workflow.metrics.repeated_lines import DIGITS, RepeatedLines
from hpo_workflow.objective import loss_of, reached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from hpo_workflow.metrics.repeated_lines import RepeatedLine

CAP_POINTS = 10_000
"""Points of one metric that are kept; beyond it every second, fourth, ... and the last, lowest and highest."""
CAP_TOTAL = 300_000
"""Points of all metrics together."""
CAP_NAMES = 500
CAP_NAME = 200
"""Characters of a name; what is longer is data, and dropped."""
CAP_PROBLEMS = 20
READ_BYTES = 1 << 16
"""What is made of one piece should fit into a processor's cache: larger ones are read a third slower."""


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
        self._step_name: str | None = metrics.get("step")
        self._scanner = LineScanner(metrics, self.objective)
        self._wanted = {self.objective, *self._scanner.defined} | ({self._step_name} if self._step_name else set())
        self._can_repeat = RepeatedLines.can_read(self._scanner)
        self._repeated = RepeatedLines(self._scanner, self._wanted, self._usable)
        self._sign = ord("{" if self._scanner.format == "json" else "=")
        self._texts = [text.encode() for text, _, _ in self._scanner.after]
        self._printed = Lines()
        self._recorded = Lines()
        self._series: dict[str, Series] = {}
        self._records: dict[str, Series] = {}
        self._step: float | None = None
        self._n_dropped = 0
        self._cap = CAP_POINTS
        self._problems: list[dict[str, Any]] = []
        self._n_problems = 0
        self._last_problem: dict[str, Any] | None = None
        self._first_ambiguous: dict[str, Any] | None = None
        self._given_up: dict[str, Any] | None = None
        self._kinds = LineKinds()
        self._mention: tuple[int, str] | None = None
        self._settled = False  # the objective was found or mentioned: a line on which no metric can stand says no more
        self._unread: dict[str, None] = {}
        self._objective_bytes = self.objective.encode().lower()
        self._broken_json: dict[str, Any] | None = None
        self._blank = True

    def feed(self, data: bytes) -> list[tuple[float, float]]:
        """Read more of what the program printed; the new points of the objective as (step, value)."""
        text, numbers = self._printed.block(data)
        if not text:
            return []
        clean = b"\x1b" not in text and b"\x00" not in text  # else a name may be there that shows only without them
        if not self._can_repeat:
            return self._consume(zip(numbers, text.split(b"\n")), clean)  # noqa: B905 - 3.8
        points: list[tuple[float, float]] = []
        if not self._settled and not (clean and self._objective_bytes not in text.lower()):
            lines = text.split(b"\n")
            n = 0
            while n < len(lines) and not self._settled:
                points += self._consume([(numbers[n], lines[n])], clean)
                n += 1
            text, numbers = b"\n".join(lines[n:]), numbers[n:]
        return points + self._read_repeated(text, numbers, self._texts if clean or not self._texts else [b""])

    def feed_records(self, data: bytes) -> list[tuple[float, float]]:
        """Read more of $HPO_METRICS_FILE. A metric that stands there is not taken from the printed text."""
        points: list[tuple[float, float]] = []
        for number, line in self._recorded.feed(data):
            points += self._record(number, line)
        return points

    def found(self) -> dict[str, list[tuple[float, float]]]:
        """The points of all metrics so far, as (step, value); reading goes on."""
        return {name: series.points() for name, series in {**self._series, **self._records}.items()}

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

    def _consume(self, lines: Iterable[tuple[int, bytes]], clean: bool = False) -> list[tuple[float, float]]:
        """Read lines one by one; `clean` says that there is nothing to be removed from them."""
        if not self._scanner.watched:
            return self._read_lines(lines, clean)
        with self._scanner.watchdog:
            return self._read_lines(lines, clean)

    def _read_lines(self, lines: Iterable[tuple[int, bytes]], clean: bool) -> list[tuple[float, float]]:
        points: list[tuple[float, float]] = []
        for number, line in lines:
            if line:
                self._line(number, line if clean and len(line) <= CAP_LINE else self._printed.bounded(line), points)
        return points

    def _read_repeated(self, text: bytes, numbers: Sequence[int], texts: list[bytes]) -> list[tuple[float, float]]:
        """`_consume` for many lines, most of which are like earlier ones.

        The objective was found or mentioned before, or these lines do not mention it; so a line without the sign of the
        format and without any of `texts` says nothing.
        """
        points: list[tuple[float, float]] = []
        kinds: list[RepeatedLine] = []
        rows: list[tuple[bytes, ...]] = []
        known = self._repeated.kinds
        sign = self._sign  # a number: Python looks for bytes in bytes eight times slower
        self._blank = self._blank and not text.strip(b"\n")
        for number, line in zip(numbers, text.split(b"\n")):  # noqa: B905 - 3.8
            if sign not in line and len(line) <= CAP_LINE and not (texts and _holds_any(line, texts)):
                continue
            key = line.translate(None, DIGITS)
            for kind in known.get(key, ()):
                match = kind.match(line)
                if match is not None:
                    kinds.append(kind)
                    rows.append(match.groups())
                    break
            else:
                if rows:
                    self._take(kinds, rows, points)
                    kinds, rows = [], []
                self._line(number, self._printed.bounded(line), points)
                self._repeated.learn(line, key)
        if rows:
            self._take(kinds, rows, points)
        return points

    def _take(
        self, kinds: list[RepeatedLine], rows: list[tuple[bytes, ...]], points: list[tuple[float, float]]
    ) -> None:
        """Take in the numbers of lines of known kinds, in their order; what `_line` does for one line."""
        row_steps: list[float | None] = []
        if self._step_name is not None:
            for kind, row in zip(kinds, rows):  # noqa: B905 - 3.8
                if self._step_name in kind.names:
                    value = float(row[kind.names.index(self._step_name)])
                    self._step = value if is_finite(value) else self._step
                row_steps.append(self._step)
        columns: Mapping[str, Sequence[bytes]]
        steps: dict[str, list[float | None]]
        names = {kind.names for kind in set(kinds)}
        if len(names) == 1:
            columns = dict(zip(names.pop(), zip(*rows)))  # noqa: B905 - 3.8
            steps = dict.fromkeys(columns, row_steps)
        else:
            texts: dict[str, list[bytes]] = {name: [] for group in names for name in group}
            columns = texts
            for kind, row in zip(kinds, rows):  # noqa: B905 - 3.8
                for name, text in zip(kind.names, row):  # noqa: B905 - 3.8
                    texts[name].append(text)
            steps = {name: [] for name in texts}
            for kind, step in zip(kinds, row_steps):  # noqa: B905 - 3.8
                for name in kind.names:
                    steps[name].append(step)
        for name, column in columns.items():
            if name == self._step_name:
                continue
            series = self._series[name]
            values = list(map(float, column))
            at: Sequence[float] = range(series.count + 1, series.count + 1 + len(values))
            if row_steps:
                at = [float(i) if step is None else step for i, step in zip(at, steps[name])]  # noqa: B905 - 3.8
            series.extend(at, values, self._cap)
            if name == self.objective:
                self._last_problem = None
                points += zip(map(float, at), values)  # noqa: B905 - 3.8
        self._kinds.count_again([kind.key for kind in kinds if self.objective in kind.names])

    def _usable(self, names: tuple[str, ...], key: bytes) -> bool:
        """Whether `_take` can do with lines of these metrics all that `_line` does."""
        kept = all(name in self._series or name == self._step_name for name in names)
        return kept and (self.objective not in names or self._kinds.knows(key))

    def _line(self, number: int, line: bytes, points: list[tuple[float, float]]) -> None:
        self._blank = False
        _, found, broken, given_up = self._scanner.scan(line)
        for item in given_up:
            problem = self._problem(number, item)
            if item.name == self.objective:
                self._given_up = problem
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
            series = self._series.get(name) or self._series_of(self._series, name)
            if series is None:
                continue
            step = self._step if self._step is not None else series.count + 1.0
            series.append(step, item.value, self._cap)
            if name == self.objective:
                points.append((step, item.value))
                self._last_problem = None
        if seen:
            self._settled = True
            if self._scanner.lines is None:
                self._kinds.count(line)
        elif not self._settled and self._objective_bytes in line.lower():
            self._settled = True
            self._mention = (number, excerpt(line))
        if broken and self._broken_json is None and self._objective_bytes in line.lower():
            self._broken_json = self._problem(number, Found(self.objective, None, excerpt(line, 80), "word", broken))

    def _record(self, number: int, line: bytes) -> list[tuple[float, float]]:
        found, broken = scan_json(line)
        step_name = self._step_name or "step"
        points = []
        if broken:
            self._problem(number, Found("", None, excerpt(line, 80), "word", f"$HPO_METRICS_FILE: {broken}"))
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
                if item.name == self.objective:
                    points.append((at, item.value))
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
        result.cut_lines = self._printed.cut + self._recorded.cut + self._scanner.crowded
        result.dropped_names = self._n_dropped
        result.shapes = self._kinds.shapes()
        if self.objective not in self._records:
            result.unreadable = self._given_up or (self._first_ambiguous if self._best_counts else self._last_problem)
            if self.objective not in merged and result.unreadable and result.unreadable["kind"] == "word":
                result.unreadable = None  # `loss='mse'` and never a number: the metric is missing
        if self.objective not in merged and not self.objective.startswith("trial."):
            result.hints = self._hints(list(merged))
        result.warnings = self._warnings()
        return result

    def _why_not_read(self, text: str) -> str:
        """What keeps the objective from being read from a line that mentions it."""
        lines = self._scanner.lines
        if self.objective in self._scanner.defined:
            rule = f"metrics.define.{self.objective}"
            held = bool(lines) and self.objective not in self._scanner.with_own_lines
            more = f"; metrics.lines ({lines!r}) holds for it too, as it has no `lines:` of its own" if held else ""
            return f"{rule} finds no number there{more}"
        form = '{"%s": 0.5}' if self._scanner.format == "json" else "%s=0.5"
        filtered = f"metrics.lines ({lines!r}) lets only matching lines through, and " if lines else ""
        other = other_form(self.objective, text, self._scanner.format)
        return f"{filtered}the form that is read is `{form % self.objective}`; {other}"

    def _hints(self, names: list[str]) -> list[str]:
        """Why the objective was perhaps not found, likeliest first."""
        hints = []
        near = near_names(self.objective, [*names, *self._unread])
        if near:
            hints.append(f"saw {listed(near)}; the objective is `{self.objective}`")
        if self._last_problem is not None:
            hints.append(describe_problem(self._last_problem))
        if self._broken_json is not None:
            hints.append(describe_problem(self._broken_json))
        elif self._mention is not None and self._last_problem is None:
            number, text = self._mention
            hints.append(f"line {number} mentions it: `{text}`; {self._why_not_read(text)}")
        if not hints and names:
            hints.append(f"saw {listed(names[:6])}; the objective is `{self.objective}`")
        if not hints:
            form = "no JSON object" if self._scanner.format == "json" else "no name=value"
            hints.append("the program printed nothing" if self._blank else f"{form} was found in its output")
        return hints

    def _warnings(self) -> list[str]:
        warnings = []
        kinds = self._kinds.warning(self.objective)
        if kinds and self.objective not in self._records:
            warnings.append(kinds)
        if self.objective in self._series and self._last_problem is None and self._first_ambiguous is not None:
            warnings.append(describe_problem(self._first_ambiguous))
        if self._n_dropped:
            warnings.append(f"more than {CAP_NAMES} metrics were printed; {self._n_dropped} values were not kept")
        if self._printed.cut:
            warnings.append(f"{self._printed.cut} lines are longer than {CAP_LINE} bytes; only their start was read")
        if self._scanner.crowded:
            warnings.append(f"{self._scanner.crowded} lines hold {CAP_FOUND} values or more; only their start was read")
        return warnings


def _holds_any(line: bytes, texts: Sequence[bytes]) -> bool:
    return any(text in line for text in texts)


def feed_files(
    reader: MetricReader, files: Iterable[tuple[str, str]]
) -> Iterator[tuple[list[tuple[float, float]], bool]]:
    """Read what earlier attempts of a trial have left, for a trial whose attempts go on from each other.

    Args:
        files: Log and metrics file of each attempt, in order; those that are not there are passed over.

    Yields:
        The objective's points of a piece, and whether they stood in a metrics file.
    """
    for log, records in files:
        for path, feed in ((records, reader.feed_records), (log, reader.feed)):
            try:
                with open(path, "rb", buffering=0) as file:
                    data = b"\n"
                    while data:
                        last, data = data, file.read(READ_BYTES)
                        yield feed(data), feed == reader.feed_records
            except FileNotFoundError:
                continue
            if not last.endswith(b"\n"):  # its last line ends where the attempt did
                yield feed(b"\n"), feed == reader.feed_records
