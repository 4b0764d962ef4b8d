"""The verb `parse`: a trial's result and log -> its state, value and metrics under the present metric settings.

A rule of its own, so that a changed metric, regex or `reduce:` reads logs again and trains nothing again. Standard
library only: it runs once per trial, on the machine that everybody waits for.
"""

from __future__ import annotations

import os
import sys
import time

from hpo_workflow.call_options import REQUIRED, read_options
from hpo_workflow.metrics.extraction import Extraction, describe_problem, judge
from hpo_workflow.metrics.numbers import printable
from hpo_workflow.objective import loss_of, reached
from hpo_workflow.store import atomic
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.sealed import DamagedSeal, Sealed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

LARGEST_LOG = 1 << 23
"""Bytes; a larger log is not read again for the index of curves."""
TAIL_BYTES = (1 << 15, 1 << 22)
"""So much of an index is read for the progress line; the second where many metrics make its lines long."""


class _CallError(Exception):
    """The call or the study's folder is wrong; the message is for people."""


OPTIONS = {
    "root": (str, REQUIRED, "the study's folder"),
    "plan": (str, REQUIRED, "the compiled study"),
    "number": (int, REQUIRED, "the trial"),
    "batch": (int, REQUIRED, "the batch that emitted it"),
    "out": (str, REQUIRED, "the metric file"),
}


def run(argv: Sequence[str]) -> int:
    """Write the metric file of one trial; gives the exit code."""
    options = read_options("hpo parse", "Read the metrics of one trial that has ended.", OPTIONS, argv)
    try:
        line = _parse(options)
    except _CallError as error:
        sys.stderr.write(f"{printable(str(error), 2000)}\n")
        return 2
    sys.stderr.write(f"{line}\n")
    return 0


def _parse(options: Any) -> str:
    paths = StudyPaths(options.root)
    plan = _load(options.plan)
    if plan is None:
        raise _CallError(f"{options.plan}: there is no such plan")
    spec = plan["spec"]
    objective = spec["objective"]
    result, damage = _result(paths, options.number)
    if result is None:
        metric = _lost(paths, options.number, options.batch, damage, (spec.get("resources") or {}).get("gpu", 0))
    else:
        digest = plan["metrics_digest"]
        if result["metrics"].get("digest") == digest:
            extraction = Extraction.from_json(result["metrics"])
        else:
            extraction = read_output(paths, result, spec["metrics"], objective)
        metric = summarise(result, extraction, objective, options.batch)
        if spec.get("cache"):
            _share(spec["cache"], paths, result)
    atomic.replace(options.out, atomic.seal(metric))
    index = paths.metric_index(plan["metrics_digest"])
    best = _best_so_far(index, metric, objective["direction"])
    _append(index, atomic.seal({**metric, "best": best}))
    if spec.get("pruner") and result is not None and metric["state"] == "complete":
        from hpo_workflow.store.curve_index import curve_entry, line_after

        entry = curve_entry(options.number, result.get("fidelity"), metric["value"], extraction, objective)
        curves = paths.curve_index(plan["metrics_digest"])
        if entry is not None:
            _append(curves, line_after(entry, _last_lines(curves, TAIL_BYTES[0])))
    value = metric["value"] if metric["state"] == "complete" else None
    target = objective.get("target")
    good = target is not None and value is not None and reached(value, target, objective["direction"])
    if good and objective.get("on_target", "cancel") == "cancel":
        stop = {"reason": "target", "trial": options.number, "value": value, "at": _now()}
        atomic.replace(paths.stop, atomic.to_json(stop) + "\n")
    # Time and process make the content new at each call, whatever the trial is.
    atomic.replace(paths.changed, f"{options.number} {time.time_ns()} {os.getpid()}\n")
    params = {} if result is None else result["params"]
    line = progress_line(metric, params, objective, best, _rung(spec, result))
    return f"{spec['study']}: {line}"  # several studies may roll in one workflow


def _share(cache: str, paths: StudyPaths, result: Mapping[str, Any]) -> None:
    """Put a result into the folder that studies share. What fails here costs another study a trial, not this one."""
    from hpo_workflow.store.cache import ResultCache

    try:
        ResultCache(cache).keep(paths, result)
    except OSError as error:
        where = error.filename or cache
        sys.stderr.write(f"warning: cache {where}: {error.strerror}; trial {result['number']} is not shared\n")


