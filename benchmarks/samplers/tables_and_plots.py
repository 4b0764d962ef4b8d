"""The part of docs/benchmarks.md that is about samplers, and its pictures."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.parts import Aim, aims, table
from benchmarks.samplers import latency, process
from benchmarks.samplers.peers import SAMPLERS
from benchmarks.samplers.picture import draw
from benchmarks.samplers.problems import SUITES
from benchmarks.samplers.reference import Reference, load
from benchmarks.samplers.runs import MODES, Run, RunFiles, seeds_of
from benchmarks.samplers.scoring import Ratio, Regrets, best_known, compare, mean_course, regrets, score

FIRST_DRAWN = 10
"""Pictures begin after so many trials: before, all samplers still look around."""


@dataclass(frozen=True)
class Wanted:
    """A comparison that was fixed before it was measured; without an aim it is shown for information.

    Args:
        mode, after: Where.
        ours, peer: Who.
        aim: The ratio is to be at most this.
    """

    mode: str
    after: int
    ours: str
    peer: str
    aim: float | None = None


COMPARISONS = (
    Wanted("sequential", 50, "auto", "hebo", 0.75),
    Wanted("sequential", 100, "auto", "optuna_gp", 0.75),
    Wanted("eights", 48, "auto", "hebo", 0.75),
    Wanted("eights", 96, "auto", "hebo", 0.75),
    Wanted("asynchronous", 96, "auto", "optuna_tpe", 0.75),
    Wanted("asynchronous", 96, "auto", "hebo"),
    Wanted("asynchronous", 96, "auto", "ax"),
    Wanted("noisy", 50, "auto", "optuna_gp"),
    Wanted("noisy", 100, "auto", "optuna_gp"),
    Wanted("noisy", 100, "auto", "optuna_tpe"),
    *(Wanted(mode, after, "tpe", "optuna_tpe", 0.85) for mode in MODES for after in MODES[mode].reports),
)


class Findings:
    """All that a folder says, read once."""

    def __init__(self, folder: Path) -> None:
        self._files = RunFiles(folder)
        self.reference: dict[str, Reference] = load(folder)
        self.best = best_known(self.reference, self._files.lowest())
        self._runs: dict[tuple[str, str], list[Run]] = {}

    def runs(self, mode: str, sampler: str) -> list[Run]:
        if (mode, sampler) not in self._runs:
            self._runs[mode, sampler] = self._files.newest(mode, sampler)
        return self._runs[mode, sampler]

    def regrets(self, mode: str, sampler: str, after: int) -> Regrets:
        names = [problem.name for problem in SUITES[MODES[mode].suite]]
        return regrets(self.runs(mode, sampler), names, after, self.reference, self.best)

    def samplers(self, mode: str) -> list[str]:
        """Those with a seed that is complete up to the first report, in the order of SAMPLERS."""
        return [name for name in SAMPLERS if self.regrets(mode, name, MODES[mode].reports[0])]


def block(folder: Path) -> str:
    """Markdown of all tables, with the command that makes them."""
    findings = Findings(folder)
    lines: list[str] = []
    for mode in MODES:
        if findings.samplers(mode):
            lines += ["", f"### {title(mode)}", "", *score_table(findings, mode)]
            lines += ["", f"![Mean regret by trials, {MODES[mode].title}](pictures/{picture_name(mode)})"]
    if not lines:
        return "\n`python -m benchmarks samplers`: not measured yet.\n\n"
    compared = comparison_table(findings)
    if compared:
        lines += ["", "### Ours over theirs", "", *compared]
    lines += latency_tables(folder)
    return "\n`python -m benchmarks samplers`\n" + "\n".join(lines) + "\n\n"


def title(mode: str) -> str:
    one = MODES[mode]
    return f"{mode.capitalize()}: {one.title}"


def picture_name(mode: str) -> str:
    return f"samplers-{mode}.svg"


def pictures(folder: Path) -> dict[str, str]:
    """File name and text of each picture."""
    findings = Findings(folder)
    made = {}
    for mode, one in MODES.items():
        courses = {}
        for name in findings.samplers(mode):
            for after in reversed(one.reports):
                found = findings.regrets(mode, name, after)
                if found:
                    course = mean_course(
                        findings.runs(mode, name), found, one.budget, findings.reference, findings.best
                    )
                    courses[SAMPLERS[name].title] = course[:after]
                    break
        if courses:
            made[picture_name(mode)] = draw(title(mode), courses, FIRST_DRAWN)
    return made


def score_table(findings: Findings, mode: str) -> list[str]:
    """A line for each sampler, best at the first report on top."""
    reports = MODES[mode].reports
    lines = []
    for name in findings.samplers(mode):
        cells: list[str] = []
        worst = ""
        for after in reports:
            found = findings.regrets(mode, name, after)
            if not found:
                cells.append("–")
                continue
            one = score(found)
            cells.append(f"{one.mean:.3f}" + (f" ({one.low:.3f} to {one.high:.3f})" if one.seeds > 1 else ""))
            worst = f"{one.worst}: {one.worst_mean:.2f}"
        runs = findings.runs(mode, name)
        cpu_ms = statistics.median(1000.0 * run.cpu_s / run.trials for run in runs)
        order = score(findings.regrets(mode, name, reports[0])).mean
        version = runs[0].version if SAMPLERS[name].package and name != "random" else ""
        shown = f"{SAMPLERS[name].title} {version}".strip()
        lines.append((order, [shown, *cells, worst, str(seeds_of(runs)), f"{cpu_ms:.3g}"]))
    header = ("sampler", *(f"regret after {after}" for after in reports), "worst problem", "seeds", "CPU ms a trial")
    return table(header, [cells for _, cells in sorted(lines, key=lambda line: line[0])])


def comparison_table(findings: Findings) -> list[str]:
    """A line for each comparison of which both sides were measured."""
    lines = []
    for wanted in COMPARISONS:
        ratio = compare(
            findings.regrets(wanted.mode, wanted.ours, wanted.after),
            findings.regrets(wanted.mode, wanted.peer, wanted.after),
        )
        if ratio is not None:
            lines.append(_comparison(wanted, ratio))
    if not lines:
        return []
    header = ("comparison", "ratio", "over seeds", "over problems", "worst problem", "seeds", "aim", "")
    made = table(header, lines)
    return [made[0], "| --- | ---: | ---: | ---: | --- | ---: | ---: | --- |", *made[2:]]


def _comparison(wanted: Wanted, ratio: Ratio) -> list[str]:
    who = f"{SAMPLERS[wanted.ours].title} over {SAMPLERS[wanted.peer].title}, {wanted.mode}, {wanted.after}"
    verdict = "" if wanted.aim is None else ("met" if ratio.ratio <= wanted.aim else "**not met**")
    return [
        who,
        f"{ratio.ratio:.2f}",
        f"{ratio.seeds_low:.2f} to {ratio.seeds_high:.2f}" if ratio.seeds > 1 else "–",
        f"{ratio.problems_low:.2f} to {ratio.problems_high:.2f}",
        f"{ratio.worst}: {ratio.worst_ratio:.2f}",
        str(ratio.seeds),
        "" if wanted.aim is None else f"{wanted.aim:.2f}",
        verdict,
    ]


def latency_tables(folder: Path) -> list[str]:
    """CPU seconds of an ask by the number of results, and of a propose process; nothing where nothing was measured."""
    asks = latency.newest(folder)
    processes = process.newest(folder)
    lines: list[str] = []
    if asks:
        rows = [
            [SAMPLERS[name].title, *(_seconds(asks[name].get(size, ())) for size in latency.SIZES)]
            for name in SAMPLERS
            if name in asks
        ]
        header = ("CPU s of an ask, results known:", *(f"{size}" for size in latency.SIZES))
        lines += ["", "### How long an ask takes", "", *table(header, rows)]
    if processes:
        rows = [[f"`hpo propose` with {SAMPLERS[name].title}", _seconds(found)] for name, found in processes.items()]
        lines += ["", *table((f"a process, {process.FINISHED} finished trials", "CPU s"), rows)]
    if asks or processes:
        wanted = [
            Aim("an ask of gp: at most 0.03 CPU s with 10 results", asks.get("gp", {}).get(10, ()), 0.03),
            Aim("an ask of gp: at most 0.03 CPU s with 100 results", asks.get("gp", {}).get(100, ()), 0.03),
            Aim("an ask of gp: at most 0.2 CPU s with 1000 results", asks.get("gp", {}).get(1000, ()), 0.2),
            Aim("an ask of tpe: at most 0.003 CPU s with 100 results", asks.get("tpe", {}).get(100, ()), 0.003, 4),
            Aim("a process with tpe: under 0.4 CPU s with 100 results", processes.get("tpe", ()), 0.4),
            Aim("a process with gp: under 0.7 CPU s with 100 results", processes.get("gp", ()), 0.7),
        ]
        lines += ["", *aims(wanted)]
    return lines


def _seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g}" if values else "–"
