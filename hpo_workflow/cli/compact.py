"""`hpo compact`: the files of finished trials in few sealed files."""

from __future__ import annotations

from collections.abc import Callable, Collection

import click

from hpo_workflow.cli.head import OVER, read_head
from hpo_workflow.cli.stop import waiting_heads
from hpo_workflow.cli.study_argument import not_run_yet
from hpo_workflow.cli.terminal import one_line, plural, say, show
from hpo_workflow.diagnosis import size_text
from hpo_workflow.errors import UsageError
from hpo_workflow.orphans import ask_queue
from hpo_workflow.reading.opened import OpenStudy, open_study
from hpo_workflow.reading.unfinished import is_running
from hpo_workflow.store.compaction import (
    Bundle,
    Done,
    Settled,
    compact,
    find_bundles,
    leftovers,
    remove_leftovers,
    sealed_folders,
    unpack,
)
from hpo_workflow.store.inspection import taken
from hpo_workflow.store.session import Session
from hpo_workflow.study_state import StudyState

N_SHOWN = 5
"""Files that were left alone, and that people are shown."""

EXAMPLES = """\b
Examples:
  hpo compact study.yaml --dry-run
  hpo compact study.yaml --logs
  hpo compact results/digits --undo
"""


@click.command(epilog=EXAMPLES)
@click.argument("study")
@click.option("--logs", is_flag=True, help="Also logs, params.json, metrics.jsonl and templates of finished trials.")
@click.option("--all-finished", is_flag=True, help="Also in a thousand of which other trials wait or run.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--undo", is_flag=True, help="Put every file into its place again.")
def command(study: str, logs: bool, all_finished: bool, dry_run: bool, undo: bool) -> int:
    """Seal the records of finished trials, a thousand in one file, so that a study keeps few files.

    Every command and every further run reads them as before. Originals are removed when the sealed file was read again
    and holds the same. It can be killed at any time and called again; a study that is being run is refused.
    STUDY is the study file or the folder of its results.
    """
    if undo and (logs or all_finished):
        raise UsageError("--undo puts everything back: it goes with neither --logs nor --all-finished.")
    opened = open_study(study)
    if not opened.has_run:
        say(not_run_yet(opened))
        return 1
    refuse_pending_head(opened)
    if dry_run:
        show(*foretell(opened, logs=logs, all_finished=all_finished, undo=undo))
        return 0
    session, _ = Session.acquire(opened.folder.paths, doing="compacted")
    try:
        before = taken(opened.folder.root)
        done = unpack(opened.folder.paths) if undo else seal(opened, logs=logs, all_finished=all_finished)
        after = taken(opened.folder.root)
    finally:
        session.release()
    show(*told(opened, done, before, after, undo=undo))
    return 1 if done.left else 0


def refuse_pending_head(opened: OpenStudy) -> None:
    """A head in Slurm's queue would begin at any moment.

    Raises:
        UsageError: There is one, or it may be that there is.
    """
    head = read_head(opened.folder.paths)
    if head is None or head.get("state") in OVER:
        return
    queue = ask_queue()
    heads = waiting_heads(head, queue)
    if heads or (queue is None and head.get("state") != "running"):
        where = f"job {' and job '.join(map(str, heads))}" if heads else "Slurm, which does not answer"
        raise UsageError(
            f"{opened.folder.root}: this study was submitted and may begin at any moment ({where}).\n"
            f"  Wait until it has ended, or end it: hpo stop {opened.argument}"
        )


def seal(opened: OpenStudy, *, logs: bool, all_finished: bool) -> Done:
    """Seal what may be sealed."""
    settled, bundles = bundles_of(opened, opened.state(), logs=logs, all_finished=all_finished)
    done = compact(opened.folder.paths, bundles)
    remove_leftovers(opened.folder.paths, settled, done)
    return done


def bundles_of(opened: OpenStudy, state: StudyState, *, logs: bool, all_finished: bool) -> tuple[Settled, list[Bundle]]:
    """What may be sealed: nothing of a trial that waits, or that somebody still runs a copy of."""
    folder = opened.folder
    emitted = {record["batch"]: [trial["number"] for trial in record["trials"]] for record in folder.batches()}
    numbers = {number for trials in emitted.values() for number in trials}
    unsettled = set(state.pending)
    unsettled |= {number for number in numbers - unsettled if is_running(folder, number)}
    settled = Settled.of(emitted, unsettled, all_finished=all_finished)
    best = state.incumbent
    spared = set() if best is None else {best.number}  # its files are named by `hpo best`
    bundles = find_bundles(
        folder.paths,
        settled,
        texts_of=set(settled.trials) - spared if logs else (),
        only_logs=state.spec.fidelity is not None,
        templates=_templates_of(opened, state),
    )
    return settled, bundles


def _templates_of(opened: OpenStudy, state: StudyState) -> Callable[[int], Collection[str]]:
    """What was rendered into the folder of a trial, as its batch says it."""
    rendered: dict[int, list[str]] = {}
    if state.spec.templates:
        for batch in range(state.n_batches):
            for trial in (opened.folder.batch(batch) or {"trials": []})["trials"]:
                rendered[trial["number"]] = [file["to"] for file in trial["rendered"]["files"].values()]
    return lambda number: rendered.get(number, ())


def foretell(opened: OpenStudy, *, logs: bool, all_finished: bool, undo: bool) -> list[str]:
    """What would be done."""
    paths = opened.folder.paths
    inodes, size = taken(opened.folder.root)
    now = f"study {opened.spec.study}: {inodes} files and folders now, {size_text(size)} on the disk."
    if undo:
        parts = [path for listed in sealed_folders(paths).values() for path in listed]
        return [now, f"{plural(len(parts), 'sealed file')} would be unpacked and removed."]
    settled, bundles = bundles_of(opened, opened.state(), logs=logs, all_finished=all_finished)
    n_files = sum(len(bundle.files) for bundle in bundles)
    n_parts = sum(len(bundle.files) > 1 for bundle in bundles)
    n_left = sum(1 for _ in leftovers(paths, settled))
    lines = [now, f"{plural(n_files, 'file')} would be sealed in {n_parts} and removed."]
    if n_left:
        lines.append(f"{plural(n_left, 'file')} that nobody needs would be removed.")
    return lines


def told(opened: OpenStudy, done: Done, before: tuple[int, int], after: tuple[int, int], *, undo: bool) -> list[str]:
    """What was done, for people."""
    name = opened.spec.study
    if undo:
        gone = plural(len(done.parts), "sealed file")
        lines = [f"study {name}: {plural(done.n_sealed, 'file')} put back, {gone} removed"]
    elif done.parts or done.n_removed:
        lines = [f"study {name}: {plural(done.n_sealed, 'file')} sealed in {len(done.parts)}, {done.n_removed} removed"]
    else:
        lines = [f"study {name}: there is nothing to seal"]
    lines.append(f"  files and folders: {before[0]} before, {after[0]} after")
    lines.append(f"  on the disk: {size_text(before[1])} before, {size_text(after[1])} after")
    for path, why in list(done.left.items())[:N_SHOWN]:
        lines.append(f"left alone: {one_line(path)}: {why}")
    if len(done.left) > N_SHOWN:
        lines.append(f"  and {len(done.left) - N_SHOWN} more")
    if done.left:
        lines.append(f"  `hpo doctor {opened.argument}` says more.")
    return lines
