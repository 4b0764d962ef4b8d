"""`hpo export`: which options belong to which format, what is said, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hpo_workflow.export.registry import FORMATS, OPTIONS, exporter
from tests.cli.conftest import Hpo
from tests.cli.studies import finished_study, write_study
from tests.export.studies import mixed
from tests.machine import need

NEEDS = {"optuna": ["optuna"], "parquet": ["pyarrow"], "tensorboard": ["tensorboard"]}


def test_a_study_that_has_not_run_is_said(hpo: Hpo) -> None:
    answer = hpo("export", write_study(), "--to", "csv")
    assert answer.code == 1
    assert "study s has not run yet" in answer.err


def test_what_was_written_is_said_and_lies_where_the_command_was_typed(hpo: Hpo, here: Path) -> None:
    finished_study()
    answer = hpo("export", "study.yaml", "--to", "csv", "--curves")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[0].startswith("wrote s.csv: 4 trials, ")
    assert sorted(path.name for path in here.iterdir()) == ["results", "s-curves.csv", "s.csv", "study.yaml"]
    assert hpo("export", "results/s", "--to", "csv", "--out", "a/b.csv").code == 0
    assert (here / "a/b.csv").read_text() == (here / "s.csv").read_text()


def test_the_printed_table_is_the_written_one_without_what_takes_long_to_read(hpo: Hpo, here: Path) -> None:
    mixed(here / "results" / "s")
    hpo("export", "results/s", "--to", "csv")
    printed = hpo("trials", "results/s", "--csv").out.splitlines()
    written = (here / "s.csv").read_text().splitlines()
    assert written[0].replace("host,started,ended,", "") == printed[0]
    assert len(written) == len(printed) == 8


def test_a_file_that_something_else_wrote_is_not_replaced(hpo: Hpo, here: Path) -> None:
    finished_study()
    (here / "s.csv").write_text("mine\n")
    answer = hpo("export", "study.yaml", "--to", "csv")
    assert answer.code == 2
    assert "s.csv is there already" in answer.err and "--force" in answer.err
    assert (here / "s.csv").read_text() == "mine\n"
    assert hpo("export", "study.yaml", "--to", "csv", "--force").code == 0


def test_a_study_in_which_something_is_damaged_is_exported_and_it_is_said(hpo: Hpo, here: Path) -> None:
    study = mixed(here / "results" / "s")
    Path(study.folder.paths.result_record(0)).write_text("{")
    answer = hpo("export", "results/s", "--to", "csv", "--curves")
    assert answer.code == 0
    assert "warning: " in answer.err and "0.json cannot be read: it is damaged" in answer.err
    assert "7 trials" in answer.out


def test_a_format_that_does_not_exist_is_answered_with_those_that_do(hpo: Hpo) -> None:
    answer = hpo("export", "study.yaml", "--to", "xlsx")
    assert answer.code == 2
    assert "'csv'" in answer.err
    assert hpo("export", "study.yaml").code == 2


def test_an_option_of_another_format_is_refused(hpo: Hpo) -> None:
    finished_study()
    answer = hpo("export", "study.yaml", "--to", "optuna", "--curves")
    assert answer.code == 2
    assert "--curves: optuna has no such option; csv and parquet have." in answer.err


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_can_be_asked_for_and_has_options_that_exist(name: str) -> None:
    need(*NEEDS.get(name, ()))
    assert set(FORMATS[name].options) <= set(OPTIONS)
    assert callable(exporter(name))
    assert len(FORMATS[name].what) < 60


BARE = """
import sys
from hpo_workflow.__main__ import main
for name, package in [("parquet", "pyarrow"), ("optuna", "optuna"), ("tensorboard", "tensorboard")]:
    sys.modules[package] = None
    assert main(["export", "study.yaml", "--to", name]) == 2
"""


def test_a_format_whose_package_is_not_there_names_the_extra(hpo: Hpo, here: Path) -> None:
    finished_study()
    done = subprocess.run([sys.executable, "-c", BARE], cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    extras = [line.strip() for line in done.stderr.splitlines() if "pip" in line]
    assert extras == [f"pip install 'hpo-workflow[{name}]'" for name in ("pyarrow", "optuna", "tensorboard")]
    assert sorted(path.name for path in here.iterdir()) == ["results", "study.yaml"]
