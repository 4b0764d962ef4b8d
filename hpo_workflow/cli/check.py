"""`hpo check`: what a study would run and cost, before anything is spent."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from hpo_workflow.advice import KEYS, advise
from hpo_workflow.cli.terminal import duration, number, params_text, plural, say, show
from hpo_workflow.earlier_results import Source, map_rows
from hpo_workflow.errors import ConfigError
from hpo_workflow.pruners.registry import describe as describe_pruner
from hpo_workflow.reading.opened import load_plan
from hpo_workflow.samplers.history import Observation
from hpo_workflow.store.plan import Plan, identity_conflict
from hpo_workflow.store.study_folder import StudyFolder

if TYPE_CHECKING:
    from hpo_workflow.spec import Fidelity, Retry, StudySpec
    from hpo_workflow.study_file import LoadedStudy

LOGIN_CPU_S = 0.2
"""CPU seconds of the login node for one Slurm job. Measured with plugin 2.8: 6.7 s for 40 jobs with all that `hpo run`
starts there. Snakemake's two starts in each job cost about 3 s more, on the job's node."""

SUBMISSIONS_PER_S = 4.0
"""How many jobs a second Snakemake's Slurm plugin submits. Measured with the same."""

SHORT_S = 300.0
"""Below this a trial spends a good part of its time being submitted and polled for."""

MANY_JOBS = 100
"""From here on the cost of submitting is worth a word even where the length of a trial is not known."""

N_SHOWN = 3

KEPT = {
    "all": "Files: what trials write stays (keep: all).",
    "best": "Files: what a trial writes is deleted when no other one can go on from it any more, except of the best "
    "trial (keep: best).",
    "none": "Files: what a trial writes is deleted when no other one can go on from it any more, and at the end that "
    "of the best trial, too (keep: none).",
}
"""What `keep:` means, for people."""

EXAMPLES = """\b
Examples:
  hpo check study.yaml
  hpo check config/digits.yaml --json
  hpo check study.yaml --no-advice
"""


@click.command(epilog=EXAMPLES)
@click.argument("study", metavar="STUDY.yaml")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--no-advice", is_flag=True, help="Without the hints of the field.")
def command(study: str, as_json: bool, no_advice: bool) -> int:
    """Check a study file and show what it would run: nothing is started or written.

    Faults (all of them, exit code 2), warnings, the first commands, the files whose content belongs to the study, how
    many configurations there are, the GPU-hours asked for, what a cluster's login node will have to do, and advice:
    what the field knows better, with the source. Advice changes no exit code.
    """
    plan, loaded = load_plan(study)
    report = check(plan, loaded)
    if no_advice:
        report["advice"] = []
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        for warning in report["warnings"]:
            say(f"warning: {warning}")
        show(*lines(study, plan, report))
    return 2 if report["conflict"] is not None else 0


def check(plan: Plan, loaded: LoadedStudy) -> dict[str, Any]:
    """All that is to be known of a study before it runs, as JSON values."""
    spec = plan.spec
    folder = StudyFolder(spec.root)
    conflict = identity_conflict(folder, plan)
    described = None
    if conflict is not None:
        from hpo_workflow.study_file.conflict import describe_conflict

        described = describe_conflict(folder, plan, conflict)
    n_configurations = plan.spec.n_configurations
    rungs = rungs_of(plan, n_configurations)
    n_trials = (
        n_configurations if rungs is None else None if n_configurations is None else sum(r["trials"] for r in rungs)
    )
    gpus = spec.resources.get("gpu", 0)
    n_gpus = int(gpus) if isinstance(gpus, (int, float)) else 0
    attempts = 1 if spec.retry is None else 1 + spec.retry.timeouts + spec.retry.ooms
    hours = None if n_trials is None or spec.runtime_s is None else attempts * n_trials * spec.runtime_s / 3600
    space = spec.search_space
    earlier = [map_rows(space, spec.objective.direction, source) for source in _earlier_sources(plan, folder)]
    n_known = sum(len(each.observations) for each in earlier)
    return {
        "study": spec.study,
        "root": spec.root,
        "warnings": [*loaded.warnings, *missing_needs(plan)],
        "first_trials": first_trials(plan, [result for each in earlier for result in each.observations]),
        "history": [
            {
                "source": each.name,
                "rows": each.n_rows,
                "used": len(each.observations),
                "left_out": {reason: count for reason, (count, _) in each.left_out.items()},
                "sentence": each.sentence(),
            }
            for each in earlier
        ],
        "files": sorted(loaded.files),
        "space": {
            "parameters": [parameter.name for parameter in space.parameters],
            "configurations": space.n_configurations(),
            "grid": space.grid_size(),
        },
        "pruner": None if spec.pruner is None else dict(spec.pruner),
        "sampler": chosen_sampler(plan, n_known),
        "trials": n_configurations,
        "rungs": rungs,
        "parallel": spec.budget.parallel,
        "runtime_s": spec.runtime_s,
        "gpus": n_gpus,
        "hours_at_most": hours,
        "gpu_hours": spec.budget.gpu_hours,
        "gpu_hours_at_most": gpu_hours_at_most(spec, hours, n_gpus),
        "cluster": cluster_cost(plan, folder, n_trials),
        "retry": None if spec.retry is None else dataclasses.asdict(spec.retry),
        "keep": spec.keep,
        "advice": [hint.to_json() for hint in advise(spec, n_known, silenced_hints(plan))],
        "conflict": described,
    }


