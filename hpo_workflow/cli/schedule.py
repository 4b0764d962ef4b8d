"""How the best trial was trained: which parameters held from when to when, and how to train it so again.

A *stage* is one trial of the line from its root to itself. Each begins with what the one before left in its directory.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hpo_workflow.analysis import lineage
from hpo_workflow.cli.terminal import number, one_line, plural, table, value_text
from hpo_workflow.reading.best import trial_facts
from hpo_workflow.runner.command import Facts, choose_port, resolve
from hpo_workflow.runner.environment import trial_environment
from hpo_workflow.spec import StudySpec
from hpo_workflow.store.study_folder import StudyFolder
from hpo_workflow.study_state import StudyState
from hpo_workflow.template import RenderedTrial, describe
from hpo_workflow.trial import Params


@dataclass(frozen=True)
class Stage:
    """One trial of the line.

    Args:
        number: Of the trial.
        config: Of its configuration.
        value: The objective; None where the trial does not count any more.
        params: Its sampled parameters.
        begins, ends: The fidelities between which it was trained; it begins at 0 where it began with nothing.
        rendered: What it ran.
        facts: What `${trial.NAME}` stood for.
    """

    number: int
    config: int
    value: float | None
    params: Params
    begins: float
    ends: float
    rendered: RenderedTrial
    facts: dict[str, object]


def stages_of_best(folder: StudyFolder, state: StudyState) -> list[Stage]:
    """The line of the best trial of a study with `fidelity:`, from its root; nothing while no trial is complete.

    Trials that do not count any more, because the space has changed since, belong to it like any other.
    """
    best = state.incumbent
    if best is None:
        return []
    emitted = {
        trial["number"]: (record["batch"], trial["parent"]) for record in folder.batches() for trial in record["trials"]
    }
    goes_on = resumes(state.spec)
    root = os.path.abspath(folder.root)
    stages: list[Stage] = []
    for each in lineage({name: parent for name, (_, parent) in emitted.items()}, best.number):
        trial = folder.trial_record(each, emitted[each][0])
        rendered = RenderedTrial.from_json(trial["rendered"])
        facts = trial_facts(trial, rendered, root)
        begins = stages[-1].ends if stages and goes_on and facts["resume_from"] else 0
        value = state.finished[each].value if each in state.finished else None
        stages.append(Stage(each, trial["config"], value, trial["params"], begins, trial["fidelity"], rendered, facts))
    return stages


def resumes(spec: StudySpec) -> bool:
    """Whether the program is told what to go on from; one that is not begins each trial with nothing."""
    texts = [spec.command] if isinstance(spec.command, str) else list(spec.command)
    texts += [*spec.env.values(), spec.setup, *(template.text for template in spec.templates.values())]
    named = any("${trial.resume_from" in text or "HPO_RESUME_FROM" in text for text in texts)
    return named or "env" in spec.passed


def schedule_record(spec: StudySpec, stages: Sequence[Stage]) -> dict[str, Any]:
    """The line as JSON values; `params` are complete, with constants and derived values."""
    best = stages[-1]
    return {
        "trial": best.number,
        "value": best.value,
        "stages": [
            {
                "trial": stage.number,
                "config": stage.config,
                "from": stage.begins,
                "to": stage.ends,
                "value": stage.value,
                "params": spec.search_space.complete(stage.params),
                "dir": stage.facts["dir"],
                "resume_from": stage.facts["resume_from"] or None,
                "command": _command(spec, stage),
            }
            for stage in stages
        ],
    }


def _command(spec: StudySpec, stage: Stage) -> str:
    command = describe(stage.rendered, stage.facts, passed=spec.passed)
    return f"cd {shlex.quote(str(stage.facts['dir']))}\n{command}" if spec.workdir == "trial" else command


def schedule_lines(spec: StudySpec, stages: Sequence[Stage], argument: str) -> list[str]:
    """The line as a table, a row for each stage.

    Args:
        argument: What the user calls the study.
    """
    assert spec.fidelity is not None
    best = stages[-1]
    names = [name for name in spec.search_space.names() if spec.search_space.sampled(name)]
    header = ["trial", spec.fidelity.name, spec.objective.metric, *names]
    rows = [
        [
            str(stage.number),
            f"{stage.begins:g} to {stage.ends:g}",
            number(stage.value),
            *(value_text(stage.params.get(name, "")) for name in names),
        ]
        for stage in stages
    ]
    steps = plural(len(stages), "stage")
    return [
        f"best {spec.objective.metric} {number(best.value)} (trial {best.number}), trained in {steps}:",
        *(f"  {line}" for line in table(header, rows)),
        f"train it again: hpo best {shlex.quote(argument)} --schedule --commands > replay.sh",
    ]


def needed(stages: Sequence[Stage]) -> list[Stage]:
    """The stages on which the best trial rests: from the last one that began with nothing."""
    first = max(i for i, stage in enumerate(stages) if stage.begins == 0)
    return list(stages[first:])


def replay_script(spec: StudySpec, stages: Sequence[Stage], into: str) -> str:
    """A script for a shell that trains the best trial again: each stage in the environment that the runner gave it.

    Args:
        into: An absolute path; the stages get folders of their own in it, and it must not exist.
    """
    best = stages[-1]
    assert spec.fidelity is not None
    metric = spec.objective.metric
    bash = spec.shell == "bash"
    lines = [
        "#!/usr/bin/env bash" if bash else "#!/bin/sh",
        f"# Trains the best trial of study {spec.study} again: trial {best.number}, {metric}={best.value!r}.",
        "# It writes into the folder of the next line. Run it where the study was run.",
        f"mkdir {shlex.quote(into)} || exit",
        "set -euo pipefail" if bash else "set -eu",
    ]
    if spec.setup.strip():
        lines += ["set +u", spec.setup.strip("\n"), "set -u"]
    came_from = ""
    for stage in needed(stages):
        place = os.path.join(into, str(stage.number))
        lines += ["", f"# {_told(spec, stage)}", *_stage_lines(spec, stage, place, came_from)]
        came_from = place
    return "\n".join(lines) + "\n"


def _told(spec: StudySpec, stage: Stage) -> str:
    assert spec.fidelity is not None
    span = f"{spec.fidelity.name} {stage.begins:g} to {stage.ends:g}"
    return one_line(f"{span}: trial {stage.number}, {spec.objective.metric}={stage.value!r}")


def _stage_lines(spec: StudySpec, stage: Stage, place: str, came_from: str) -> list[str]:
    """What the runner did for one trial, in another folder."""
    rendered = stage.rendered
    params_file = os.path.join(place, "params.json")
    known = {**stage.facts, "dir": place, "resume_from": came_from, "params_file": params_file}
    known.update({f"file.{name}": os.path.join(place, file["to"]) for name, file in rendered.files.items()})
    facts = Facts(known, lambda: choose_port(place, stage.number))
    files = {params_file: rendered.params_text}
    files.update({facts[f"file.{name}"]: resolve(file["text"], facts) for name, file in rendered.files.items()})
    environment = trial_environment(
        {},
        spec.to_json(),
        {name: resolve(value, facts) for name, value in rendered.env.items()},
        rendered.hpo_env,
        {
            "HPO_STUDY": spec.study,
            "HPO_TRIAL": facts["number"],
            "HPO_TRIAL_DIR": place,
            "HPO_SEED": facts["seed"],
            "HPO_ATTEMPT": facts["attempt"],
            "HPO_PARAMS_FILE": params_file,
            "HPO_METRICS_FILE": os.path.join(place, "metrics.jsonl"),
            "HPO_FIDELITY": facts["fidelity"],
            "HPO_RESUME_FROM": came_from,
        },
        None,
    )
    if isinstance(spec.command, str):
        assert not any(isinstance(piece, list) for piece in rendered.command)
        command = resolve([piece for piece in rendered.command if not isinstance(piece, list)], facts).strip("\n")
    else:
        command = shlex.join(resolve(word, facts) for word in rendered.command if isinstance(word, list))
    folders = sorted({os.path.dirname(path) for path in files})
    return [
        "(",
        f"mkdir -p {shlex.join(folders)}",
        *(f"printf %s {shlex.quote(text)} > {shlex.quote(path)}" for path, text in files.items()),
        *(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        *([f"cd {shlex.quote(place)}"] if spec.workdir == "trial" else []),
        command,
        ")",
    ]
