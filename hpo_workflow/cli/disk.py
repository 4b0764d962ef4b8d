"""Deleting the files of trials that `keep:` lets go: what propose and collect do when their own work is done.

There is one propose at a time, and it publishes before it deletes: so no trial can begin to go on from another one
while that one's files are deleted. Which directories were emptied is remembered, so each is looked at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterable

from hpo_workflow.cli.terminal import one_line, plural
from hpo_workflow.retention import let_go
from hpo_workflow.store.atomic import read_json, replace, to_json
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.store.trial_files import OutOfTime, delete_files
from hpo_workflow.study_state import Ending, StudyState

SECONDS = 10.0
"""So long a batch may be held up by deleting; the rest is done with the next one, or at the end."""

N_SHOWN = 3


def free_disk(
    folder: StudyFolder, state: StudyState, ending: Ending | None = None, seconds: float = float("inf")
) -> list[str]:
    """Delete what no trial needs; gives warnings about what could not be deleted.

    Args:
        state: The study, with every batch that was published.
        ending: Why it has ended. Then what could not be deleted before is tried once more.
        seconds: How long it may take.
    """
    if state.spec.keep == "all":
        return []
    deadline = time.monotonic() + seconds
    emptied, left = _known(folder)
    wanted = let_go(state, ending) - emptied
    wanted -= set() if ending is not None else left
    warnings: list[str] = []
    done = emptied - wanted, left - wanted
    try:
        for number, templates in _with_templates(folder, state, sorted(wanted)):
            if folder.sealed.exists(folder.paths.batch_record(state.n_batches)):
                break  # we were forgotten, and somebody who knows more has gone on
            remaining = delete_files(folder.paths, number, templates, {"keep": state.spec.keep}, deadline)
            done[bool(remaining)].add(number)
            warnings += _warning(folder, number, remaining)
    except OutOfTime:
        pass
    except OSError as error:
        warnings.append(f"warning: {error.filename or folder.root}: {error.strerror}; no files are deleted now")
    if wanted:
        _remember(folder, *done)
    return warnings


def _known(folder: StudyFolder) -> tuple[set[int], set[int]]:
    """Trials whose directories were emptied, and those in which something was left."""
    try:
        record = read_json(folder.paths.emptied) or {"emptied": (), "left": ()}
        return set(record["emptied"]), set(record["left"])
    except (OSError, ValueError, TypeError, KeyError):  # it is a cache
        return set(), set()


def _remember(folder: StudyFolder, emptied: Collection[int], left: Collection[int]) -> None:
    try:
        replace(folder.paths.emptied, to_json({"emptied": sorted(emptied), "left": sorted(left)}) + "\n")
    except OSError:
        pass  # they are looked at once more


def _with_templates(folder: StudyFolder, state: StudyState, numbers: Iterable[int]) -> Iterable[tuple[int, list[str]]]:
    """Each trial with the files that were rendered for it; a batch is read once."""
    of_batch: dict[int, list[int]] = {}
    for number in numbers:
        of_batch.setdefault(state.emissions[number].batch, []).append(number)
    now = [template.to for template in state.spec.templates.values()]
    for batch, members in of_batch.items():
        record = folder.batch(batch)
        trials = {} if record is None else {trial["number"]: trial for trial in record["trials"]}
        for number in members:
            files = trials[number]["rendered"]["files"] if number in trials else {}
            yield number, [*now, *(file["to"] for file in files.values())]


def _warning(folder: StudyFolder, number: int, left: dict[str, str]) -> list[str]:
    """What could not be deleted of a trial, in one line."""
    if not left:
        return []
    shown = [f"{one_line(os.path.normpath(path))} ({why})" for path, why in list(left.items())[:N_SHOWN]]
    more = f" and {plural(len(left) - N_SHOWN, 'more')}" if len(left) > N_SHOWN else ""
    return [f"warning: {folder.paths.trial_dir(number)}: not deleted: {', '.join(shown)}{more}"]
