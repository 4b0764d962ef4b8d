"""Results that studies share: what was run before, by this study or another one, is not run again.

A folder of records, named by the digest of what a trial runs (command, environment, templates, inputs, parameters).
Only programs that ended by themselves with success are kept, with their log and metrics file, so that other metric
settings can read them. A record is published after its log, and once; a study copies what it takes, so the folder can
be deleted at any time. Standard library only, Python 3.8 or newer: parse imports it.
"""

from __future__ import annotations

import os
import shutil

from hpo_workflow.store.atomic import publish, read_json, replace, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from hpo_workflow.store.paths import StudyPaths

KEPT = ("end", "exit_code", "seconds", "max_rss_mb", "gpus", "host", "started", "ended", "log_bytes", "log_dropped")
"""What a record takes from a result; numbers and paths belong to one study."""


class ResultCache:
    """The results below `folder`."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def _path(self, digest: str, suffix: str) -> str:
        return os.path.join(self.folder, digest[:2], f"{digest}{suffix}")

    def find(self, digest: str) -> dict[str, Any] | None:
        """The record of what `digest` names, or None; a damaged one or one without its log counts as none."""
        try:
            record = read_json(self._path(digest, ".json"))
        except (OSError, ValueError):
            return None
        if not isinstance(record, dict) or not isinstance(record.get("metrics"), dict):
            return None
        return record if os.path.exists(self._path(digest, ".log")) else None

    def keep(self, paths: StudyPaths, result: Mapping[str, Any]) -> bool:
        """Share the result of a trial; True when this call did it. One that did not succeed is not shared."""
        digest = result["digest"]
        if result["end"]["kind"] != "done" or result["end"].get("reason") or result.get("cached") or not result["log"]:
            return False
        if os.path.exists(self._path(digest, ".json")):
            return False
        _copy(os.path.join(paths.root, result["log"]), self._path(digest, ".log"))
        metrics_file = paths.metrics_file(result["number"])
        if os.path.exists(metrics_file):
            _copy(metrics_file, self._path(digest, ".metrics.jsonl"))
        record = {key: result[key] for key in KEPT}
        source = {"folder": os.path.abspath(paths.root), "trial": result["number"]}
        return publish(
            self._path(digest, ".json"),
            {"schema": 1, "digest": digest, "source": source, **record, "metrics": result["metrics"]},
        )

    def place(self, paths: StudyPaths, trial: Mapping[str, Any], batch: Mapping[str, Any]) -> bool:
        """Give a trial of `batch` the result that is known already; True when there is one.

        Its outputs are made too, so that Snakemake has nothing to start for it.
        """
        number = trial["number"]
        if os.path.exists(paths.result_record(number)):
            return False
        record = self.find(trial["digest"])
        if record is None:
            return False
        log = paths.log(number, 1)
        _copy(self._path(trial["digest"], ".log"), log)
        metrics_file = self._path(trial["digest"], ".metrics.jsonl")
        has_metrics_file = os.path.exists(metrics_file)
        if has_metrics_file:
            _copy(metrics_file, paths.metrics_file(number))
        result = {
            "schema": 1,
            "number": number,
            "config": trial["config"],
            "batch": batch["batch"],
            "digest": trial["digest"],
            "identity": batch["identity"],
            "params": trial["params"],
            "fidelity": trial["fidelity"],
            "attempts": [],
            "cached": record["source"],
            **{key: record[key] for key in KEPT},
            "log": os.path.relpath(log, paths.root),
            "metrics": record["metrics"],
        }
        try:
            publish(paths.result_record(number), result)
        except OSError:
            if has_metrics_file:  # the trial is run then, and its program must not append to another's metrics
                os.unlink(paths.metrics_file(number))
            raise
        replace(paths.done(number, batch["batch"]), to_json({"number": number, "batch": batch["batch"]}) + "\n")
        return True


def _copy(source: str, target: str) -> None:
    """Copy a file in one step; readers see no half of it."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    temporary = f"{target}.{os.uname().nodename}.{os.getpid()}.tmp"
    try:
        shutil.copyfile(source, temporary)
        os.replace(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
