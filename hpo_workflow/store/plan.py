"""A plan: the compiled study file that jobs read, and whether earlier trials still count under it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import hpo_workflow
from hpo_workflow.earlier_results import Source
from hpo_workflow.spec import StudySpec, digest_of
from hpo_workflow.store.atomic import publish, read_json, replace, seal, to_json
from hpo_workflow.store.study_folder import PLAN_SCHEMA, StudyFolder, equal_identities, numbers_set_aside


@dataclass(frozen=True)
class Plan:
    """A study, ready to be run.

    Args:
        spec: The study.
        identity: Digest of what its trials run.
        identity_content: The same, readable: what an edit is compared with.
        study_file: The file that it came from, for people.
        text: That file's text.
    """

    spec: StudySpec
    identity: str
    identity_content: Mapping[str, Any]
    study_file: str
    text: str = ""
    earlier: tuple[Source, ...] | None = None
    """Results of earlier searches that the study's folder does not have yet; no part of the plan's JSON."""

    def to_json(self) -> dict[str, Any]:
        """What jobs read."""
        plan = {
            "schema": PLAN_SCHEMA,
            "spec": self.spec.to_json(),
            "identity": self.identity,
            "metrics_digest": self.spec.metrics_digest,
            "limits_digest": self.spec.limits_digest,
            "study_file": self.study_file,
            "version": hpo_workflow.__version__,
        }
        values: dict[str, Any] = json.loads(to_json(plan))  # lists for tuples, as every reader will see it
        return values

    @property
    def digest(self) -> str:
        return digest_of(self.to_json())

    def store(self, folder: StudyFolder) -> None:
        """Write the plan into the study's folder and make it the current one."""
        if self.earlier is not None and self.spec.history_digest is not None:
            record = {
                "schema": 1,
                "history": list(self.spec.history),
                "metric": self.spec.objective.metric,
                "sources": [source.to_json() for source in self.earlier],
            }
            publish(folder.paths.history(self.spec.history_digest), record)
        _publish_anew(folder.paths.plan(self.digest), self.to_json())
        _publish_anew(folder.paths.identity(self.identity), dict(self.identity_content))
        if not _holds(folder.paths.current_plan, {"plan": self.digest}):
            replace(folder.paths.current_plan, seal({"plan": self.digest}))
            replace(folder.paths.study_file, self.text)


def _holds(path: str, value: Mapping[str, Any]) -> bool:
    try:
        return bool(read_json(path) == value)
    except ValueError:
        return False


def _publish_anew(path: str, value: Mapping[str, Any]) -> None:
    """Publish what is named by its digest; what stands there and cannot be read makes way, as its content is known."""
    if publish(path, value):
        return
    try:
        read_json(path)
    except ValueError:
        os.replace(path, f"{path}.damaged.{int(time.time())}")
        publish(path, value)


@dataclass(frozen=True)
class IdentityConflict:
    """An edit would make finished trials stop counting.

    Args:
        others: Identities of these trials.
        n_trials: How many they are.
        gpu_hours: What they cost; None where the study asks for no GPU.
        hours: Their duration added up.
    """

    others: tuple[str, ...]
    n_trials: int
    hours: float
    gpu_hours: float | None


def identity_conflict(folder: StudyFolder, plan: Plan) -> IdentityConflict | None:
    """Finished trials that stop counting under `plan` and about which the user has not decided yet."""
    decisions = folder.decisions()
    known = equal_identities(plan.identity, decisions)
    for decision in decisions:
        if decision["kind"] == "fresh" and decision["identity"] in known:
            known.update(decision["others"])
    aside = numbers_set_aside(decisions)
    numbers: dict[str, list[int]] = {}
    seconds = 0.0
    finished: set[int] = set()
    for record in folder.batches():
        if record["identity"] in known:
            continue
        for trial in record["trials"]:
            number = trial["number"]
            if number in aside or number in finished:
                continue
            result = folder.result(number)
            if result is not None and result["end"]["kind"] != "cancelled":
                finished.add(number)
                numbers.setdefault(record["identity"], []).append(number)
                seconds += 0.0 if result.get("cached") else float(result.get("seconds") or 0.0)
    if not finished:
        return None
    gpus = plan.spec.resources.get("gpu", 0)
    hours = seconds / 3600
    return IdentityConflict(
        others=tuple(sorted(numbers)),
        n_trials=len(finished),
        hours=hours,
        gpu_hours=hours * gpus if isinstance(gpus, (int, float)) and gpus else None,
    )
