"""The study so far, replayed from its records, and what follows from it: how it stands, whether it has ended.

Pure: batch records and outcomes go in (`add_batch`, `add_outcome`), answers come out. Records are the JSON values
that `store` reads; `docs/files.md` describes them. Notation: a trial is *emitted* by a batch; it is *live* until its
outcome is known; an outcome `lost` means that nothing came of its attempts, and the trial waits to be emitted again.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_workflow.multifidelity import Method, Step, get_method
from hpo_workflow.multifidelity.projection import final_losses, first_losses
from hpo_workflow.objective import is_better, loss_of, reached
from hpo_workflow.samplers.history import History, Observation
from hpo_workflow.spec import Fidelity, StudySpec, digest_of
from hpo_workflow.trial import Params, Proposal, Trial, TrialState

RETRIED = ("timeout", "oom")
"""Ways to fail that `retry:` knows."""

LOST_IN_A_ROW = 20
"""So many attempts that nothing came of, one after the other, and the study stops with a diagnosis."""

FIRST_FAILURES = 5
"""The default rule: a study whose first five trials all fail has a fault that is not the parameters'."""

WINDOW, WINDOW_FAILURES = 20, 10
"""The default rule, later: more than half of the last twenty."""


@dataclass(frozen=True)
class Emission:
    """A trial as a batch emitted it."""

    batch: int
    identity: str
    digest: str
    origin: str
    proposal: Proposal


@dataclass(frozen=True)
class Loss:
    """An attempt that was lost: of which trial, why, and on which host, empty where that is not known."""

    number: int
    reason: str
    host: str


@dataclass(frozen=True)
class Ending:
    """Why a study proposes no more.

    Args:
        reason: `target | failures | lost | budget | wall | gpu_hours | exhausted`.
        success: Whether the study did what it was asked to.
        sentence: The same for people.
    """

    reason: str
    success: bool
    sentence: str


def loss_of_pruned(own: float, median: float | None) -> float:
    """What a sampler is told of a pruned trial: its own loss, or the median of the complete ones where that is worse.

    It was stopped because it looked worse than others, and its value is that of a short training, which may well be
    lower than what others have in the end. Told as a failure, it would say less than is known.

    Args:
        own: The loss of what it had printed.
        median: The median loss of the complete trials of the same fidelity, None where there is none.
    """
    return own if median is None else max(own, median)


