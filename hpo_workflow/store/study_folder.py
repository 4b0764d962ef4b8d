"""A study's folder, read: its batches, outcomes and decisions as one StudyState.

Every record is opened by its known name, in its place or sealed; folders are never listed. Indexes save opening
thousands of small files; they are caches: what they lack is read from the records, and they can be deleted at any time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from hpo_workflow.earlier_results import Source, observations_of
from hpo_workflow.errors import StudyFolderError
from hpo_workflow.samplers.history import Observation
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.atomic import append, publish, read_json, replace, seal, unseal
from hpo_workflow.store.paths import StudyPaths
from hpo_workflow.store.sealed import DamagedSeal, Sealed
from hpo_workflow.study_state import StudyState, read_state

PLAN_SCHEMA = 1


def read_record(path: str) -> Any:
    """A record or derived file as JSON, None where it does not exist, StudyFolderError where it is garbled."""
    return _read(path, read_json)


def _read(path: str, read: Callable[[str], Any]) -> Any:
    """What `read` gives, with its errors for people."""
    try:
        return read(path)
    except ValueError as error:
        cure = "Records are written whole, so something else has damaged it. `hpo doctor STUDY` says what mends it."
        place = error.path if isinstance(error, DamagedSeal) else path
        raise StudyFolderError(place, f"this is not the JSON that was written here ({error}).\n  {cure}") from error
    except IsADirectoryError:
        raise StudyFolderError(
            path, "a folder is where a record should be.\n  Move it away; `hpo doctor STUDY` tells more."
        ) from None


def index_lines(path: str) -> Iterator[Any]:
    """The whole lines of an index; a torn or garbled line is skipped: an index is only a cache."""
    try:
        with open(path, "rb") as file:
            for line in file:
                try:
                    yield unseal(line)
                except ValueError:
                    continue
    except FileNotFoundError:
        return


def _whole_batches(path: str, known: int) -> int:
    """How many batches an index holds if its end is as it should be, else 0: then it is written anew."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return 0
    lines = data.count(b"\n")
    try:
        last = unseal(data[data.rfind(b"\n", 0, -1) + 1 :])
    except ValueError:
        return 0
    whole = data.endswith(b"\n") and isinstance(last, dict) and last.get("batch") == lines - 1 and lines <= known
    return lines if whole else 0


def without_rendering(record: Mapping[str, Any]) -> dict[str, Any]:
    """A batch record as the index holds it: what the policy reads, without commands and files."""
    trials = [{key: value for key, value in trial.items() if key != "rendered"} for trial in record["trials"]]
    return {**record, "trials": trials}