def mend_curves(paths: StudyPaths, plan: Mapping[str, Any], complete: Mapping[int, float | None]) -> bool:
    """Bring the index of curves up to date before a study runs; whether it had to be written.

    It lacks trials that ended while the study had no pruner, and all where it was deleted.

    Args:
        plan: The plan in force.
        complete: The fidelity of each complete trial that counts.
    """
    from hpo_workflow.store.curve_index import curve_entry, mend

    digest, spec = plan["metrics_digest"], plan["spec"]
    sealed = Sealed(paths)

    def make(number: int) -> dict[str, Any] | None:
        """From the trial's record; None where that would take long or cannot be read: it is one competitor less."""
        try:
            result: Any = sealed.json(paths.result_record(number))
            if result["metrics"].get("digest") == digest:
                extraction = Extraction.from_json(result["metrics"])
            elif result["log_bytes"] <= LARGEST_LOG:
                extraction = read_output(paths, result, spec["metrics"], spec["objective"])
            else:
                return None
            value = judge(result["end"], extraction, spec["objective"], None, None)["value"]
            if value is None:
                return None
            return curve_entry(number, complete[number], value, extraction, spec["objective"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    return mend(paths.curve_index(digest), complete, make)


def _readable(path: str) -> dict[str, Any]:
    """A derived file that says more, if it can be read."""
    try:
        return _load(path) or {}
    except _CallError:
        return {}


def _proposed(paths: StudyPaths, batch: int) -> list[dict[str, Any]]:
    """The trials of a batch, if they can be read."""
    try:
        return list((Sealed(paths).json(paths.batch(batch)) or {}).get("trials", []))
    except (AttributeError, ValueError):
        return []


def _load(path: str) -> dict[str, Any] | None:
    try:
        data = atomic.read_json(path)
    except ValueError as error:
        raise _CallError(f"{path}: not JSON ({error})") from None
    if data is not None and not isinstance(data, dict):
        raise _CallError(f"{path}: not a record")
    return data


def _result(paths: StudyPaths, number: int) -> tuple[dict[str, Any] | None, str]:
    """The record of a trial that has ended. One that is damaged is set aside, or stays where it is sealed, and what is
    said of it comes second: the trial is started again."""
    path = paths.result_record(number)
    try:
        result = Sealed(paths).json(path)
        if result is None or (isinstance(result, dict) and isinstance(result.get("end"), dict)):
            return result, ""
        why = "not a record"
    except DamagedSeal as error:
        return None, f"its result record was damaged ({error.path}: {error})"
    except ValueError as error:
        why = str(error)
    aside = f"{path}.damaged.{int(time.time())}"
    os.replace(path, aside)
    return None, f"its result record was damaged ({why}) and is set aside as {aside}"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def read_output(
    paths: StudyPaths, result: Mapping[str, Any], metrics: Mapping[str, Any], objective: Mapping[str, Any]
) -> Extraction:
    """Read the log of a finished trial again, and its $HPO_METRICS_FILE."""
    from hpo_workflow.metrics.reader import READ_BYTES, MetricReader, feed_files

    reader = MetricReader(metrics, objective)
    for _ in feed_files(reader, paths.earlier_output(int(result["number"]), int(result.get("joined", 0)))):
        pass
    sources = [(paths.metrics_file(int(result["number"])), reader.feed_records)]
    if result["log"]:
        sources.append((os.path.join(paths.root, result["log"]), reader.feed))
    missing = ""
    sealed = Sealed(paths)
    for path, feed in sources:
        try:
            with sealed.open(path) as file:
                while True:
                    data = file.read(READ_BYTES)
                    if not data:
                        break
                    feed(data)
        except DamagedSeal as error:
            missing = f"{error.path} is damaged ({error})"
        except FileNotFoundError:
            if feed == reader.feed:
                missing = f"its log {path} has gone"
    extraction = reader.close()
    if missing and not extraction.points:
        extraction.hints = [missing]
    return extraction


def summarise(
    result: Mapping[str, Any], extraction: Extraction, objective: Mapping[str, Any], batch: int
) -> dict[str, Any]:
    """The metric file of a trial that has ended."""
    verdict = judge(result["end"], extraction, objective, result["seconds"], result["max_rss_mb"])
    warnings = list(extraction.warnings)
    if result["log_dropped"] and not result["metrics"].get("points"):
        warnings.append(f"{result['log_dropped']} bytes of the log were not kept (limits.log)")
    warnings += [describe_problem(problem) for problem in extraction.problems if problem["kind"] == "slow"]
    return {
        "number": result["number"],
        "batch": batch,
        "config": result["config"],
        "state": verdict["state"],
        "reason": verdict["reason"],
        "detail": verdict["detail"],
        "value": verdict["value"],
        "metrics": extraction.last(),
        "seconds": result["seconds"],
        "max_rss_mb": result["max_rss_mb"],
        "gpus": result["gpus"],
        "host": result["host"],
        "log": result["log"],
        "cached": bool(result.get("cached")),
        "warnings": warnings,
        **audited(result),
        **used_gpus(0 if result.get("cached") else result["gpus"], result.get("attempts") or [result]),
        **({} if result.get("cached") else lost_attempts(result["gpus"], result.get("attempts") or [])),
    }


def used_gpus(gpus: Any, attempts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """GPU-seconds of all attempts of a trial, for `budget.gpu_hours`; nothing where it has no GPU."""
    seconds = sum(float(attempt.get("seconds") or 0.0) for attempt in attempts)
    return {"gpu_s": round(gpus * seconds, 3)} if gpus else {}


def lost_attempts(gpus: Any, attempts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How many attempts of a trial were lost, and the GPU-seconds that they took; nothing where none was."""
    lost = [attempt for attempt in attempts if attempt.get("end") == "lost"]
    seconds = sum(float(attempt.get("seconds") or 0.0) for attempt in lost)
    return {"n_lost": len(lost), **({"lost_gpu_s": round(gpus * seconds, 3)} if gpus else {})} if lost else {}


def audited(result: Mapping[str, Any]) -> dict[str, str]:
    """Why the study's pruner would have ended a trial that ran on as an audit; a cached one was another study's."""
    found = result.get("pruning") or {}
    return {"audited": found["reason"]} if found.get("audited") and not result.get("cached") else {}


def _lost(paths: StudyPaths, number: int, batch: int, damage: str, gpus: Any) -> dict[str, Any]:
    """The metric file of a trial whose attempts are all lost, or whose result is."""
    done = _readable(paths.done(number, batch))
    attempts = done.get("attempts") or [{}]
    last = {**attempts[-1], "reason": "storage", "detail": damage} if damage else attempts[-1]
    proposed = _proposed(paths, batch)
    trial: dict[str, Any] = next((each for each in proposed if each["number"] == number), {})
    return {
        "number": number,
        "batch": batch,
        "config": trial.get("config"),
        "state": "lost",
        "attempts": len(attempts),
        "ends": [[each.get(key) for key in ("attempt", "end", "reason", "host")] for each in attempts],
        **({"again": done["again"]} if done.get("again") and not damage else {}),
        "reason": last.get("reason"),
        "detail": last.get("detail") or "its attempts were lost",
        "value": None,
        "metrics": {},
        "seconds": last.get("seconds"),
        "max_rss_mb": None,
        "gpus": 0,
        "host": last.get("host"),
        "log": None,
        "warnings": [],
        **used_gpus(gpus if isinstance(gpus, int) else 0, attempts),
        **lost_attempts(gpus if isinstance(gpus, int) else 0, attempts),
    }


def _append(path: str, line: str) -> None:
    """One line more in an index. It is a cache: what fails here is made up for when it is read."""
    try:
        atomic.append(path, line)
    except OSError as error:
        sys.stderr.write(f"{path}: {error.strerror}\n")


def _best_so_far(index: str, metric: Mapping[str, Any], direction: str) -> tuple[float, int] | None:
    """The best value and its trial, for the progress line.

    Each line of the index says what was best when it was written. The last few together know it also when several
    parses wrote at once, so the time that this takes does not grow with the study.
    """
    own = [(float(metric["value"]), int(metric["number"]))] if metric["state"] == "complete" else []
    for tail in TAIL_BYTES:
        candidates = own + [found for line in _last_lines(index, tail) for found in _best_in(line)]
        if len(candidates) > len(own):
            break
    return min(candidates, key=lambda each: (loss_of(each[0], direction), each[1]), default=None)


def _last_lines(path: str, n_bytes: int) -> list[bytes]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - n_bytes))
            return file.read().splitlines()
    except OSError:
        return []


def _best_in(line: bytes) -> list[tuple[float, int]]:
    """What a line of the index says of the best trial; nothing where it is torn or an older version wrote it."""
    try:
        value, number = atomic.unseal(line)["best"]
        return [(float(value), int(number))]
    except (ValueError, KeyError, TypeError):
        return []


def progress_line(
    metric: Mapping[str, Any],
    params: Mapping[str, Any],
    objective: Mapping[str, Any],
    best: tuple[float, int] | None,
    rung: str = "",
) -> str:
    """`trial 12 complete: accuracy=0.9712 (lr=0.003, units=128) · best 0.981 by trial 4`."""
    listed = ", ".join(f"{name}={_short(value)}" for name, value in list(params.items())[:12])
    shown = f" ({listed}{', ...' if len(params) > 12 else ''})" if listed else ""
    if metric["state"] == "complete":
        cached = ", from the cache" if metric.get("cached") else ""
        middle = f"complete: {objective['metric']}={_short(metric['value'])}{cached}{shown}"
    elif metric.get("again"):
        how = {"timeout": "it goes on from what it has saved", "oom": "it is started with more memory"}
        middle = f"{metric['reason']}: {metric['detail']}; {how[metric['again']]}"
    elif metric["state"] == "lost":
        middle = f"lost ({metric['reason']}): {metric['detail']}; it will be started again"
    else:
        reason = f" ({metric['reason']})" if metric["reason"] else ""
        middle = f"{metric['state']}{reason}: {metric['detail']}{shown}"
    end = f" · best {_short(best[0])} by trial {best[1]}" if best is not None else ""
    warning = f" · {metric['warnings'][0]}" if metric["warnings"] else ""
    return printable(f"trial {metric['number']}{rung} {middle}{end}{warning}", 2000)


def _rung(spec: Mapping[str, Any], result: Mapping[str, Any] | None) -> str:
    """How far a trial was trained, where the study has a fidelity."""
    if result is None or result.get("fidelity") is None or spec.get("fidelity") is None:
        return ""
    return f" ({spec['fidelity']['name']} {result['fidelity']:g})"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value) if len(str(value)) <= 40 else f"{str(value)[:39]}…"
