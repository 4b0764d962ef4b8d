"""Commands with the bill of their whole process tree, and of the jobs that Snakemake starts in them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

END_S = 20.0
"""Time that an interrupted command has to end what it has started."""
TREE_USAGE = Path(__file__).with_name("tree_usage.py")

JOB_TIMES = r"""
leave_times() {
  { printf "%s\n" "${BASH_EXECUTION_STRING//[[:cntrl:]]/ }"; times; } >"$HPO_BENCHMARK_TIMES/$$-$EPOCHREALTIME"
}
trap leave_times EXIT
"""
"""What each bash reads first (BASH_ENV) while jobs are timed: at its end it writes its command and the CPU time of
itself and of all that it waited for. It costs a job some two milliseconds, so totals come from other runs."""


class MeasurementError(Exception):
    """A command of a measurement failed; the message shows the end of what it printed."""


@dataclass(frozen=True)
class Usage:
    """What a command and all processes that came of it used.

    Args:
        code: Its exit code.
        begun: When it was started, in seconds of the epoch.
        wall_s: From its start to its end.
        cpu_s: User and system time of the whole tree, orphans as well.
        peak_mb: Resident memory of the largest process at its peak; of a study's run that is Snakemake.
        orphans: Processes that outlived their parents.
        others_cpu_s: What everything else on this machine used meanwhile: a measure of the disturbance.
        said: Standard output and error.
    """

    code: int
    begun: float
    wall_s: float
    cpu_s: float
    peak_mb: float
    orphans: int
    others_cpu_s: float
    said: str


def account(
    command: Sequence[str | Path], cwd: Path, env: Mapping[str, str] | None = None, *, codes: Sequence[int] = (0,)
) -> Usage:
    """Run a command to its end.

    Raises:
        MeasurementError: Its exit code is none of `codes`.
    """
    words = [str(word) for word in command]
    with tempfile.TemporaryDirectory(prefix="hpo-usage-") as folder:
        out = Path(folder) / "usage.json"
        with (Path(folder) / "said").open("w+b") as said:
            launcher = [sys.executable, "-I", "-S", str(TREE_USAGE), str(out), *words]
            nothing = subprocess.DEVNULL
            process = subprocess.Popen(
                launcher, cwd=cwd, env=env, stdin=nothing, stdout=said, stderr=said, start_new_session=True
            )
            try:
                process.wait()
            except BaseException:
                end_group(process)
                raise
            said.seek(0)
            text = said.read().decode("utf-8", "replace")
        if not out.exists():
            raise MeasurementError(f"{words} could not be run:\n{tail(text)}")
        usage = Usage(**json.loads(out.read_text(encoding="utf-8")), said=text)
    if usage.code not in codes:
        raise MeasurementError(f"{words} in {cwd} ended with {usage.code}:\n{tail(text)}")
    return usage


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command that is measured, so that an interrupted call leaves nothing behind: first asked, then by force."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            continue
        return


def tail(text: str, lines: int = 25) -> str:
    """The last lines of what a command printed."""
    return "\n".join(text.splitlines()[-lines:])


@dataclass(frozen=True)
class JobTime:
    """One bash of a run.

    Args:
        command: What it was asked to run.
        cpu_s: User and system time of it and of all that it waited for.
    """

    command: str
    cpu_s: float


def timed_environment(folder: Path) -> dict[str, str]:
    """Variables under which every bash leaves its times in `folder`, which must be empty."""
    times = folder / "times"
    times.mkdir(parents=True)
    script = folder / "job_times.sh"
    script.write_text(JOB_TIMES, encoding="utf-8")
    return {"BASH_ENV": str(script), "HPO_BENCHMARK_TIMES": str(times), "LC_ALL": "C"}


def seconds(word: str) -> float:
    """`0m1.250s`, as bash writes times."""
    minutes, _, rest = word.partition("m")
    return int(minutes) * 60 + float(rest.removesuffix("s"))


def job_times(folder: Path) -> list[JobTime]:
    """What the bashes of a run have left behind."""
    jobs = []
    with os.scandir(folder / "times") as entries:
        for entry in entries:
            command, own, of_children = Path(entry.path).read_text(encoding="utf-8").splitlines()
            jobs.append(JobTime(command, sum(seconds(word) for word in f"{own} {of_children}".split())))
    return jobs