def silenced_hints(plan: Plan) -> frozenset[str]:
    """The hints that a study file does not want: `x-no-advice:`, a list of their names, or true for all."""
    from hpo_workflow.study_file.yaml_reader import read_yaml

    try:
        given = read_yaml(plan.text, plan.study_file).value.get("x-no-advice")
    except ConfigError:  # of a module that was given a mapping, the text is not the file
        return frozenset()
    if given is True:
        return frozenset(KEYS)
    return frozenset(name for name in given if isinstance(name, str)) if isinstance(given, list) else frozenset()


def chosen_sampler(plan: Plan, n_results: int) -> str:
    """The name of the sampler that the study begins with, which `auto` chooses.

    Args:
        n_results: Results of earlier searches that it begins with.
    """
    from hpo_workflow.propose import plan_of
    from hpo_workflow.samplers.auto import Auto

    name = str(plan.spec.sampler["name"])
    return Auto(plan_of(plan.spec)).choice(n_results) if name == "auto" else name


def rungs_of(plan: Plan, n: int | None) -> list[dict[str, Any]] | None:
    """How many trials there will be at each fidelity, about; None where the study has none."""
    fidelity = plan.spec.fidelity
    if fidelity is None:
        return None
    from hpo_workflow.multifidelity import get_method

    ladder = fidelity.ladder
    sizes = get_method(fidelity.method, ladder, fidelity.options).sizes(n or 0)
    return [{"fidelity": level, "trials": size} for level, size in zip(ladder.levels, sizes, strict=True)]


def missing_needs(plan: Plan) -> list[str]:
    """A warning for each of `needs:` that is not there; in somebody's own Snakefile another rule may make it."""
    return [
        f"needs: {path} does not exist; trials start when it does, and `hpo run` does not make it"
        for path in plan.spec.needs
        if not os.path.exists(path)
    ]


def _earlier_sources(plan: Plan, folder: StudyFolder) -> tuple[Source, ...]:
    """Results of earlier searches: as the study has read them, or as it will."""
    return folder.earlier_sources(plan.spec) if plan.earlier is None else plan.earlier


def first_trials(plan: Plan, earlier: Sequence[Observation] = ()) -> list[dict[str, Any]]:
    """The first trials of the study as it would start from nothing, with their commands."""
    from hpo_workflow.propose import batch_rng, propose
    from hpo_workflow.study_state import StudyState
    from hpo_workflow.template import describe, render_trial

    budget = dataclasses.replace(plan.spec.budget, parallel=max(N_SHOWN, plan.spec.budget.parallel))
    spec = dataclasses.replace(plan.spec, budget=budget)
    state = StudyState(spec, plan.identity)
    state.earlier = tuple(earlier)
    answer = propose(spec, state, batch_rng(spec.seed, 0))
    trials = []
    for action in answer.actions[:N_SHOWN]:
        rendered = render_trial(spec, action.proposal.params)
        params = json.loads(rendered.params_text)
        proposal = action.proposal
        facts: dict[str, object] = {"number": proposal.number, "config": proposal.config}
        facts |= {"seed": spec.seed, "attempt": 1}
        if proposal.fidelity is not None:
            facts |= {"fidelity": proposal.fidelity, "resume_from": ""}
        trials.append({"number": proposal.number, "params": params, "command": describe(rendered, facts)})
    return trials


