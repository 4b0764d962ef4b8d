"""Everything that is ever written into a study's ledger, state and logs or into a cache, one function for each way.

    python -S -E -P -c "..." NAME FOLDER        does it, and prints `done` when it was acknowledged

Standard library only, so that a process which is to be killed starts fast; all but the ways in HEAVY.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from typing import Any

BEGIN = "/the-write-path-begins-here"
"""A file that nobody has: looking for it is seen in a trace."""

PLAN: dict[str, Any] = {
    "identity": "i",
    "metrics_digest": "m",
    "spec": {
        "study": "s",
        "objective": {
            "metric": "loss",
            "direction": "minimize",
            "reduce": "last",
            "target": 5.0,
            "on_target": "cancel",
        },
        "metrics": {"format": "equals", "lines": None, "step": None, "define": {}},
        "pruner": {"name": "median"},
        "fidelity": None,
        "cache": None,
    },
}
RESULT: dict[str, Any] = {
    "schema": 1,
    "number": 1,
    "config": 1,
    "batch": 0,
    "digest": "abcdef012345",
    "identity": "i",
    "params": {"x": 0.5},
    "fidelity": None,
    "attempts": [],
    "end": {"kind": "done", "reason": None, "detail": ""},
    "exit_code": 0,
    "seconds": 1.5,
    "max_rss_mb": 10.0,
    "gpus": 0,
    "host": "here",
    "started": "2026-01-01T00:00:00Z",
    "ended": "2026-01-01T00:00:01Z",
    "log": "trials/000/1/log",
    "log_bytes": 9,
    "log_dropped": 0,
    "metrics": {"digest": "m", "points": {"loss": [[1, 0.5]]}},
}


def _paths(folder: str) -> Any:
    from hpo_workflow.store.paths import StudyPaths

    return StudyPaths(os.path.join(folder, "s"))


def record(folder: str) -> None:
    """What batches, plans, identities, histories and decisions are written with."""
    from hpo_workflow.store.atomic import publish

    publish(_paths(folder).batch_record(0), {"batch": 0, "trials": []})


def result(folder: str) -> None:
    from hpo_workflow.store.atomic import publish

    publish(_paths(folder).result_record(2), {**RESULT, "number": 2})


def derived(folder: str) -> None:
    """What pointers, copies and indexes are replaced with."""
    from hpo_workflow.store.atomic import replace, seal

    replace(_paths(folder).current_plan, seal({"plan": "new"}))


def claim(folder: str) -> None:
    from hpo_workflow.runner.claim import Claim, try_claim

    ours = try_claim(_paths(folder), 2, 0, folder, 1.0, (1,), lambda text: None)
    assert isinstance(ours, Claim)
    ours.started(os.getpid())
    ours.ended({"end": "lost", "reason": "killed"})


def session(folder: str) -> None:
    from hpo_workflow.store.session import Session

    Session.acquire(_paths(folder))


def metric(folder: str) -> None:
    """parse: the metric file, a line in the index and in that of curves, the stop file, and a copy for the cache."""
    from hpo_workflow import parse

    paths = _paths(folder)
    call = ["--root", paths.root, "--plan", os.path.join(folder, "plan.json"), "--number", "1", "--batch", "0"]
    assert parse.run([*call, "--out", paths.metric("m", 1, 0)]) == 0


def keep(folder: str) -> None:
    from hpo_workflow.store.cache import ResultCache

    ResultCache(os.path.join(folder, "cache")).keep(_paths(folder), {**RESULT, "digest": "ffffff012345"})


def place(folder: str) -> None:
    from hpo_workflow.store.cache import ResultCache

    trial = {"number": 3, "config": 3, "digest": RESULT["digest"], "params": {"x": 1}, "fidelity": None}
    assert ResultCache(os.path.join(folder, "cache")).place(_paths(folder), trial, {"batch": 1, "identity": "i"})


def mended(folder: str) -> None:
    """The index of curves, written anew."""
    from hpo_workflow.parse import mend_curves

    paths = _paths(folder)
    os.unlink(paths.curve_index("m"))
    assert mend_curves(paths, PLAN, {1: None})


def logged(folder: str) -> None:
    """The log of a trial that prints more than `limits.log`, in pieces."""
    from hpo_workflow.runner.process import LogFile

    log = LogFile(_paths(folder).log(2, 1), 60)
    for piece in PRINTED:
        log.write(piece)
    log.close()


PRINTED = [b"epoch=%d loss=0.%d\n" % (i, 90 - i) for i in range(12)]


def _settled(folder: str) -> Any:
    from hpo_workflow.store.compaction import Settled, find_bundles

    return find_bundles(_paths(folder), Settled({4, 5}, {5, 6}, {"000"}, {"000"}), texts_of={4, 5})


def compacted(folder: str) -> None:
    """Results, batches with their copies, metrics and logs of two trials, sealed."""
    from hpo_workflow.store.compaction import compact

    compact(_paths(folder), _settled(folder))


def unpacked(folder: str) -> None:
    """The same, taken back; `main` has sealed them."""
    from hpo_workflow.store.compaction import unpack

    unpack(_paths(folder))


def indexed(folder: str) -> None:
    """Lines more in the index of batches."""
    from hpo_workflow.store.study_folder import StudyFolder

    study = StudyFolder(os.path.join(folder, PROPOSING))
    study.index_batches(study.batches())


PROPOSING = "p"
"""A study that wants a batch; the test has made it."""


def proposed(folder: str) -> None:
    """A whole `hpo propose`: batch, copy, index, and the files of trials that `keep:` lets go."""
    from hpo_workflow.cli.propose import run

    root = os.path.join(folder, PROPOSING)
    assert run(_call(root)) == 0


def _call(root: str) -> list[str]:
    from hpo_workflow.store.study_folder import StudyFolder

    study = StudyFolder(root)
    with open(study.paths.current_plan, encoding="utf-8") as file:
        plan = study.paths.plan(json.load(file)["plan"])
    return ["--root", root, "--plan", plan, "--batch", BATCH, "--out", study.paths.batch(int(BATCH))]


BATCH = "3"

HEAVY = ("indexed", "proposed")
"""What needs numpy."""

WAYS: dict[str, Callable[[str], None]] = {
    way.__name__: way
    for way in (
        *(record, result, derived, claim, session, metric, keep, place, mended),
        *(logged, compacted, unpacked, indexed, proposed),
    )
}


def prepare(folder: str) -> None:
    """A study with one trial that has ended, and a cache that knows it."""
    from hpo_workflow.store.atomic import publish, replace, seal
    from hpo_workflow.store.cache import ResultCache

    paths = _paths(folder)
    os.makedirs(paths.trial_dir(1))
    with open(paths.log(1, 1), "w", encoding="utf-8") as log:
        log.write("loss=0.5\n")
    publish(paths.result_record(1), RESULT)
    for number in (4, 5):
        publish(paths.result_record(number), {**RESULT, "number": number, "log": f"trials/000/{number}/log"})
        of_a_batch = {"identity": "i", "limits": "l", "answer": "open", "new": [], "session": "", "elapsed_s": 0}
        publish(paths.batch_record(number + 1), {"batch": number + 1, **of_a_batch, "trials": []})
        replace(paths.batch(number + 1), seal({"batch": number + 1, **of_a_batch, "trials": []}))
        outcome = dict.fromkeys(("reason", "detail", "seconds", "max_rss_mb", "metrics"))
        metric_of_it = {"number": number, "batch": 0, "state": "complete", "value": 0.5, **outcome}
        replace(paths.metric("0a", number, 0), seal(metric_of_it))
        os.makedirs(paths.trial_dir(number))
        with open(paths.log(number, 1), "w", encoding="utf-8") as log:
            log.write(f"loss=0.{number}\n" * 9)
    os.makedirs(paths.trial_dir(2))
    replace(paths.current_plan, seal({"plan": "old"}))
    ResultCache(os.path.join(folder, "cache")).keep(paths, RESULT)
    plan = {**PLAN, "spec": {**PLAN["spec"], "cache": os.path.join(folder, "cache")}}
    with open(os.path.join(folder, "plan.json"), "w", encoding="utf-8") as file:
        json.dump(plan, file)
    for text in ("m.jsonl", "m.curves.jsonl"):
        line = {"number": 0, "batch": 0, "best": [0.75, 0]}
        entry = {"number": 0, "fidelity": None, "loss": 0.7, "best": 0.7, "last": 1.0, "steps": [1.0], "losses": [0.7]}
        replace(os.path.join(paths.state, "index", text), seal(line if text == "m.jsonl" else entry))


def main() -> None:
    name, folder = sys.argv[1:]
    WAYS[name]  # what is imported is imported before the trace counts
    import hpo_workflow.parse
    import hpo_workflow.runner.claim
    import hpo_workflow.store.cache
    from hpo_workflow.metrics.reader import MetricReader  # noqa: F401

    if name == "session":
        import hpo_workflow.store.session
    elif name == "logged":
        import hpo_workflow.runner.process
    elif name in ("compacted", "unpacked"):
        import hpo_workflow.store.compaction  # noqa: F401

        if name == "unpacked":
            compacted(folder)
    elif name in HEAVY:
        scratch = os.path.join(folder, "scratch")  # what is imported late is imported here
        shutil.copytree(os.path.join(folder, PROPOSING), os.path.join(scratch, PROPOSING))
        WAYS[name](scratch)
        shutil.rmtree(scratch)
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    os.access(BEGIN, os.F_OK)
    WAYS[name](folder)
    os.access(BEGIN, os.F_OK)
    sys.stdout.write("done\n")
    sys.stdout.flush()
    os._exit(0)
