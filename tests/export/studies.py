"""Studies with all that an export may meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hpo_workflow.reading.study import Study
from hpo_workflow.samplers.design import draw_new
from hpo_workflow.spec import Budget, Fidelity, MetricSettings, Objective
from hpo_workflow.store.atomic import publish, seal
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.processes import this_process
from hpo_workflow.store.study_folder import StudyFolder, without_rendering
from tests.hostile_texts import HOSTILE
from tests.records import IDENTITY, batch, outcome, spec
from tests.simulated import Simulated

SPACE: dict[str, Any] = {
    "lr": {"type": "float", "low": 1e-4, "high": 1.0, "log": True},
    "drop": {"type": "float", "low": 0.0, "high": 0.5, "step": 0.1},
    "layers": {"type": "int", "low": 1, "high": 4},
    "optimizer": ["adam", "sgd"],
    "momentum": {"type": "float", "low": 0.8, "high": 0.99, "when": {"optimizer": "sgd"}},
    "mixed": {"choices": [1, True, "auto", 0.5]},
    "amp": {"choices": [True, False]},
    "epochs": 20,
    "scaled": {"expr": "lr * layers"},
}

METRICS = MetricSettings(step="epoch")
COMMAND = "python train.py --lr ${hpo.lr}"

CURVE = "epoch=1 loss=0.9 acc=0.1\nepoch=2 loss=nan acc=0.3\nepoch=3 loss=0.5 acc=0.2\n"


def mixed(root: Path, **changes: Any) -> Simulated:
    """Trial 0 complete, 1 failed, 2 pruned, 3 cancelled, 4 complete with fractional steps, 5 running, 6 proposed."""
    study = Simulated(root, command=COMMAND, space=SPACE, budget=Budget(12, 7), metrics=METRICS, **changes)
    while len(study.live) < 7:
        study.propose()
    study.end(0, CURVE)
    study.end(1, "loss=0.7\n", kind="failed", reason="oom")
    study.end(2, "epoch=1 loss=0.8\n", kind="pruned", reason="median")
    study.end(3, "", kind="cancelled", reason="target")
    study.end(4, "epoch=0.5 loss=0.75\nepoch=1 loss=0.25\n")
    claim = {"schema": 1, "number": 5, "batch": 0, "attempt": 1, **this_process(), "group": None, "ended": None}
    publish(study.folder.paths.claim(5, 1), {**claim, "started": "2026-01-01T00:00:00Z"})
    return study


STATES = ["complete", "failed", "pruned", "cancelled", "complete", "running", "proposed"]


def fidelity(root: Path) -> Simulated:
    """Nine configurations of one epoch, and what goes on from the best of them."""
    ladder = Fidelity("level", "int", 1, 9, 3)
    study = Simulated(root, command=COMMAND, space=SPACE, budget=Budget(9, 3), fidelity=ladder)
    study.run(12)
    return study


def empty(root: Path) -> Simulated:
    """A study that has proposed nothing yet."""
    return Simulated(root, command=COMMAND, space=SPACE)


def hostile(root: Path) -> Path:
    """Every text is a parameter's value, the name of a metric, a reason's detail, and a host."""
    study = spec(
        space={"c": {"choices": list(HOSTILE)}},
        command="prog ${hpo.c}",
        budget=Budget(len(HOSTILE) + 1, 1),
        objective=Objective(HOSTILE[0], "minimize"),
    )
    folder = StudyFolder(str(root))
    Plan(study, IDENTITY, {}, "study.yaml").store(folder)
    publish(folder.paths.batch_record(0), batch(0, {n: {"c": text} for n, text in enumerate(HOSTILE)}, study))
    for number, text in enumerate(HOSTILE):
        found = outcome(number, 0, None if number % 3 == 2 else float(number), detail=text)
        found.update({"metrics": {text: 1.0}, "host": text, "log": text, "gpus": 0})
        written(folder.paths.metric(study.metrics_digest, number, 0), seal(found))
        points = {HOSTILE[0]: [[1, 0.5], [2, 0.25]], text: [["nan", 1.0], [2.5, "-inf"]]}
        result = {"number": number, "host": text, "started": text, "ended": "2026-01-01T00:00:01Z", "attempts": []}
        record = {**result, "log": text, "metrics": {"digest": study.metrics_digest, "points": points}}
        written(folder.paths.result_record(number), seal(record))
    return root


def large(root: Path, n_trials: int) -> Path:
    """A study whose trials have ended, each with twenty values of two metrics; every tenth failed."""
    study = spec(space=SPACE, command=COMMAND, budget=Budget(n_trials, 8), metrics=METRICS)
    folder = StudyFolder(str(root))
    Plan(study, IDENTITY, {}, "study.yaml").store(folder)
    rng = np.random.default_rng(0)
    batches, outcomes = [], []
    for start in range(0, n_trials, 100):
        number = len(batches)
        taken: set[str] = set()
        drawn = {n: draw_new(study.search_space, taken, rng) or {} for n in range(start, min(start + 100, n_trials))}
        record = batch(number, drawn, study)
        written(folder.paths.batch_record(number), seal(record))
        batches.append(seal(without_rendering(record)))
        for n in drawn:
            value = (n * 0.618) % 1.0
            failed = n % 10 == 9
            known = {"metrics": {"loss": value, "acc": 1 - value}, "host": "node", "log": None, "gpus": 0}
            outcomes.append(seal({**outcome(n, number, None if failed else value, **known), "best": None}))
            curve = [[step, value + 1 / (step + 1)] for step in range(19)] + [[19, value]]
            points = {"loss": curve, "acc": [[step, 1 - loss] for step, loss in curve]}
            result = {"number": n, "host": "node", "attempts": [], "log": None, "seconds": 60.0}
            times = {"started": "2026-01-01T00:00:00Z", "ended": "2026-01-01T00:01:00Z"}
            metrics = {"digest": study.metrics_digest, "points": points}
            written(folder.paths.result_record(n), seal({**result, **times, "metrics": metrics}))
    written(folder.paths.batch_index, "".join(batches))
    written(folder.paths.metric_index(study.metrics_digest), "".join(outcomes))
    return root


def written(path: str, text: str) -> None:
    """Write a file without waiting for the disk."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def opened(study: Simulated | Path) -> Study:
    """A study as it is now."""
    return Study.open(str(study) if isinstance(study, Path) else study.folder.root)
