"""`hpo propose`: one batch, called by the rule of that name."""

from __future__ import annotations

import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

from hpo_workflow.call_options import REQUIRED, read_options
from hpo_workflow.cli.disk import SECONDS, free_disk
from hpo_workflow.cli.terminal import say
from hpo_workflow.errors import HPOWorkflowError
from hpo_workflow.propose import Action, Answer, batch_rng, propose
from hpo_workflow.spec import StudySpec, digest_of
from hpo_workflow.store.atomic import replace, seal
from hpo_workflow.store.cache import DamagedEntry, ResultCache
from hpo_workflow.store.sealed import publish
from hpo_workflow.store.session import read_session, session_seconds
from hpo_workflow.store.stop_request import stop_request
from hpo_workflow.store.study_folder import StudyFolder, read_record
from hpo_workflow.study_state import StudyState
from hpo_workflow.template import RenderedTrial, render_trial
from hpo_workflow.versions import versions

OPTIONS = {
    "root": (str, REQUIRED, "the study's folder"),
    "plan": (str, REQUIRED, "the plan that is in force"),
    "batch": (int, REQUIRED, "number of the batch"),
    "out": (str, REQUIRED, "declared output: a copy of the batch record"),
}


def run(argv: list[str]) -> int:
    """Publish batch `--batch`, unless it is there already, and write its declared copy."""
    arguments = read_options("hpo propose", "Emit one batch of trials (called by the rules).", OPTIONS, argv)
    folder = StudyFolder(arguments.root)
    if stop_request(folder.paths) is not None:
        print("the study is being stopped (hpo stop): nothing more is proposed", file=sys.stderr)
        return 1
    try:
        record = make_batch(folder, arguments.plan, arguments.batch)
        replace(arguments.out, seal(record))
        warnings = free_after(folder, arguments.plan)
    except HPOWorkflowError as error:
        print(error, file=sys.stderr)
        return 2
    say(*warnings, sentence(record))
    return 0


def free_after(folder: StudyFolder, plan_path: str) -> list[str]:
    """Delete what no trial needs now that a batch is published; gives warnings."""
    plan = read_record(plan_path)
    if plan["spec"].get("keep", "all") == "all":
        return []
    return free_disk(folder, folder.state(plan), seconds=SECONDS)


def make_batch(folder: StudyFolder, plan_path: str, batch: int) -> dict[str, Any]:
    """The batch record: the one that was published first, whoever did it."""
    published = folder.batch(batch)
    if published is None:
        plan = read_record(plan_path)
        begun = time.process_time()
        spec = StudySpec.from_json(plan["spec"])
        earlier = folder.batches()[:batch]
        state = folder.state(plan, spec, earlier)
        state.earlier = folder.earlier(spec)
        answer = propose(spec, state, batch_rng(spec.seed, state.next_number))
        record = _record(folder, plan, state, earlier, answer)
        record["sampler"]["cpu_s"] = round(time.process_time() - begun, 4)
        publish(folder.paths, folder.paths.batch_record(batch), record)
        published = folder.batch(batch)
        assert published is not None
        folder.index_batches([*earlier, published])
    cache = read_record(plan_path)["spec"]["cache"]
    if cache is not None:
        for trial in published["trials"]:
            _place(ResultCache(cache), folder, trial, published)
    return published


def _place(cache: ResultCache, folder: StudyFolder, trial: dict[str, Any], batch: dict[str, Any]) -> None:
    """Give a trial the result that is known already, if there is one; where it cannot be taken, the trial is run."""
    placed = False
    try:
        placed = cache.place(folder.paths, trial, batch)
    except DamagedEntry as error:
        print(f"warning: cache {error}; trial {trial['number']} is run", file=sys.stderr)
    except OSError as error:  # another user's file, perhaps
        where = error.filename or cache.folder
        print(f"warning: cache {where}: {error.strerror}; trial {trial['number']} is run", file=sys.stderr)
    if placed:
        write_files(folder, trial)


