"""What every format that is written into files must do, whatever the study holds: say the same of each trial, say it
once, be repeatable, and do nothing.

MLflow and wandb, which have programs of their own, are tested in tests/export.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.export.registry import FORMATS, exporter
from hpo_workflow.reading.study import Study
from tests.export import studies
from tests.machine import need
from tests.soak import IS_SOAK, size


@dataclass(frozen=True)
class Seen:
    """What a format says of a trial: its value (None where it says none), and its sampled parameters as text."""

    value: float | None
    params: dict[str, str]


Read = Callable[[Path, Study], dict[int, Seen]]


def text(value: Any) -> str:
    """A value as every format could say it: numbers as numbers, true as true."""
    if isinstance(value, (bool, str)):
        return json.dumps(value) if isinstance(value, bool) else value
    return repr(float(value))


def read_csv(out: Path, study: Study) -> dict[int, Seen]:
    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = set(study.spec.search_space.by_name)
    return {
        int(row["number"]): Seen(
            float(row["value"]) if row["value"] else None,
            {
                name.removeprefix("param."): cell
                for name, cell in row.items()
                if name.removeprefix("param.") in names and cell
            },
        )
        for row in rows
    }


def read_parquet(out: Path, study: Study) -> dict[int, Seen]:
    from pyarrow import parquet

    names = study.spec.search_space.by_name
    return {
        row["number"]: Seen(
            row["value"],
            {name: text(row[f"param.{name}"]) for name in names if row.get(f"param.{name}") is not None},
        )
        for row in parquet.read_table(out).to_pylist()
    }


def read_optuna(out: Path, study: Study) -> dict[int, Seen]:
    import optuna

    from hpo_workflow.samplers.optuna_sampler import quiet

    with quiet():
        place: Any = f"sqlite:///{out}"
        if out.suffix == ".log":
            place = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(out)))
        trials = optuna.load_study(study_name=study.name, storage=place).trials
    return {
        trial.user_attrs["number"]: Seen(trial.value, {name: text(value) for name, value in trial.params.items()})
        for trial in trials
    }


def read_tensorboard(out: Path, study: Study) -> dict[int, Seen]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    from hpo_workflow.export.tensorboard_runs import VALUE

    found = {}
    for run in out.glob("trial-*"):
        events = EventAccumulator(str(run))
        events.Reload()
        (content,) = (
            events.SummaryMetadata(tag).plugin_data.content
            for tag in events.PluginTagToContent("hparams")
            if tag == metadata.SESSION_START_INFO_TAG
        )
        hparams = metadata.parse_session_start_info_plugin_data(content).hparams
        params = {
            name: text(getattr(hparams[name], str(hparams[name].WhichOneof("kind"))))
            for name in hparams
            if name in study.spec.search_space.by_name
        }
        value = events.Scalars(VALUE)[0].value if VALUE in events.Tags()["scalars"] else None
        found[int(run.name.removeprefix("trial-"))] = Seen(value, params)
    return found


FILES: dict[str, tuple[str, str, Read]] = {
    "csv": ("csv", "out.csv", read_csv),
    "parquet": ("parquet", "out.parquet", read_parquet),
    "a journal of optuna": ("optuna", "out.log", read_optuna),
    "a database of optuna": ("optuna", "out.db", read_optuna),
    "tensorboard": ("tensorboard", "out", read_tensorboard),
}
NEEDS = {"parquet": "pyarrow", "optuna": "optuna", "tensorboard": "tensorboard"}

STUDIES: dict[str, Callable[[Path], Any]] = {
    "all states and conditions": studies.mixed,
    "fidelity": studies.fidelity,
    "hostile texts": studies.hostile,
    "empty": studies.empty,
}


def test_every_format_is_tested_here_or_with_a_program_of_its_own() -> None:
    assert {format_name for format_name, _, _ in FILES.values()} == set(FORMATS) - {"mlflow", "wandb"}


@pytest.mark.parametrize("kind", STUDIES)
@pytest.mark.parametrize("name", FILES)
def test_every_trial_is_there_once_with_its_value_and_its_parameters(tmp_path: Path, name: str, kind: str) -> None:
    format_name, file, read = FILES[name]
    if format_name in NEEDS:
        need(NEEDS[format_name])
    study = studies.opened(STUDIES[kind](tmp_path / "s"))
    options = {**dict.fromkeys(FORMATS[format_name].options), "out": str(tmp_path / "to" / file)}
    for _ in range(2):
        written = exporter(format_name)(study, options)
        assert written.lines and all(line.isprintable() for line in written.lines)
        found = read(tmp_path / "to" / file, study)
        rows = [row for row in study.rows() if format_name != "tensorboard" or row["state"] != "proposed"]
        assert sorted(found) == [row["number"] for row in rows]
        for row in rows:
            seen = found[row["number"]]
            assert (seen.value is None) is (row["value"] is None)
            if row["value"] is not None:
                assert seen.value is not None and math.isclose(seen.value, row["value"], rel_tol=1e-6)
            sampled = study.sampled(row["number"])
            if format_name == "csv":  # which cannot tell a text of no characters from none
                sampled = {each: value for each, value in sampled.items() if value != ""}
            assert set(seen.params) == set(sampled), "what is inactive is absent"
            for each, value in sampled.items():
                shown = {text(value), str(value), json.dumps(value), f"'{value}"}
                said = seen.params[each]
                assert said in shown or math.isclose(float(said), float(value), rel_tol=1e-12), (each, value)
    assert study.folder.problems == []
    assert not (tmp_path / "hit").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["s", "to"]


@pytest.mark.soak
@pytest.mark.parametrize("name", FILES)
def test_a_large_study_is_exported_in_seconds_and_again_in_fewer(tmp_path: Path, name: str) -> None:
    format_name, file, read = FILES[name]
    if format_name in NEEDS:
        need(NEEDS[format_name])
    n_trials = size(100, 10_000)
    root = studies.large(tmp_path / "s", n_trials)
    options = {**dict.fromkeys(FORMATS[format_name].options), "out": str(tmp_path / file)}
    took = []
    for _ in range(2):
        begun = time.process_time()
        exporter(format_name)(Study.open(str(root)), options)
        took.append(time.process_time() - begun)
    print(f"{n_trials} trials, {name}: {took[0]:.1f} CPU s, again {took[1]:.1f} CPU s")
    assert took[0] < 60
    if format_name in ("optuna", "tensorboard"):
        assert took[1] < 15
    if not IS_SOAK:
        assert len(read(tmp_path / file, Study.open(str(root)))) == n_trials
