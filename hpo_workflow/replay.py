"""Whether a study's proposals follow from its ledger: each batch computed again from what its sampler was told.

A batch record names the plan and the decisions that were in force, the trials that were pending, and what the sampler
was asked for; results and logs give the objective as that plan reads it. Nothing derived is read (`state/`), nothing is
written.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from hpo_workflow.errors import StudyFolderError
from hpo_workflow.metrics import Extraction
from hpo_workflow.objective import value_of
from hpo_workflow.parse import read_output, summarise
from hpo_workflow.propose import Action, batch_rng, fill
from hpo_workflow.samplers.history import Observation
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.study_folder import StudyFolder, equal_identities, numbers_set_aside, read_record
from hpo_workflow.study_state import StudyState
from hpo_workflow.versions import NAMES, versions

NEEDED = ("plan", "decisions", "losses", "pending", "told", "asked")
"""Keys of a batch record without which it cannot be replayed."""


@dataclass(frozen=True)
class Difference:
    """A value of a batch that is not what follows from the ledger.

    Args:
        trial: The trial, or None where it is the batch's own.
        what: The parameter; `number` or `answer` for what is none.
        recorded: As the batch has it; None where it has no such value.
        recomputed: As it follows from the ledger; None likewise.
    """

    trial: int | None
    what: str
    recorded: Any
    recomputed: Any


@dataclass(frozen=True)
class Replayed:
    """What came of one batch.

    Args:
        batch: Its number.
        verdict: `agrees`, `differs`, or `unknown` where it cannot be replayed.
        trials: Numbers of its trials.
        cause: Why it differs, as far as can be told, or why it cannot be replayed; also set where it agrees although
            the results are not those that its sampler was told.
        differences: What differs.
    """

    batch: int
    verdict: str
    trials: tuple[int, ...]
    cause: str = ""
    differences: tuple[Difference, ...] = ()


class _Unknown(Exception):
    """This batch cannot be replayed; the message says why."""


class Replay:
    """The batches of a study, one after the other, each computed again."""

    def __init__(self, folder: StudyFolder) -> None:
        self._folder = folder
        self._decisions = folder.decisions()
        self._records: list[dict[str, Any]] = []
        self._plans: dict[str, tuple[dict[str, Any], StudySpec]] = {}
        self._outcomes: dict[tuple[str, int], dict[str, Any]] = {}
        self._state: StudyState | None = None
        self._made_under: tuple[str, int] | None = None

    def __iter__(self) -> Iterator[Replayed]:
        while (record := self._folder.batch(len(self._records))) is not None:
            batch, trials = len(self._records), tuple(trial.get("number") for trial in record.get("trials", ()))
            try:
                yield self._replay({**record, "batch": batch}, trials)
            except _Unknown as unknown:
                yield Replayed(batch, "unknown", trials, str(unknown))
            except (KeyError, TypeError) as error:  # records are written whole: somebody has been at one
                yield Replayed(batch, "unknown", trials, f"a record was edited and is not whole ({error!r})")
            self._records.append({**record, "batch": batch})

    def _replay(self, record: Mapping[str, Any], trials: tuple[int, ...]) -> Replayed:
        missing = [key for key in NEEDED if key not in record]
        if missing:
            raise _Unknown(f"it does not say {', '.join(missing)}: an earlier version wrote it")
        plan, spec = self._plan(record["plan"])
        if any(trial["origin"] == "external" for trial in record["trials"]):
            raise _Unknown("an external command chose its trials; its answer is recorded and not asked for again")
        state = self._state_before(record, plan, spec)
        emitted_again = [trial["number"] for trial in record["trials"] if trial["origin"] == "again"]
        again = [state.emissions[number] for number in emitted_again if number in state.emissions]
        answer = fill(spec, state, again, int(record["asked"]), batch_rng(spec.seed, state.next_number))
        differences = [
            difference
            for trial, action in zip_longest(record["trials"], answer.actions)
            for difference in _compare(trial, action)
        ]
        if record["answer"] != answer.kind:
            differences.append(Difference(None, "answer", record["answer"], answer.kind))
        otherwise = _told_otherwise(record, state)
        if not differences:
            return Replayed(record["batch"], "agrees", trials, otherwise)
        return Replayed(record["batch"], "differs", trials, otherwise or _made_elsewhere(record), tuple(differences))

    def _plan(self, digest: str) -> tuple[dict[str, Any], StudySpec]:
        if digest not in self._plans:
            path = self._folder.paths.plan(digest)
            plan = read_record(path)
            if plan is None:
                raise _Unknown(f"its plan {path} is not there")
            try:
                self._plans[digest] = plan, StudySpec.from_json(plan["spec"])
            except (KeyError, TypeError) as error:
                raise _Unknown(f"its plan {path} is of another version ({error})") from None
        return self._plans[digest]

    def _state_before(self, record: Mapping[str, Any], plan: Mapping[str, Any], spec: StudySpec) -> StudyState:
        """The study as the sampler of a batch was told it."""
        decisions = self._decisions[: record["decisions"]]
        pending = set(record["pending"])
        under = (record["plan"], record["decisions"])
        state = self._state
        if state is None or self._made_under != under or pending & state.finished.keys():
            identity = plan["identity"]
            state = StudyState(spec, identity, equal_identities(identity, decisions), numbers_set_aside(decisions))
            state.earlier = self._earlier(spec)
        self._state = None  # half of it would be worse than none
        for earlier in self._records[state.n_batches :]:
            state.add_batch(earlier)
        for number in state.pending:
            if number not in pending:
                state.add_outcome(self._outcome(plan, number, state.emissions[number].batch))
        self._state, self._made_under = state, under
        return state

    def _earlier(self, spec: StudySpec) -> tuple[Observation, ...]:
        """The results of earlier searches, as the study has them."""
        try:
            return self._folder.earlier(spec)
        except StudyFolderError as error:
            raise _Unknown(str(error).splitlines()[0]) from None

    def _outcome(self, plan: Mapping[str, Any], number: int, batch: int) -> dict[str, Any]:
        """How a trial ended, as a plan reads it."""
        digest = plan["metrics_digest"]
        if (digest, number) not in self._outcomes:
            result = self._folder.result(number)
            if result is None:
                path = self._folder.paths.result_record(number)
                raise _Unknown(f"its sampler was told of trial {number}, and {path} is not there")
            if result["metrics"].get("digest") == digest:
                extraction = Extraction.from_json(result["metrics"])
            else:
                paths = self._folder.paths
                log = os.path.join(paths.root, result["log"] or "")
                if not self._folder.sealed.exists(log):
                    raise _Unknown(
                        f"the objective was read differently then, and the log of trial {number} ({log}) has gone"
                    )
                extraction = read_output(paths, result, plan["spec"]["metrics"], plan["spec"]["objective"])
            self._outcomes[digest, number] = summarise(result, extraction, plan["spec"]["objective"], batch)
        return self._outcomes[digest, number]


def _compare(trial: Mapping[str, Any] | None, action: Action | None) -> Iterator[Difference]:
    if trial is None or action is None:
        if trial is not None:
            yield Difference(trial["number"], "all parameters", trial["params"], None)
        if action is not None:
            yield Difference(action.proposal.number, "all parameters", None, dict(action.proposal.params))
        return
    proposal = action.proposal
    if trial["number"] != proposal.number:
        yield Difference(trial["number"], "number", trial["number"], proposal.number)
    for what in ("config", "fidelity", "parent", "bracket"):
        if trial.get(what) != getattr(proposal, what):
            yield Difference(trial["number"], what, trial.get(what), getattr(proposal, what))
    for name in dict.fromkeys([*trial["params"], *proposal.params]):
        recorded: Any = trial["params"].get(name)
        recomputed: Any = proposal.params.get(name)
        if recorded != recomputed or type(recorded) is not type(recomputed):
            yield Difference(trial["number"], name, recorded, recomputed)


def _told_otherwise(record: Mapping[str, Any], state: StudyState) -> str:
    """In which way the results are not those that a batch's sampler was told; empty where they are."""
    objective = state.spec.objective
    losses = state.losses()

    def shown(loss: float | None) -> str:
        return "a failure" if loss is None else f"{objective.metric}={value_of(loss, objective.direction)!r}"

    for number, loss in zip(record["new"], record["losses"], strict=True):
        if losses.get(number) != loss:
            now = shown(losses.get(number)) if number in losses else "nothing"
            return (
                f"its sampler was told {shown(loss)} of trial {number}, and the ledger says {now}: a record was edited"
            )
    if state.told() == record["told"]:
        return ""
    return "its sampler was told other results than the ledger holds now: a record was edited"


def _made_elsewhere(record: Mapping[str, Any]) -> str:
    """What else is not as it was when a batch was made."""
    here = versions()
    changed = [
        f"{title} {record['sampler'][name]} then and {here[name]} now"
        for name, title in NAMES.items()
        if name in record["sampler"] and name in here and record["sampler"][name] != here[name]
    ]
    if changed:
        return f"it was made with other versions: {', '.join(changed)}"
    return "results and versions are the same: the record of this batch was edited, or made on another kind of CPU"