class StudyState:
    """All that is known of one study under one spec.

    Args:
        spec: The study as it is now.
        identity: Digest of what its trials run.
        accepted: Identities that count as equal to it (it is one of them).
        set_aside: Numbers of trials that the user does not want counted.

    Attributes:
        earlier: Results of earlier searches. Only samplers are told of them; whoever asks a sampler sets them.
    """

    def __init__(
        self, spec: StudySpec, identity: str, accepted: Collection[str] = (), set_aside: Collection[int] = ()
    ) -> None:
        self.earlier: tuple[Observation, ...] = ()
        self.spec = spec
        self.identity = identity
        self.accepted = {identity, *accepted}
        self.set_aside = frozenset(set_aside)
        self.limits = spec.limits_digest  # a batch under the same limits was proposed in the same space
        self.n_batches = 0
        self.next_number = 0
        self.last_batch: Mapping[str, Any] | None = None
        self.emissions: dict[int, Emission] = {}
        self.finished: dict[int, Trial] = {}  # terminal trials
        self.misfits: set[int] = set()  # emitted under an earlier space, outside the present one
        self.foreign: dict[str, set[int]] = {}  # emitted under identities that do not count
        self._started: Counter[str] = Counter()  # entries of `start:` that were emitted, by what they give
        self.asides: list[Proposal] = []  # set aside by the user; their configurations are run anew
        self.seen: set[int] = set()  # outcomes that an earlier batch has taken into account
        self._open: set[int] = set()  # emitted, not finished
        self._lost: set[int] = set()  # of these, the ones whose last emission nothing came of
        self._n_in: Counter[TrialState] = Counter()
        self._losses: list[Loss] = []  # one after the other, without a result in between
        self._known_attempts: Counter[int] = Counter()  # the last attempt of each trial without an outcome
        self._failed_attempts: dict[int, dict[str, int]] = {}  # of trials that are tried again, by reason
        self.replaced: dict[str, dict[str, Any]] = {}  # proposals that could not be used: by reason, count and example
        self._session = ""  # of the last batch
        self._elapsed_s: dict[str, float] = {}  # by session, as its last batch tells it
        self._n_roots = 0  # finished trials that count in the budget
        self._ladder = None if spec.fidelity is None else spec.fidelity.ladder
        self.method = None if spec.fidelity is None else _method_of(spec.fidelity)
        self._incumbent: Trial | None = None
        self._gpu_s: dict[int, float] = {}  # what all attempts of a trial have used, lost ones too
        self._lost_of: dict[int, tuple[int, float]] = {}  # by trial: lost attempts, and the GPU-seconds they took

    # ---- replay -----------------------------------------------------------------------------------------
    def add_batch(self, record: Mapping[str, Any]) -> None:
        """Take in the next batch record; they come in order."""
        assert record["batch"] == self.n_batches, (record["batch"], self.n_batches)
        self.n_batches += 1
        self.seen.update(record["new"])
        if record["session"] != self._session:
            self._session = record["session"]
            self.begin_run()
        self._elapsed_s[self._session] = float(record["elapsed_s"])
        if record["identity"] in self.accepted:
            self.last_batch = record
        for reason, said in record.get("replaced", {}).items():
            self.replaced.setdefault(reason, {**said, "count": 0})["count"] += said["count"]
        for trial in record["trials"]:
            self._emit(record, trial)

    def _emit(self, record: Mapping[str, Any], trial: Mapping[str, Any]) -> None:
        number = trial["number"]
        self.next_number = max(self.next_number, number + 1)
        proposal = Proposal(
            number,
            trial["config"],
            trial["params"],
            trial["fidelity"],
            trial["parent"],
            trial["replicate"],
            trial.get("bracket"),
        )
        if record["identity"] not in self.accepted:
            self.foreign.setdefault(record["identity"], set()).add(number)
        elif number in self.set_aside:
            self.asides.append(proposal)
            self._note_start(trial)
        elif record["limits"] != self.limits and not self._fits(proposal):
            self.misfits.add(number)
        else:
            self.emissions[number] = Emission(
                record["batch"], record["identity"], trial["digest"], trial["origin"], proposal
            )
            self._note_start(trial)
            self._lost.discard(number)
            if trial.get("retried"):
                self._failed_attempts[number] = {reason: trial["retried"][reason] for reason in RETRIED}
            if number not in self.finished:
                self._open.add(number)

    def _fits(self, proposal: Proposal) -> bool:
        """Whether a trial of an earlier space and ladder is one of the present ones."""
        if self._ladder is None or proposal.fidelity is None:
            on_ladder = self._ladder is None and proposal.fidelity is None
        else:
            on_ladder = self._ladder.level_of(proposal.fidelity) is not None
        return on_ladder and self.spec.search_space.fits(proposal.params)

    def _note_start(self, trial: Mapping[str, Any]) -> None:
        if trial.get("given") is not None:
            self._started[self.spec.search_space.key(trial["given"])] += 1

    def begin_run(self) -> None:
        """Let a new run try again: attempts that were lost in earlier ones do not end it."""
        self._losses = []

    def add_outcome(self, metric: Mapping[str, Any]) -> None:
        """Take in what parse found out about one emission; an outcome of a trial that does not count is ignored."""
        number = metric["number"]
        self._gpu_s[number] = max(self._gpu_s.get(number, 0.0), _gpu_s(metric))
        if metric.get("n_lost"):
            lost = (int(metric["n_lost"]), float(metric.get("lost_gpu_s") or 0.0))
            self._lost_of[number] = max(lost, self._lost_of.get(number, lost))  # a later outcome tells earlier ones too
        emission = self.emissions.get(number)
        if emission is None or number in self.finished:
            return
        if metric["state"] == "lost":
            if metric["batch"] == emission.batch:
                self._lost.add(number)
            self._note_lost(metric)
            return
        self._open.discard(number)
        self._lost.discard(number)
        self._losses = []
        trial = Trial(
            proposal=emission.proposal,
            batch=emission.batch,
            state=TrialState(metric["state"]),
            value=metric["value"],
            reason=metric["reason"],
            detail=metric["detail"] or "",
            seconds=metric["seconds"],
            max_rss_mb=metric["max_rss_mb"],
            metrics=metric["metrics"],
            warnings=tuple(metric.get("warnings", ())),
            cached=bool(metric.get("cached")),
            audited=metric.get("audited") or "",
            host=metric.get("host") or "",
        )
        self.finished[number] = trial
        self._n_in[trial.state] += 1
        self._n_roots += trial.counts
        if trial.state is TrialState.COMPLETE and trial.value is not None:
            best = self._incumbent
            direction = self.spec.objective.direction
            if (
                best is None
                or best.value is None
                or is_better(trial.value, best.value, direction)
                or (trial.value == best.value and number < best.number)
            ):
                self._incumbent = trial

    def _note_lost(self, metric: Mapping[str, Any]) -> None:
        """Take in attempts that came to no result: lost ones, and failed ones that are tried again."""
        number = metric["number"]
        lost = [None, "lost", metric.get("reason"), metric.get("host")]
        ends = metric.get("ends") or [lost] * int(metric.get("attempts", 1))
        failed = {reason: sum(end == "failed" and why == reason for _, end, why, _ in ends) for reason in RETRIED}
        if any(failed.values()):
            self._failed_attempts[number] = failed
        for attempt, end, reason, host in ends:
            if attempt is not None:
                if attempt <= self._known_attempts[number]:
                    continue  # of an earlier emission
                self._known_attempts[number] = attempt
            if end == "failed":  # it ran until its time or its memory was over
                self._losses = []
            else:
                self._losses.append(Loss(number, reason or "unknown", host or ""))

    def retried(self, number: int) -> dict[str, Any]:
        """Why a trial was started again by `retry:`, as its next batch says it: how often for each reason, and the
        memory that it gets; empty where it was not."""
        failed = self._failed_attempts.get(number)
        if not failed:
            return {}
        more: dict[str, Any] = {}
        if failed["oom"] and self.spec.retry is not None and self.spec.mem_mb is not None:
            more["mem_mb"] = self.spec.retry.mem_mb(self.spec.mem_mb, failed["oom"])
        return {**failed, **more}

    # ---- how it stands ----------------------------------------------------------------------------------
    @property
    def incumbent(self) -> Trial | None:
        """The best complete trial; of equals the one with the lowest number."""
        return self._incumbent

    @property
    def live(self) -> dict[int, Emission]:
        """Emitted, outcome not known, in the order of their numbers."""
        return {n: self.emissions[n] for n in sorted(self._open) if not self._waits(n)}

    def _waits(self, number: int) -> bool:
        return number in self._lost or self.emissions[number].identity != self.identity

    @property
    def to_emit_again(self) -> list[Emission]:
        """Trials that nothing came of, or that were emitted before an edit which the user declared harmless."""
        return [self.emissions[n] for n in sorted(self._open) if self._waits(n)]

    @property
    def to_retry(self) -> list[Proposal]:
        """Trials that were set aside to be run anew, and whose like has not been emitted since."""
        if not self.asides:
            return []
        known = {self._like(emission.proposal) for emission in self.emissions.values()}
        waiting = []
        for proposal in self.asides:
            gone = proposal.parent is not None and proposal.parent not in self.emissions  # its own parent is run anew
            if self._fits(proposal) and not gone and self._like(proposal) not in known:
                known.add(self._like(proposal))
                waiting.append(proposal)
        return waiting

    def _like(self, proposal: Proposal) -> tuple[str, float | None, int | None]:
        """What two trials have in common that run the same."""
        return self.spec.search_space.key(proposal.params), proposal.fidelity, proposal.parent

    @property
    def to_start(self) -> list[Params]:
        """Entries of `start:` of which no trial that counts was made, in their order."""
        started = Counter(self._started)
        waiting = []
        for point in self.spec.start:
            key = self.spec.search_space.key(point)
            if started[key]:
                started[key] -= 1
            else:
                waiting.append(point)
        return waiting

    def n_in(self, *states: TrialState) -> int:
        """How many trials ended in one of `states`."""
        return sum(self._n_in[state] for state in states)

    @property
    def n_counted(self) -> int:
        """Configurations that cost budget: complete, pruned, or failed by their own fault.

        A trial that goes on from another one costs none.
        """
        return self._n_roots

    @property
    def done_text(self) -> str:
        """How much is done, for people."""
        trials, plural = self.spec.budget.trials, "" if self.n_counted == 1 and self.spec.budget.trials is None else "s"
        total = "" if trials is None else f" of {trials}"
        if self.spec.fidelity is None:
            return f"{self.n_counted}{total} trial{plural} done"
        n_done = self.n_in(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)
        return f"{self.n_counted}{total} configuration{plural} tried, {n_done} trial{'s' * (n_done != 1)} done"

    def fidelity_text(self, proposal: Proposal) -> str:
        """How far a trial is trained, for people: `epochs 9`; empty where the study has no fidelity."""
        if self.spec.fidelity is None or proposal.fidelity is None:
            return ""
        return f"{self.spec.fidelity.name} {proposal.fidelity:g}"

    @property
    def n_cached(self) -> int:
        """How many results were known already."""
        return sum(trial.cached for trial in self.finished.values())

    def gpu_hours(self, held: Mapping[int, float] | None = None) -> float:
        """GPU-hours that all trials have used, lost attempts too, and those of earlier versions of the study.

        Args:
            held: GPU-seconds of trials that run, all their attempts so far.
        """
        held = held or {}
        return sum(max(self._gpu_s.get(n, 0.0), held.get(n, 0.0)) for n in self._gpu_s.keys() | held.keys()) / 3600

    @property
    def failures(self) -> dict[str, int]:
        """How many trials failed, by reason, the commonest first."""
        counts: dict[str, int] = {}
        for trial in self.finished.values():
            if trial.state is TrialState.FAILED:
                counts[trial.reason or "unknown"] = counts.get(trial.reason or "unknown", 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    @property
    def n_lost(self) -> int:
        """How many attempts were lost; metric files of earlier versions do not tell it."""
        return sum(count for count, _ in self._lost_of.values())

    @property
    def lost_gpu_hours(self) -> float:
        """The part of `gpu_hours` that lost attempts took."""
        return sum(seconds for _, seconds in self._lost_of.values()) / 3600

    def elapsed_s(self, session: str | None = None) -> float:
        """How long the study had run when its last batch was made.

        Args:
            session: The token of a session that is not counted: whoever knows when it began adds the time itself.
        """
        return max((seconds for token, seconds in self._elapsed_s.items() if token != session), default=0.0)

    @property
    def failed_attempts(self) -> Mapping[int, Mapping[str, int]]:
        """Trials that `retry:` has started again: how often for each reason, also of those that have ended since."""
        return self._failed_attempts

    @property
    def tried_again(self) -> dict[str, int]:
        """How often trials were started again by `retry:`, by reason."""
        counts: Counter[str] = Counter()
        for failed in self._failed_attempts.values():
            counts.update(failed)
        return {reason: counts[reason] for reason in RETRIED if counts[reason]}

    @property
    def lost_in_a_row(self) -> tuple[Loss, ...]:
        """Attempts that were lost one after the other, without a result since."""
        return tuple(self._losses)

    @property
    def warnings(self) -> dict[str, int]:
        """What is doubtful about how outputs were read, each sentence once, with the first trial that it is true of."""
        first: dict[str, int] = {}
        for number in sorted(self.finished):
            for warning in self.finished[number].warnings:
                first.setdefault(warning, number)
        return first

    @property
    def new(self) -> list[int]:
        """Numbers of outcomes that no batch has taken into account."""
        return sorted(set(self.finished) - self.seen)

    @property
    def pending(self) -> list[int]:
        """Numbers of trials without an outcome that counts, running or waiting to be emitted again."""
        return sorted(self._open)

    def losses(self) -> dict[int, float | None]:
        """The loss of each trial that a sampler is told of, None where it failed; cancelled ones are not told.

        A pruned one counts as `loss_of_pruned` says, and so may become worse or better as others end.
        """
        losses: dict[int, float | None] = {}
        complete: dict[float | None, list[float]] = {}
        for trial in self.finished.values():
            if trial.state is TrialState.COMPLETE and trial.value is not None:
                loss = loss_of(trial.value, self.spec.objective.direction)
                complete.setdefault(trial.proposal.fidelity, []).append(loss)
        medians = {fidelity: statistics.median(found) for fidelity, found in complete.items()}
        for number in sorted(self.finished):
            trial = self.finished[number]
            if trial.state is TrialState.COMPLETE and trial.value is not None:
                losses[number] = loss_of(trial.value, self.spec.objective.direction)
            elif trial.state is TrialState.PRUNED and trial.value is not None:
                own = loss_of(trial.value, self.spec.objective.direction)
                losses[number] = loss_of_pruned(own, medians.get(trial.proposal.fidelity))
            elif trial.state is not TrialState.CANCELLED:
                losses[number] = None
        return losses

    def told(self) -> str:
        """A digest of what a sampler is told: which trials, their losses, what is pending, and earlier results."""
        earlier = [[(dict(each.params), each.loss) for each in self.earlier]] if self.earlier else []
        return digest_of(list(self.losses().items()), self.pending, *earlier)

    def history(self, *, steady: bool = False) -> History:
        """What a sampler is told: earlier results, losses, failures as failures, everything else as pending.

        With `fidelity:` it is one loss for each configuration, as if all had been trained as far as the farthest. One
        that began with what another had learnt says nothing of what it is worth itself, and is left out.

        Args:
            steady: Whether what was told once must stay: then it is what a configuration's first trial came to, and a
                pruned one failed.
        """
        if self._ladder is not None:
            proposals = [*(emission.proposal for emission in self.emissions.values()), *self.asides]
            borrowed = {proposal.number for proposal in proposals if not proposal.is_root}
            steps = [step for step in self.steps() if step.config not in borrowed]
            return self._history_of(steps, first_losses(steps) if steady else final_losses(steps, self._ladder.top))
        losses = self.losses()
        if steady:
            losses |= {n: None for n in losses if self.finished[n].state is TrialState.PRUNED}
        observations = (Observation(dict(self.finished[n].params), loss) for n, loss in losses.items())
        pending = (dict(self.emissions[number].proposal.params) for number in self.pending)
        return History((*self.earlier, *observations), tuple(pending))

    def _history_of(self, steps: Sequence[Step], losses: Mapping[int, float | None]) -> History:
        """One observation for each configuration that has a loss; the others are pending."""
        params = {step.config: dict(step.params) for step in steps if step.state is not TrialState.CANCELLED}
        observations = (Observation(params[config], losses[config]) for config in sorted(losses) if config in params)
        pending = (params[config] for config in sorted(params) if config not in losses)
        return History((*self.earlier, *observations), tuple(pending))

    # ---- fidelity ---------------------------------------------------------------------------------------
    def steps(self) -> list[Step]:
        """All trials that count, as a multi-fidelity method sees them, ascending by number."""
        return [self.step_of(self.emissions[number].proposal) for number in sorted(self.emissions)]

    def step_of(self, proposal: Proposal) -> Step:
        """One trial, as a multi-fidelity method sees it."""
        assert self._ladder is not None
        assert proposal.fidelity is not None
        level = self._ladder.level_of(proposal.fidelity)
        assert level is not None  # others are misfits
        trial = self.finished.get(proposal.number)
        state, loss = TrialState.PROPOSED if trial is None else trial.state, None
        if trial is not None and trial.state is TrialState.COMPLETE and trial.value is not None:
            loss = loss_of(trial.value, self.spec.objective.direction)
            if not math.isfinite(loss):
                state, loss = TrialState.FAILED, None
        return Step(
            proposal.number, proposal.config, proposal.params, level, state, proposal.parent, proposal.bracket, loss
        )

    def n_new(self) -> int:
        """How many configurations may still be begun."""
        if self._is_exhausted():
            return 0
        if self.spec.budget.trials is None:
            return 10**9
        n_open = sum(self.emissions[number].proposal.is_root for number in self._open)
        return max(0, self.spec.budget.trials - self.n_counted - n_open)

    def _goes_on(self) -> bool:
        """Whether trials that have begun will be trained further, although no new ones are begun."""
        if self.method is None:
            return False
        return bool(self._open) or self.method.may_act(self.steps(), 0)

    # ---- whether it goes on -----------------------------------------------------------------------------
    def ending(self, elapsed_s: float = 0.0, held: Mapping[int, float] | None = None) -> Ending | None:
        """Why nothing more is proposed, or None while something may be.

        The order is fixed: target, failures, budget, wall, GPU-hours, exhausted. Trials in flight still end by
        themselves.

        Args:
            elapsed_s: How long the study has run.
            held: GPU-seconds of trials that run, as `gpu_hours` wants them.
        """
        return (
            self._ended_by_target()
            or self._ended_by_failures()
            or self._ended_by_losses()
            or self._ended_by_budget()
            or self._ended_by_wall(elapsed_s)
            or self._ended_by_gpu_hours(held)
            or self._ended_by_exhaustion()
        )

    def _ended_by_target(self) -> Ending | None:
        objective, best = self.spec.objective, self.incumbent
        if objective.target is None or best is None or best.value is None:
            return None
        if not reached(best.value, objective.target, objective.direction):
            return None
        return Ending("target", True, f"target {objective.target:g} reached by trial {best.number}")

    def _ended_by_failures(self) -> Ending | None:
        if self._n_in[TrialState.FAILED] == 0:
            return None
        # by number, not in the order of reading: the same set of outcomes always gets the same answer
        trials = [self.finished[number] for number in sorted(self.finished)]
        failed = [trial.state is TrialState.FAILED for trial in trials if trial.state is not TrialState.CANCELLED]
        limit = self.spec.budget.failures
        if limit is not None:
            if sum(failed) < limit:
                return None
            rule = f"{sum(failed)} trials failed, budget.failures is {limit}"
        elif len(failed) >= FIRST_FAILURES and all(failed[:FIRST_FAILURES]):
            rule = f"the first {FIRST_FAILURES} trials all failed"
        elif len(failed) >= WINDOW and sum(failed[-WINDOW:]) > WINDOW_FAILURES:
            rule = f"{sum(failed[-WINDOW:])} of the last {WINDOW} trials failed"
        else:
            return None
        reason, count = next(iter(self.failures.items()))
        return Ending("failures", False, f"{rule}; the commonest reason is {reason} ({count})")

    def _ended_by_losses(self) -> Ending | None:
        losses = self._losses
        if len(losses) < LOST_IN_A_ROW:
            return None
        (reason, count), *_ = Counter(loss.reason for loss in losses).most_common(1)
        said = f"{len(losses)} attempts in a row were lost and nothing came of them"
        return Ending("lost", False, f"{said}; the commonest reason is {reason} ({count})")

    def _ended_by_budget(self) -> Ending | None:
        trials = self.spec.budget.trials
        if trials is None or self.n_counted < trials or self._goes_on():
            return None
        more = f"{self.n_counted} trials done, and budget.trials is {trials}"
        return Ending("budget", True, more if self.n_counted > trials else self.done_text)

    def _ended_by_wall(self, elapsed_s: float) -> Ending | None:
        wall_s = self.spec.budget.wall_s
        if wall_s is None or elapsed_s < wall_s:
            return None
        return Ending("wall", True, f"the study has run for budget.wall ({wall_s:g} s)")

    def _ended_by_gpu_hours(self, held: Mapping[int, float] | None) -> Ending | None:
        bound = self.spec.budget.gpu_hours
        if bound is None:
            return None
        used = self.gpu_hours(held)
        if used < bound:
            return None
        return Ending("gpu_hours", True, f"{used:.4g} GPU-hours used, and budget.gpu_hours is {bound:g}")

    def _ended_by_exhaustion(self) -> Ending | None:
        if not self._is_exhausted() or self.to_emit_again or self.to_retry or self._goes_on():
            return None
        return Ending("exhausted", True, "every configuration of the space has been proposed")

    def _is_exhausted(self) -> bool:
        """Whether the sampler has said that nothing unproposed is left."""
        last = self.last_batch
        return last is not None and last["answer"] == "done" and bool(last["limits"] == self.limits)

    def slots(self) -> tuple[list[Emission], int]:
        """What the next batch may hold: trials to emit again, and how many new ones.

        With `fidelity:` new ones are also those that go on from others, so the budget does not bound them.
        """
        live = len(self.live)
        if self.spec.refill == "rounds" and live:
            return [], 0
        free = max(0, self.spec.budget.parallel + self.spec.budget.ahead - live)
        waiting = self.to_emit_again
        if self.spec.refill == "rounds" and waiting:
            return waiting[:free], 0  # the round is not over
        again = waiting[:free]
        fresh = free - len(again)
        if self.method is None and self.spec.budget.trials is not None:
            fresh = min(fresh, self.spec.budget.trials - self.n_counted - live - len(waiting))
        return again, max(0, fresh)

    def wants_batch(self, elapsed_s: float = 0.0, held: Mapping[int, float] | None = None) -> bool:
        """Whether it is time to call propose; the arguments are those of `ending`."""
        if self.ending(elapsed_s, held) is not None:
            return False
        again, fresh = self.slots()
        if again:
            return True
        if fresh == 0:
            return False
        if self.to_retry:
            return True
        if self.method is not None:
            return self.method.may_act(self.steps(), self.n_new())
        last = self.last_batch
        if last is None or last["limits"] != self.limits:
            return True
        if last["answer"] == "wait":
            assert self.new or self.live, f"batch {last['batch']} waits for trials, but none is running"
            return bool(self.new)
        return bool(last["answer"] == "open")


def _gpu_s(metric: Mapping[str, Any]) -> float:
    """GPU-seconds of all attempts of a trial so far; metric files of earlier versions tell of the last one only."""
    if "gpu_s" in metric or metric.get("cached"):
        return float(metric.get("gpu_s") or 0.0)
    return float(metric.get("gpus") or 0) * float(metric.get("seconds") or 0.0)


def _method_of(fidelity: Fidelity) -> Method:
    return get_method(fidelity.method, fidelity.ladder, fidelity.options)


def read_state(
    spec: StudySpec,
    identity: str,
    accepted: Collection[str],
    set_aside: Collection[int],
    batches: Collection[Mapping[str, Any]],
    outcome: Callable[[int, int], Mapping[str, Any] | None],
) -> StudyState:
    """The state after all `batches`, with `outcome(number, batch)` for what is known of each emission."""
    state = StudyState(spec, identity, accepted, set_aside)
    for record in batches:
        state.add_batch(record)
        for trial in record["trials"]:
            metric = outcome(trial["number"], record["batch"])
            if metric is not None:
                state.add_outcome(metric)
    return state