def write_files(folder: StudyFolder, trial: dict[str, Any]) -> None:
    """Write the files that a trial's command names (parameters, templates), as its runner would have done."""
    from hpo_workflow.reading.best import trial_facts
    from hpo_workflow.runner.command import Facts, choose_port, resolve

    rendered = RenderedTrial.from_json(trial["rendered"])
    facts = trial_facts(trial, rendered, os.path.abspath(folder.root))
    facts.pop("port")
    known = Facts(facts, lambda: choose_port(folder.root, trial["number"]))
    replace(folder.paths.params_file(trial["number"]), rendered.params_text)
    for name, file in rendered.files.items():
        replace(known[f"file.{name}"], resolve(file["text"], known))


def _record(
    folder: StudyFolder, plan: dict[str, Any], state: StudyState, earlier: list[dict[str, Any]], answer: Answer
) -> dict[str, Any]:
    spec = state.spec
    session = read_session(folder.paths) or {"token": ""}
    runs = (float(record["elapsed_s"]) for record in earlier if record["session"] != session["token"])
    losses = state.losses()
    return {
        "schema": 1,
        "batch": len(earlier),
        "study": spec.study,
        "plan": digest_of(plan),
        "decisions": len(folder.decisions()),
        "identity": plan["identity"],
        "limits": plan["limits_digest"],
        "answer": answer.kind,
        "reason": answer.reason,
        "new": state.new,
        "losses": [losses.get(number) for number in state.new],
        "pending": state.pending,
        "told": state.told(),
        "asked": state.slots()[1],
        "session": session["token"],
        "elapsed_s": round(max(runs, default=0.0) + session_seconds(folder.paths), 3),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **({"git": session["git"]} if session.get("git") else {}),
        "sampler": {**spec.sampler, **versions()},
        **({"replaced": _replaced(answer)} if answer.replaced else {}),
        "trials": [_trial(spec, plan["identity"], action, state) for action in answer.actions],
    }


def _replaced(answer: Answer) -> dict[str, dict[str, Any]]:
    """What the sampler proposed and could not be used: by reason, how often and the first example."""
    found: dict[str, dict[str, Any]] = {}
    for one in answer.replaced:
        found.setdefault(one.reason, {"count": 0, "example": one.sentence})["count"] += 1
    return found


def _trial(spec: StudySpec, identity: str, action: Action, state: StudyState) -> dict[str, Any]:
    proposal = action.proposal
    rendered = render_trial(spec, proposal.params)
    given = {} if action.given is None else {"given": dict(action.given)}
    bracket = {} if proposal.bracket is None else {"bracket": proposal.bracket}
    parent = None if proposal.parent is None else state.emissions[proposal.parent].digest
    again = state.retried(proposal.number)
    return {
        "number": proposal.number,
        "config": proposal.config,
        "params": dict(proposal.params),
        "fidelity": proposal.fidelity,
        "parent": proposal.parent,
        "replicate": proposal.replicate,
        "seed": spec.seed + proposal.replicate,
        "digest": rendered.digest(identity, proposal.fidelity, parent),
        "origin": action.origin,
        **bracket,
        **given,
        **({"retried": again} if again else {}),
        "rendered": rendered.to_json(),
    }


def sentence(record: dict[str, Any]) -> str:
    """What a batch holds, in one line."""
    numbers = [trial["number"] for trial in record["trials"]]
    batch = f"{record['study']}: batch {record['batch']}"
    if not numbers:
        return f"{batch}: nothing more to propose ({record['reason'] or record['answer']})"
    which = f"trial {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} trials, {numbers[0]} to {numbers[-1]}"
    replaced = sum(said["count"] for said in record.get("replaced", {}).values())
    return f"{batch}: {which}" + (f", {replaced} of them random because of what was proposed" if replaced else "")
