"""A study as CSV: what is in the table, in the curves, and what it never replaces."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.earlier_results import observations_of
from hpo_workflow.errors import UsageError
from hpo_workflow.export.csv_table import export, is_table
from hpo_workflow.export.registry import Written
from hpo_workflow.spec import Objective
from hpo_workflow.study_file.earlier_sources import read_sources
from tests.export.studies import STATES, mixed, opened


def exported(study: Any, out: Path, **options: Any) -> Written:
    return export(opened(study), {"out": str(out), "curves": False, "force": False, **options})


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_trial_is_a_line_with_its_parameters_its_metrics_its_host_and_its_times(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    written = exported(study, tmp_path / "t.csv")
    rows = table(tmp_path / "t.csv")
    assert written.lines == (f"wrote {tmp_path / 't.csv'}: 7 trials, {len(rows[0])} columns",)
    assert [row["state"] for row in rows] == STATES
    first = rows[0]
    assert (first["value"], first["metric.acc"], first["host"]) == ("0.5", "0.2", "here")
    assert (first["started"], first["ended"]) == ("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00")
    assert {row["param.epochs"] for row in rows} == {"20"}
    for row in rows:
        assert (row["param.momentum"] == "") is (row["param.optimizer"] == "adam")
    assert rows[5]["started"] == "2026-01-01T00:00:00+00:00" and rows[5]["ended"] == ""
    assert rows[1]["reason"] == "oom"


def test_curves_are_a_table_of_their_own_with_all_that_was_printed(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    written = exported(study, tmp_path / "t.csv", curves=True)
    rows = [list(row.values()) for row in table(tmp_path / "t-curves.csv")]
    assert rows[:2] == [["0", "loss", "1.0", "0.9"], ["0", "loss", "2.0", "nan"]]
    assert [row for row in rows if row[0] == "4"] == [["4", "loss", "0.5", "0.75"], ["4", "loss", "1.0", "0.25"]]
    assert written.lines[1] == f"wrote {tmp_path / 't-curves.csv'}: {len(rows)} values"
    assert math.isnan(float(rows[1][3]))


def test_exporting_again_replaces_the_table_and_never_another_file(tmp_path: Path) -> None:
    study = mixed(tmp_path / "s")
    out = tmp_path / "t.csv"
    exported(study, out, curves=True)
    study.end(6)
    exported(study, out, curves=True)
    assert table(out)[6]["state"] == "complete"
    noted = out.read_text().replace("number,", "number,my note,", 1)
    for foreign in (noted, "lr,loss\n1,2\n", "", "\x00\x01"):
        out.write_text(foreign)
        with pytest.raises(UsageError, match="is there already"):
            exported(study, out)
        assert out.read_text() == foreign
    (tmp_path / "t-curves.csv").write_text("mine\n")
    out.unlink()
    with pytest.raises(UsageError, match="t-curves.csv is there already"):
        exported(study, out, curves=True)
    assert not out.exists(), "nothing is written where not everything can be"
    exported(study, out, curves=True, force=True)
    assert is_table(str(out)) and is_table(str(tmp_path / "t-curves.csv"))


def test_an_export_that_is_interrupted_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = mixed(tmp_path / "s")
    exported(study, tmp_path / "t.csv")
    before = (tmp_path / "t.csv").read_bytes()

    def stop(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("hpo_workflow.export.trial_table.Table.values", stop)
    with pytest.raises(KeyboardInterrupt):
        exported(study, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["t.csv"]


@pytest.mark.parametrize("metric", ["loss", "value"])
def test_the_table_can_be_the_history_of_another_study(tmp_path: Path, metric: str) -> None:
    study = mixed(tmp_path / "s")
    exported(study, tmp_path / "t.csv")
    entry = {"csv": str(tmp_path / "t.csv"), "metric": metric}
    sources, notes = read_sources([entry], Objective("loss", "minimize"), str(tmp_path / "other"))
    found = observations_of(study.spec.search_space, "minimize", sources)
    ours = opened(study)
    complete = [row for row in ours.rows() if row["state"] == "complete"]
    assert notes == []
    assert [(dict(each.params), each.loss) for each in found] == [
        (ours.sampled(row["number"]), row["value"]) for row in complete
    ]


@pytest.mark.parametrize(("out", "said"), [("-", "hpo trials STUDY --csv"), ("", "give a path"), (".", "a folder")])
def test_what_is_no_path_of_a_file_is_refused(tmp_path: Path, out: str, said: str) -> None:
    study = mixed(tmp_path / "s")
    with pytest.raises(UsageError, match=said):
        export(opened(study), {"out": out, "curves": False, "force": False})