class StudyFolder:
    """The records below `root`.

    Attributes:
        paths: Where each file is.
        sealed: What `hpo compact` has sealed.
        damaged: Files that turned out not to be what was written, and what was done about each.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.damaged: dict[str, str] = {}
        self._batch_of: dict[str, int] = {}
        self._unread: set[str] = set()
        self._unindexed: dict[str, list[Mapping[str, Any]]] = {}  # by index: what was read from metric files instead
        self.paths = StudyPaths(root)
        self.sealed = Sealed(self.paths)

    def _record(self, path: str) -> Any:
        """A record of a shard, in its place or sealed; the errors are those of `read_record`."""
        return _read(path, self.sealed.json)

    # ---- batches ------------------------------------------------------------------------------------------
    def batch(self, batch: int) -> dict[str, Any] | None:
        """Batch record `batch`, whole, or None while there is none; Snakemake's copy of it where it is damaged."""
        record: dict[str, Any] | None
        try:
            record = self._record(self.paths.batch_record(batch))
        except StudyFolderError as error:
            try:
                record = self.sealed.json(self.paths.batch(batch))
            except ValueError:
                record = None
            if not isinstance(record, dict) or record.get("batch") != batch:
                raise
            self._batch_of[self._keep_in_mind(error, "damaged; its copy is used")] = batch
        return record

    def _keep_in_mind(self, error: StudyFolderError, done: str) -> str:
        """Keep in mind what is damaged, and what was done about it; gives the name of it."""
        seal = error.__cause__
        what = f"{error.path} ({seal.name})" if isinstance(seal, DamagedSeal) and seal.name else error.path
        self.damaged[what] = done
        return what

    def batches(self) -> list[dict[str, Any]]:
        """All batch records in order, without what was rendered."""
        records: list[dict[str, Any]] = []
        for record in index_lines(self.paths.batch_index):
            if isinstance(record, dict) and record.get("batch") == len(records):
                records.append(record)
        while (record := self.batch(len(records))) is not None:
            records.append(without_rendering(record))
        return records

    def index_batches(self, records: list[dict[str, Any]]) -> None:
        """Bring the index of batches up to date. Only propose does this, and there is one at a time."""
        present = _whole_batches(self.paths.batch_index, len(records))
        text = "".join(seal(without_rendering(record)) for record in records[present:])
        if present == 0:
            replace(self.paths.batch_index, text)
        elif text:
            append(self.paths.batch_index, text)

    def mend(self, batches: Collection[int] = (), best: tuple[float, int] | None = None) -> list[str]:
        """Put in order what is damaged, lost or sealed, before a run that would read it; what was done, for people.

        Args:
            batches: Those whose copies the jobs of the run will read.
            best: The best value so far and its trial, for the index of metrics, whose lines say it.
        """
        for path, metrics in self._unindexed.items():
            append(path, "".join(seal({**metric, "best": best}) for metric in metrics))
        self._unindexed.clear()
        for batch in sorted(set(batches)):
            copy = self.paths.batch(batch)
            try:
                if read_json(copy) is None and self.sealed.is_sealed(copy):
                    replace(copy, seal(self.batch(batch) or {}))
            except ValueError:
                record = self.batch(batch)
                assert record is not None
                replace(copy, seal(record))
                self.damaged[copy] = "damaged; written again"
        done = []
        for path, found in self.damaged.items():
            if path in self._batch_of:
                batch = self._batch_of[path]
                copied = self.sealed.json(self.paths.batch(batch))
                assert copied is not None
                _set_aside(self.paths.batch_record(batch))
                publish(self.paths.batch_record(batch), copied)
            elif path in self._unread:
                _set_aside(path)
            done.append(f"{path}: {found}")
        self.damaged.clear()
        return done

    def trial_record(self, number: int, batch: int) -> dict[str, Any]:
        """A trial as its batch emitted it, with its rendered command."""
        record = self.batch(batch)
        if record is not None:
            for trial in record["trials"]:
                if trial["number"] == number:
                    found: dict[str, Any] = trial
                    return found
        raise StudyFolderError(self.paths.batch_record(batch), f"batch {batch} does not hold trial {number}.")

    # ---- outcomes -----------------------------------------------------------------------------------------
    def outcome(self, metrics_digest: str, number: int, batch: int) -> dict[str, Any] | None:
        """What parse found out about one emission, or None while it has not run."""
        metric: dict[str, Any] | None = self._record(self.paths.metric(metrics_digest, number, batch))
        return metric

    def result(self, number: int) -> dict[str, Any] | None:
        """The terminal record of a trial's program, or None while it has not ended."""
        record: dict[str, Any] | None = self._record(self.paths.result_record(number))
        return record

    def has_result(self, number: int) -> bool:
        """Whether a trial's program has ended, by the record alone; one that is sealed and damaged is none."""
        return self.sealed.exists(self.paths.result_record(number))

    # ---- earlier results -----------------------------------------------------------------------------------
    def has_earlier(self, spec: StudySpec) -> bool:
        """Whether the study's earlier results were read, if it has any."""
        return spec.history_digest is None or os.path.exists(self.paths.history(spec.history_digest))

    def earlier_sources(self, spec: StudySpec) -> tuple[Source, ...]:
        """What was read of earlier results when the study first asked for them."""
        if spec.history_digest is None:
            return ()
        path = self.paths.history(spec.history_digest)
        record = read_record(path)
        if record is None:
            cure = "Run the study again, and they are read again."
            raise StudyFolderError(path, f"the results of earlier searches are not there.\n  {cure}")
        return tuple(Source.from_json(source) for source in record["sources"])

    def earlier(self, spec: StudySpec) -> tuple[Observation, ...]:
        """What a sampler is told of earlier results."""
        return observations_of(spec.search_space, spec.objective.direction, self.earlier_sources(spec))

    # ---- decisions ----------------------------------------------------------------------------------------
    def decisions(self) -> list[dict[str, Any]]:
        """What the user decided about earlier trials, in order."""
        found: list[dict[str, Any]] = []
        while (decision := read_record(self.paths.decision(len(found)))) is not None:
            found.append(decision)
        return found

    def decide(self, decision: Mapping[str, Any]) -> None:
        """Record a decision of the user."""
        while not publish(self.paths.decision(len(self.decisions())), dict(decision)):
            pass

    # ---- plans --------------------------------------------------------------------------------------------
    def current_plan(self) -> dict[str, Any] | None:
        """The plan that was used last, or None where the study has never run."""
        pointer = read_record(self.paths.current_plan)
        plan: dict[str, Any] | None = None if pointer is None else read_record(self.paths.plan(pointer["plan"]))
        return plan

    # ---- all together -------------------------------------------------------------------------------------
    def state(
        self,
        plan: Mapping[str, Any],
        spec: StudySpec | None = None,
        batches: Collection[Mapping[str, Any]] | None = None,
    ) -> StudyState:
        """The study as its records tell it, under `plan`.

        Args:
            plan: The plan, as its JSON.
            spec: The plan's spec, where the caller has it.
            batches: What `batches()` gives, where the caller has it.
        """
        spec = spec or StudySpec.from_json(plan["spec"])
        decisions = self.decisions()
        metrics_digest = plan["metrics_digest"]
        indexed: dict[tuple[int, int], dict[str, Any]] = {}
        index = self.paths.metric_index(metrics_digest)
        self._unindexed.pop(index, None)
        for metric in index_lines(index):
            if isinstance(metric, dict) and "number" in metric and "batch" in metric:
                indexed[metric["number"], metric["batch"]] = metric

        def outcome(number: int, batch: int) -> Mapping[str, Any] | None:
            known = indexed.get((number, batch))
            if known is not None:
                return known
            try:
                found = self.outcome(metrics_digest, number, batch)
                if found is not None:
                    self._unindexed.setdefault(index, []).append(found)
                return found
            except StudyFolderError as error:
                self._unread.add(self._keep_in_mind(error, "damaged; the trial's result is read again"))
                return None

        identity = plan["identity"]
        records = self.batches() if batches is None else batches
        return read_state(
            spec, identity, equal_identities(identity, decisions), numbers_set_aside(decisions), records, outcome
        )


def equal_identities(identity: str, decisions: list[dict[str, Any]]) -> set[str]:
    """`identity` and all that the user declared equal to it."""
    equal = {identity}
    while True:
        more = set(equal)
        for decision in decisions:
            if decision["kind"] == "keep":
                together = {decision["identity"], *decision["others"]}
                if together & equal:
                    more |= together
        if more == equal:
            return equal
        equal = more


def numbers_set_aside(decisions: list[dict[str, Any]]) -> set[int]:
    """Trials that the user does not want counted."""
    return {number for decision in decisions if decision["kind"] == "retry_failed" for number in decision["numbers"]}


def _set_aside(path: str) -> None:
    """Give a damaged file another name; one that is sealed stays where it is."""
    try:
        os.replace(path, f"{path}.damaged.{int(time.time())}")
    except FileNotFoundError:
        pass
