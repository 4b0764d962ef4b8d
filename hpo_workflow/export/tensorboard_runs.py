"""`hpo export --to tensorboard`: a folder with a run for each trial that has started, and the table of HParams.

A run is `trial-NUMBER` with one file of events, which appears as a whole. Its name says what it was made from: a
further export leaves it alone while that is so, and puts another in its place when the trial has ended or is read anew.
So a TensorBoard that shows the folder shows new trials too.

- Scalars are what the trial printed, by metric. Steps are whole numbers: where a metric of a trial has another one, its
  values are counted from 0. TensorBoard keeps single precision. When a value was printed is not known: the time of all
  is that of the trial's end.
- HParams are the active sampled parameters and the derived ones, with `fidelity:` also how far it trained. Its metrics
  are the value of the trial and all that was printed.
- A complete or pruned trial is a success there, a failed or cancelled one a failure.

Written with TensorBoard's own messages and record files, without TensorFlow. Importing this module imports TensorBoard.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from hpo_workflow.errors import MissingExtra, UsageError
from hpo_workflow.export.destination import named, whole_file
from hpo_workflow.export.registry import Written
from hpo_workflow.export.trial_table import text_of
from hpo_workflow.integrations.whole_steps import whole_steps
from hpo_workflow.reading.columns import kind_of_param
from hpo_workflow.reading.study import Study
from hpo_workflow.space import Categorical
from hpo_workflow.space.parameters import Parameter
from hpo_workflow.store.atomic import replace

try:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import api_pb2, metadata
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo, SessionStartInfo
    from tensorboard.summary.writer.record_writer import RecordWriter
except ImportError as error:
    raise MissingExtra("tensorboard", "tensorboard") from error

MARK = "hpo-export.json"
"""The file in a folder that says that an export made it, and of which study."""

VALUE = "hpo_workflow/value"
"""The tag of a trial's value: the last or best one of its objective, as `reduce:` says."""

FILE = "events.out.tfevents.{:08x}.hpo"
OURS = re.compile(r"events\.out\.tfevents\.[0-9a-f]{8}\.hpo")
RUN = re.compile(r"trial-\d{5,}")

STATUS = {
    "complete": api_pb2.STATUS_SUCCESS,
    "pruned": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
    "cancelled": api_pb2.STATUS_FAILURE,
}
"""The status of a trial that has ended."""

TYPES = {"bool": api_pb2.DATA_TYPE_BOOL, "int64": api_pb2.DATA_TYPE_FLOAT64, "double": api_pb2.DATA_TYPE_FLOAT64}
"""The type of a parameter; text where it is none of these."""


def export(study: Study, options: Mapping[str, Any]) -> Written:
    """Write the folder NAME-tensorboard, or bring it up to date.

    Raises:
        UsageError: Something else is there.
    """
    folder = named(options["out"], f"{study.name}-tensorboard")
    _claim(folder, study)
    rows = [row for row in study.rows() if row["state"] != "proposed"]
    types = _types(study, rows)
    experiment = _experiment(study, rows, types)
    _settle(folder, zlib.crc32(experiment.SerializeToString()), lambda: iter([_about(experiment, 0.0)]))
    n_written = 0
    for row in rows:
        run = os.path.join(folder, f"trial-{row['number']:05d}")
        made_from = [row, study.plan["metrics_digest"], types]
        digest = zlib.crc32(json.dumps(made_from, sort_keys=True, default=str).encode())
        n_written += _settle(run, digest, partial(_events, study, row, types))
    n_gone = _remove_others(folder, {f"trial-{row['number']:05d}" for row in rows})
    lines = [f"wrote {folder}: {n_written} runs, {len(rows) - n_written} as they were"]
    lines += [f"removed {n_gone} runs of trials that do not count any more"] if n_gone else []
    return Written(tuple(lines), f"tensorboard --logdir {shlex.quote(folder)}")


# ---- the folder ----------------------------------------------------------------------------------------------
def _claim(folder: str, study: Study) -> None:
    """Make the folder ours, unless something else is in it."""
    root = os.path.abspath(study.root)
    cure = "Give another folder with --out; `tensorboard --logdir` shows all that are below the one that it is given."
    if os.path.lexists(folder):
        if not os.path.isdir(folder):
            raise UsageError(f"{folder} is there already, and it is no folder.\n  {cure}")
        try:
            with open(os.path.join(folder, MARK), encoding="utf-8") as file:
                known = json.load(file)["root"]
        except (OSError, ValueError, KeyError, TypeError):
            known = None
            if os.listdir(folder):
                raise UsageError(f"{folder} is there already, and no export made it.\n  {cure}") from None
        if known not in (None, root):
            raise UsageError(f"{folder} holds the study that was exported from {known}.\n  {cure}")
    os.makedirs(folder, exist_ok=True)
    replace(os.path.join(folder, MARK), json.dumps({"study": study.name, "root": root}) + "\n")