def cluster_cost(plan: Plan, folder: StudyFolder, n_trials: int | None) -> dict[str, Any] | None:
    """What the orchestration costs when each trial is a Slurm job; None where the number of trials is not known."""
    if n_trials is None:
        return None
    known = typical_seconds(plan, folder)
    runtime = plan.spec.runtime_s
    expected = known if known is not None else runtime
    short = expected < SHORT_S if expected is not None else n_trials >= MANY_JOBS
    return {
        "jobs": n_trials,
        "login_cpu_s": round(n_trials * LOGIN_CPU_S, 1),
        "submit_s": round(n_trials / SUBMISSIONS_PER_S, 1),
        "trial_s": known,
        "one_allocation_is_better": short,
    }


def typical_seconds(plan: Plan, folder: StudyFolder) -> float | None:
    """How long trials took so far, or None while none has run."""
    current = folder.current_plan()
    if current is None:
        return None
    times = [trial.seconds for trial in folder.state(current).finished.values() if trial.seconds is not None]
    return sorted(times)[len(times) // 2] if times else None


def lines(study: str, plan: Plan, report: dict[str, Any]) -> list[str]:
    """The report for people."""
    spec = plan.spec
    shown = [f"study {spec.study}, results in {spec.root}"]
    n, parallel = len(report["first_trials"]), spec.budget.parallel
    later = f"; those from trial {parallel} on will have seen results" if parallel < n else ""
    shown += ["", f"The first {n} commands{later}:"]
    for trial in report["first_trials"]:
        shown.append(f"  trial {trial['number']}: {params_text(trial['params'])}")
        shown += [f"    {line}" for line in trial["command"].splitlines()]
    shown.append("")
    if report["files"]:
        shown.append(f"Files whose content belongs to the study: {', '.join(report['files'])}")
        shown.append("  After a change of one of them, finished trials no longer count unless you say so.")
    else:
        shown.append("No file's content belongs to the study (none is named in the command; `inputs:` lists them).")
    shown += [f"history: {each['sentence']}" for each in report["history"]]
    shown.append(f"Space: {', '.join(report['space']['parameters'])}; {_size(plan, report)}")
    chosen = report["sampler"]
    shown.append(f"Sampler: {chosen}{', chosen by auto' if spec.sampler['name'] == 'auto' else ''}")
    if spec.fidelity is not None:
        shown.append(_rungs(spec.fidelity, report["rungs"]))
    if spec.pruner is not None:
        shown.append(f"Pruner: {describe_pruner(spec.pruner)}")
    shown.append(_asked(plan, report))
    if spec.retry is not None:
        shown.append(_tried_again(spec, spec.retry))
    shown.append(KEPT[spec.keep])
    shown += _cluster(study, plan, report["cluster"])
    if report["advice"]:
        shown += ["", "Advice (nothing has to be done; `x-no-advice: [NAME]` in the study file silences one):"]
        for hint in report["advice"]:
            shown += [f"  {hint['key']}: {hint['where']}: {hint['sentence']}", f"    {hint['source']}"]
    if report["conflict"] is not None:
        shown += ["", report["conflict"]]
    else:
        shown += ["", f"next: hpo run {shlex.quote(study)}"]
    return shown


def gpu_hours_at_most(spec: StudySpec, hours: float | None, n_gpus: int) -> float | None:
    """What the trials may cost: all of them, or those that are under way when `budget.gpu_hours` has been used.

    Args:
        hours: Of all trials together, None where it is not known.
    """
    bounds = [] if hours is None else [hours * n_gpus]
    if spec.budget.gpu_hours is not None and spec.runtime_s is not None:
        under_way = (spec.budget.parallel + spec.budget.ahead) * spec.runtime_s / 3600 * n_gpus
        bounds.append(spec.budget.gpu_hours + under_way)
    return min(bounds) if n_gpus and bounds else None


def _size(plan: Plan, report: dict[str, Any]) -> str:
    space = report["space"]
    finite = "infinitely many" if space["configurations"] is None else f"{space['configurations']:,}".replace(",", " ")
    words = f"{finite} configurations"
    if plan.spec.sampler["name"] == "grid" and space["grid"] is not None:
        words += f", a grid of {space['grid']}"
    return words


def _rungs(fidelity: Fidelity, rungs: Sequence[Mapping[str, Any]]) -> str:
    """How far trials are trained, and how many of them."""
    levels = ", ".join(f"{rung['fidelity']:g}" for rung in rungs)
    if not any(rung["trials"] for rung in rungs):
        return f"Fidelity: {fidelity.name} {levels}, by {fidelity.method}"
    listed = ", ".join(str(rung["trials"]) for rung in rungs)
    return f"Fidelity: {fidelity.name} {levels}, by {fidelity.method}; about {listed} trials"


def _asked(plan: Plan, report: dict[str, Any]) -> str:
    spec = plan.spec
    unit = "trial" if spec.fidelity is None else "configuration"
    n_trials = f"as many {unit}s as time allows" if report["trials"] is None else plural(report["trials"], unit)
    words = f"Budget: {n_trials}, {spec.budget.parallel} at a time"
    if spec.budget.ahead:
        words += f" and {spec.budget.ahead} ahead"
    if spec.budget.wall_s is not None:
        words += f", for at most {duration(spec.budget.wall_s)}"
    if spec.budget.gpu_hours is not None:
        words += f", no new ones after {number(spec.budget.gpu_hours)} GPU-hours"
    n_gpus = report["gpus"]
    each = (
        f"{n_gpus or 'no'} GPU{'s' if n_gpus != 1 else ''} and {plural(int(spec.resources.get('threads', 1)), 'CPU')}"
    )
    words += f"; each with {each}"
    if spec.runtime_s is None:
        return f"{words}. No `resources.runtime`: how long a trial may take is not bounded."
    words += f" for at most {duration(spec.runtime_s)}"
    if report["gpu_hours_at_most"] is not None:
        words += f": at most {number(float(report['gpu_hours_at_most']))} GPU-hours"
    elif report["hours_at_most"] is not None:
        words += f": at most {number(float(report['hours_at_most']))} hours"
    return f"{words}."


def _tried_again(spec: StudySpec, retry: Retry) -> str:
    """What becomes of a trial that has run into a limit."""
    parts = []
    if retry.timeouts and spec.runtime_s is not None:
        whole = duration(spec.runtime_s * (1 + retry.timeouts))
        parts.append(f"whose time is over goes on up to {_times(retry.timeouts)}, {whole} in all")
    if retry.ooms and spec.mem_mb is not None:
        sizes = [retry.mem_mb(spec.mem_mb, n) / 1000 for n in range(1, retry.ooms + 1)]
        listed = ", ".join(f"{size:.3g}" for size in sizes[:3]) + (f" ... {sizes[-1]:.3g}" if len(sizes) > 3 else "")
        parts.append(f"that is out of memory is started again with {listed} GB")
    return f"Retry: a trial {'; one '.join(parts)}."


def _times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def _cluster(study: str, plan: Plan, cost: dict[str, Any] | None) -> list[str]:
    if cost is None:
        return []
    lines = [
        f"On a cluster: {plural(cost['jobs'], 'job')}; submitting them takes {duration(cost['submit_s'])} in all and"
        f" {duration(cost['login_cpu_s'])} of the login node's CPU."
    ]
    if cost["one_allocation_is_better"]:
        threads = int(plan.spec.resources.get("threads", 1))
        cores = plan.spec.budget.parallel * threads
        took = cost["trial_s"]
        why = "If trials are short" if took is None else f"As trials took {duration(took)} so far"
        lines.append(f"  {why} (less than 5 minutes), one allocation for all of them is better:")
        gpus = plan.spec.resources.get("gpu", 0)
        asks = f" --gpus={int(gpus) * plan.spec.budget.parallel}" if isinstance(gpus, int) and gpus else ""
        if asks:
            lines.append("  (with fewer GPUs, as many as one node has, the trials take turns)")
        wrapped = shlex.quote(f"hpo run {shlex.quote(study)} --cores {cores}")
        lines.append(f"    sbatch --nodes=1 --cpus-per-task={cores}{asks} --wrap {wrapped}")
    return lines
