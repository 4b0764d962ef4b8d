"""A study as a few lines for a terminal, from what a Follower knows; `hpo run`, `hpo status --watch` and the logger
plugin of Snakemake draw the same.

Lines give way to the height that there is, the least important first, and trials that run get what is left. Signs that
are more than ASCII are used where the terminal shows them; names and values are made harmless.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from hpo_workflow.cli.follow import Follower, Standing
from hpo_workflow.cli.terminal import duration, number, one_line, params_text, plural, since
from hpo_workflow.reading.latest_values import LatestValue
from hpo_workflow.trial import Params, TrialState

KEY = 8
"""Columns of the words at the left."""

BAR, NARROW = 30, 48
"""Columns of a bar; on narrower terminals there is none."""

COURSE = 24
"""Columns of the course of the best value, at most."""

MOST_RUNNING = 16
"""Running trials that are shown at most, each with the end of its log read."""

LONGEST_S = 10 * 365 * 86400.0
"""An end that is farther away is none."""

SIGNS = {True: ("█", "░", "▁▂▃▄▅▆▇█"), False: ("#", ".", "_.-=*#")}
"""Of bars, full and empty, and of courses from low to high; with UTF-8 and without."""


def picture(
    follower: Follower, standing: Standing, width: int, height: int, *, utf8: bool, now: float | None = None
) -> list[Text]:
    """The lines, `height` at most; none is longer than needed, and whoever draws them cuts those longer than `width`.

    Args:
        follower: The study.
        standing: What it does not know.
        width, height: Columns and lines that there are.
        utf8: Whether more than ASCII is shown.
        now: The clock on the wall, in seconds of the epoch.
    """
    drawing = _Drawing(follower, standing, width, utf8, time.time() if now is None else now)
    ranked = drawing.lines()
    kept = sorted(sorted(range(len(ranked)), key=lambda index: (ranked[index][0], index))[: max(1, height)])
    lines = [ranked[index][1] for index in kept]
    return lines + drawing.running(height - len(lines))


class _Drawing:
    def __init__(self, follower: Follower, standing: Standing, width: int, utf8: bool, now: float) -> None:
        self._follower = follower
        self._state = follower.state
        self._spec = follower.state.spec
        self._standing = standing
        self._width = width
        self._full, self._empty, self._heights = SIGNS[utf8]
        self._now = now

    def lines(self) -> list[tuple[int, Text]]:
        """All but the running trials, in their order, each with its rank: the lower, the longer it stays."""
        state, spec, standing = self._state, self._spec, self._standing
        found: list[tuple[int, Text]] = [
            (0, Text.assemble((one_line(spec.study), "bold"), ("  " + one_line(standing.who), "dim")))
        ]
        found += [(2, Text.assemble((one_line(note), "yellow"))) for note in standing.notes]
        done = state.done_text.partition(",")[0]  # how many trials that took stands below
        found.append((1, self._bar("budget", state.n_counted, self._follower.total, done)))
        if spec.budget.wall_s is not None and standing.elapsed_s is not None:
            words = f"{since(standing.elapsed_s)} of {duration(spec.budget.wall_s)}"
            found.append((6, self._bar("wall", standing.elapsed_s, spec.budget.wall_s, words)))
        found += self._gpus()
        found += self._best()
        running = len(self._follower.attempts)
        waiting = max(0, len(state.live) - running)
        words = f"{running} of {spec.budget.parallel} running" + (f", {waiting} waiting" if waiting else "")
        found.append((3, self._line("slots", words, f"; {one_line(standing.queue)}" if standing.queue else "")))
        found += self._ends()
        if self._follower.levels and spec.fidelity is not None:
            counts = sorted(self._follower.levels.items())
            words = "  ".join(f"{level:g}: {count}" for level, count in counts)
            found.append((7, self._line("rungs", words, f"  (trials by {one_line(spec.fidelity.name)})")))
        left = self._left_s()
        if left and left < LONGEST_S:
            end = time.localtime(self._now + left)
            until = time.strftime("%H:%M" if left < 12 * 3600 else "%a %H:%M", end)
            found.append((3, self._line("left", f"about {since(max(left, 1.0))}, until {until}")))
        return found

    @staticmethod
    def _line(key: str, words: str, more: str = "", style: str = "") -> Text:
        return Text.assemble((f"{key:<{KEY}}", "dim"), (words, style), (more, "dim"))

    def _bar(self, key: str, value: float, total: float | None, words: str) -> Text:
        if not total or self._width < NARROW:
            return self._line(key, words)
        full = max(0, min(BAR, int(BAR * value / total)))
        bar = ((self._full * full, "green"), (self._empty * (BAR - full), "dim"))
        return Text.assemble((f"{key:<{KEY}}", "dim"), *bar, f"  {words}")

    def _gpus(self) -> list[tuple[int, Text]]:
        spent, lost = self._follower.gpu_hours()
        bound = self._spec.budget.gpu_hours
        n_lost = self._state.n_lost
        if not spent and bound is None:
            return [(8, self._line("lost", plural(n_lost, "attempt")))] if n_lost else []
        words = f"{_hours(spent)} of {number(bound)} GPU-hours" if bound is not None else f"{_hours(spent)} GPU-hours"
        if n_lost:
            words += f", {_hours(lost)} of them in {plural(n_lost, 'lost attempt')}"
        return [(6, self._bar("GPUs", spent, bound, words))]

    def _best(self) -> list[tuple[int, Text]]:
        best = self._state.incumbent
        if best is None:
            return [(4, self._line("best", "", "no trial is complete yet"))]
        metric = one_line(self._spec.objective.metric)
        value = (number(best.value), "bold green")
        line = Text.assemble((f"{'best':<{KEY}}", "dim"), f"{metric} ", value, (f"  trial {best.number}  ", "dim"))
        room = min(COURSE, self._width - line.cell_len)
        line.append(course(self._follower.course, len(self._state.finished), room, self._heights), "cyan")
        return [(1, line), (5, Text.assemble(" " * KEY, (_cut(self._params(best.params), self._width), "dim")))]

    def _ends(self) -> list[tuple[int, Text]]:
        """How trials have ended."""
        state = self._state
        words = []
        for kind in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.CANCELLED):
            if state.n_in(kind):
                words.append(f"{state.n_in(kind)} {kind.value}")
        if self._follower.n_cached:
            words.append(f"{self._follower.n_cached} from the cache")
        again = state.tried_again
        if again:
            words.append("tried again: " + ", ".join(f"{reason} {count}" for reason, count in again.items()))
        found = [(5, self._line("ended", ", ".join(words)))] if words else []
        failures = self._follower.failures
        if failures:
            count = sum(failures.values())
            reasons = ", ".join(f"{one_line(reason)} {n}" for reason, n in failures.most_common())
            found.append((2, self._line("failed", str(count), f"  {reasons}", "red")))
        return found

    def _left_s(self) -> float | None:
        if self._standing.is_over:
            return None
        left = self._follower.left_s()
        wall = self._spec.budget.wall_s
        if wall is None or self._standing.elapsed_s is None:
            return left
        to_wall = max(0.0, wall - self._standing.elapsed_s)
        if left is None:
            return to_wall if self._follower.total is None else None
        return min(left, to_wall)

    # ---- trials that run -----------------------------------------------------------------------------------
    def running(self, height: int) -> list[Text]:
        """Running trials with what they have reported last, in `height` lines."""
        numbers = sorted(self._follower.attempts)
        if not numbers or height < 2:
            return []
        room = min(height - 1, MOST_RUNNING)
        shown = numbers if len(numbers) <= room else numbers[: room - 1] if room > 1 else numbers[:1]
        latest = self._follower.latest(shown)
        rows = [self._cells(each, latest.get(each)) for each in shown]
        has_steps = any(step for _, _, step, _, _ in rows)
        titles = ("running", one_line(self._spec.objective.metric), self._step_name() if has_steps else "", "for", "")
        widths = [max(cell_len(row[index]) for row in (titles, *rows)) for index in range(4)]
        lines = []
        for row in (titles, *rows):
            line = Text()
            for index, cell in enumerate(row):
                style = "" if index < 2 and row is not titles else "dim"
                if index == 4:
                    line.append(cell, style)
                elif widths[index]:
                    line.append(" " * (widths[index] - cell_len(cell)) + cell + "  ", style)
            lines.append(line)
        if len(numbers) > len(shown):
            lines.append(Text.assemble((f"{'':<{KEY}}and {len(numbers) - len(shown)} more", "dim")))
        return lines[:height]

    def _params(self, params: Params) -> str:
        """Parameters on one line, numbers short: `hpo best` and `hpo trials` give them whole."""
        values = self._spec.search_space.complete(params)
        return params_text(
            {name: number(value) if isinstance(value, float) else value for name, value in values.items()}
        )

    def _step_name(self) -> str:
        step = self._spec.metrics.step
        return "step" if step is None else one_line(step)

    def _cells(self, trial: int, latest: LatestValue | None) -> tuple[str, str, str, str, str]:
        """Number, latest value, its step, how long it has run, and what it is."""
        attempt = self._follower.attempts[trial]
        proposal = self._state.emissions[trial].proposal
        value = "-" if latest is None else number(latest.value)
        step = "" if latest is None or latest.step is None else f"{latest.step:g}"
        time_s = "" if attempt.begun is None else since(max(0.0, self._now - attempt.begun))
        words = [self._state.fidelity_text(proposal)]
        if attempt.number > 1:
            words.append(f"attempt {attempt.number}")
        words.append(self._params(proposal.params))
        return str(trial), value, step, time_s, _cut("  ".join(word for word in words if word), self._width)


def _cut(text: str, width: int) -> str:
    """Long texts are cut before anything is computed of them; the screen cuts the line itself."""
    return text if len(text) <= width else text[:width]


def _hours(hours: float) -> str:
    return f"{hours:.3g}" if hours < 100 else f"{hours:.0f}"


def course(improvements: Sequence[tuple[int, float]], n_finished: int, width: int, signs: str) -> str:
    """How the best value came about, from left to right by trials that have ended; empty where it never changed.

    A first value that is far off would make all others look alike, so heights end at four times the distance between
    the best and the median column.

    Args:
        improvements: After how many trials, and the value.
        n_finished: How many have ended.
        width: Columns.
        signs: From low to high.
    """
    finite = [(count, value) for count, value in improvements if math.isfinite(value)]
    if len(finite) < 2 or width < 4:
        return ""
    total = max(n_finished, finite[-1][0])
    columns = []
    known = 0
    for column in range(width):
        until = max(finite[0][0], math.ceil((column + 1) * total / width))
        while known + 1 < len(finite) and finite[known + 1][0] <= until:
            known += 1
        columns.append(finite[known][1])
    best = finite[-1][1]
    median = sorted(columns)[width // 2]
    far = best + 4 * (median - best)
    first = columns[0]
    if median != best and abs(first - best) > abs(far - best):
        first = far
    low, high = min(first, best), max(first, best)
    if not math.isfinite(high - low) or high <= low:
        return ""
    heights = ((min(max(value, low), high) - low) / (high - low) for value in columns)
    return "".join(signs[min(len(signs) - 1, int(height * len(signs)))] for height in heights)