def _settle(folder: str, digest: int, events: Callable[[], Iterator[Event]]) -> bool:
    """Let the only file of ours in a folder be that of this digest; whether it had to be written."""
    name = FILE.format(digest)
    with contextlib.suppress(FileNotFoundError):
        if name in os.listdir(folder):
            return False
    new = os.path.join(folder, "run.new")  # TensorBoard reads all whose names have `tfevents` in them
    with whole_file(new, sync=False) as file:
        writer = RecordWriter(file)
        # the version, or TensorBoard takes a smaller step for a restart and forgets what came before it
        writer.write(Event(wall_time=0.0, file_version="brain.Event:2").SerializeToString())
        for event in events():
            writer.write(event.SerializeToString())
    for other in os.listdir(folder):
        if OURS.fullmatch(other):
            os.unlink(os.path.join(folder, other))
    os.rename(new, os.path.join(folder, name))
    return True


def _remove_others(folder: str, names: set[str]) -> int:
    """Remove the runs of trials that do not count any more; how many. What somebody else put there stays."""
    count = 0
    for name in os.listdir(folder):
        if RUN.fullmatch(name) and name not in names:
            run = os.path.join(folder, name)
            for file in filter(OURS.fullmatch, os.listdir(run)):
                os.unlink(os.path.join(run, file))
            with contextlib.suppress(OSError):
                os.rmdir(run)
            count += 1
    return count


# ---- what is in it -------------------------------------------------------------------------------------------
def _types(study: Study, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The parameters that vary, each with the type that holds all its values, as `kind_of` says."""
    space = study.spec.search_space
    return {
        name: kind_of_param(space, name, (row["params"][name] for row in rows if name in row["params"]))
        for name in space.names()
        if name not in space.constants
    }


def _experiment(study: Study, rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> HParamsPluginData:
    """What HParams shows: columns and their ranges."""
    space = study.spec.search_space
    columns = [_column(name, kind, space.sampled(name)) for name, kind in types.items()]
    if study.spec.fidelity is not None and study.spec.fidelity.name not in types:
        columns.append(api_pb2.HParamInfo(name=text_of(study.spec.fidelity.name), type=api_pb2.DATA_TYPE_FLOAT64))
    names = dict.fromkeys([study.metric, *sorted({name for row in rows for name in row["metrics"]})])
    metrics = [_metric(VALUE, f"value ({study.metric})"), *(_metric(name, name) for name in names)]
    return HParamsPluginData(experiment=api_pb2.Experiment(hparam_infos=columns, metric_infos=metrics))


def _column(name: str, kind: str, parameter: Parameter | None) -> api_pb2.HParamInfo:
    column = api_pb2.HParamInfo(name=text_of(name), type=TYPES.get(kind, api_pb2.DATA_TYPE_STRING))
    if isinstance(parameter, Categorical):
        column.domain_discrete.extend([choice if kind in TYPES else text_of(choice) for choice in parameter.choices])
    elif parameter is not None:
        column.domain_interval.min_value = parameter.low
        column.domain_interval.max_value = parameter.high
    return column


def _metric(tag: str, shown: str) -> api_pb2.MetricInfo:
    return api_pb2.MetricInfo(name=api_pb2.MetricName(tag=text_of(tag)), display_name=text_of(shown))


def _events(study: Study, row: Mapping[str, Any], types: Mapping[str, str]) -> Iterator[Event]:
    """A run: what was tried, what it printed, how it ended."""
    number = row["number"]
    printed = study.points(number)
    started, ended = (_seconds(moment) for moment in study.moments(number))
    begin = started or ended or time.time()
    start = SessionStartInfo(start_time_secs=begin)
    for name, value in row["params"].items():
        if name in types:
            _set(start.hparams[text_of(name)], value if types[name] in TYPES else text_of(value))
    if row["fidelity"] is not None and study.spec.fidelity is not None and study.spec.fidelity.name not in types:
        start.hparams[text_of(study.spec.fidelity.name)].number_value = row["fidelity"]
    yield _about(HParamsPluginData(session_start_info=start), begin)
    if row["state"] not in STATUS:
        return
    end = max(begin, ended or begin)
    scalars: dict[int, list[tuple[str, float]]] = {}
    for name, points in printed.items():
        for step, value in whole_steps(points)[0].items():
            scalars.setdefault(step, []).append((name, value))
    if row["value"] is not None:
        scalars.setdefault(0, []).append((VALUE, row["value"]))
    for step in sorted(scalars):
        values = [Summary.Value(tag=text_of(name), simple_value=value) for name, value in scalars[step]]
        yield Event(wall_time=end, step=step, summary=Summary(value=values))
    info = SessionEndInfo(status=STATUS[row["state"]], end_time_secs=end)
    yield _about(HParamsPluginData(session_end_info=info), end)


def _set(slot: Any, value: Any) -> None:
    """Put a value into a message that holds one of several kinds."""
    if isinstance(value, bool):
        slot.bool_value = value
    elif isinstance(value, str):
        slot.string_value = value
    else:
        slot.number_value = value


def _about(data: HParamsPluginData, wall_time: float) -> Event:
    """A message of HParams as an event."""
    tags = {
        "experiment": metadata.EXPERIMENT_TAG,
        "session_start_info": metadata.SESSION_START_INFO_TAG,
        "session_end_info": metadata.SESSION_END_INFO_TAG,
    }
    value = Summary.Value(
        tag=tags[data.WhichOneof("data")],
        metadata=metadata.create_summary_metadata(data),
        tensor=metadata.NULL_TENSOR,
    )
    return Event(wall_time=wall_time, summary=Summary(value=[value]))


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
