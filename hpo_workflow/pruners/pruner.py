"""The judgement on one running trial: what holds for every rule, and which trials run on as an audit."""

from __future__ import annotations

import hashlib

from hpo_workflow.objective import loss_of
from hpo_workflow.pruners.course import Course
from hpo_workflow.pruners.rules import RULES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from hpo_workflow.pruners.curves import Others


def is_audited(seed: int, number: int, share: float) -> bool:
    """Whether a trial belongs to the share that runs on although it would be stopped: the same whenever it is asked."""
    digest = hashlib.sha256(f"pruner.audit {seed} {number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


class Finding:
    """That a trial is hopeless.

    Attributes:
        rule: Name of the pruner.
        step: When it was found.
        sentence: Why: `step 5: the best loss so far, 1.2, is worse than the median 0.9 of 12 trials`.
        is_audited: Whether the trial runs on all the same.
    """

    def __init__(self, rule: str, step: float, sentence: str, is_audited: bool) -> None:
        self.rule = rule
        self.step = step
        self.sentence = sentence
        self.is_audited = is_audited

    def to_json(self) -> dict[str, Any]:
        """As a result record holds it."""
        return {"rule": self.rule, "step": self.step, "reason": self.sentence, "audited": self.is_audited}


class Pruner:
    """Decides whether one trial is hopeless.

    Whatever the rule: nothing is found up to the step `warmup`, before a trial of the study is complete, and of a trial
    whose best value is better than that of every complete one.

    Args:
        settings: The spec's `pruner`: `name` and all options.
        objective: Its `objective`: `metric` and `direction`.
        seed: The study's seed.
        number: The trial.
    """

    def __init__(self, settings: Mapping[str, Any], objective: Mapping[str, Any], seed: int, number: int) -> None:
        self._name: str = settings["name"]
        self._warmup: float = settings["warmup"]
        self._direction: str = objective["direction"]
        self._settings = settings
        self._metric: str = objective["metric"]
        self._is_audited = is_audited(seed, number, settings["audit"])
        self.forget()

    def forget(self) -> None:
        """Begin anew: what was reported so far was of another source."""
        self._rule: Any = RULES[self._name](self._settings, self._metric, self._direction)
        self.course = Course(self._settings.get("min_delta", 0.0))

    def report(self, step: float, value: float) -> None:
        """Take in a value of the objective."""
        self.course.add(step, loss_of(value, self._direction))

    def is_due(self) -> bool:
        """Whether something new is to be judged."""
        course = self.course
        if course.step is None or (self._warmup and course.step <= self._warmup):
            return False
        return bool(self._rule.is_due(course))

    def judge(self, others: Others) -> Finding | None:
        """Judge the newest report, once; None where the trial may go on."""
        course = self.course
        reason: str | None = self._rule.judge(course, others)
        if reason is None or others.best is None or course.best < others.best:
            return None
        step = course.step
        assert step is not None
        if abs(step) < 2**53 and step == int(step):
            step = int(step)
        return Finding(self._name, step, f"step {step}: {reason}", self._is_audited)
