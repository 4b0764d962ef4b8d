from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Hpo

SWEEP = """\
program: train.py
method: random
metric: {name: loss}
parameters:
  lr: {values: [0.1, 0.2]}
  noise: {distribution: normal}
"""


@pytest.fixture
def sweep(here: Path) -> str:
    (here / "sweep.yaml").write_text(SWEEP)
    return "sweep.yaml"


def test_it_says_what_is_not_there_and_what_comes_next(hpo: Hpo, sweep: str) -> None:
    answer = hpo("import", "wandb", sweep)
    assert answer.code == 0 and answer.err == ""
    lines = answer.out.splitlines()
    assert lines[0] == "written: study.yaml, study sweep with 1 parameter"
    assert "Not carried over:" in lines and "Carried over in another form:" in lines
    asked = lines[lines.index("To be filled in:") + 1 : -1]
    assert [line.split(":")[0].strip() for line in asked] == ["space.noise", "budget.trials"]
    assert lines[-1] == "next: fill in study.yaml, then hpo check study.yaml"
    checked = hpo("check", "study.yaml")
    assert checked.code == 2 and "space.noise: nothing is given" in checked.err


def test_what_is_given_on_the_command_line_counts(hpo: Hpo, sweep: str, here: Path) -> None:
    (here / sweep).write_text(SWEEP.replace("program: train.py\n", "").replace("distribution: normal", "value: 1"))
    answer = hpo(
        "import", "wandb", sweep, "--command", "run ${hpo.lr} ${hpo.noise}", "--trials", "7", "--out", "a b.yaml"
    )
    assert answer.code == 0 and answer.out.splitlines()[-1] == "next: hpo check 'a b.yaml'"
    checked = hpo("check", "a b.yaml")
    assert checked.code == 0 and "run 0.2 1" in checked.out
    assert "trials: 7" in (here / "a b.yaml").read_text()


def test_a_file_that_is_there_stays_unless_forced(hpo: Hpo, sweep: str, here: Path) -> None:
    (here / "study.yaml").write_text("mine")
    answer = hpo("import", "wandb", sweep)
    assert answer.code == 2 and "study.yaml: already there" in answer.err
    assert (here / "study.yaml").read_text() == "mine"
    assert hpo("import", "wandb", sweep, "--force").code == 0
    assert (here / "study.yaml").read_text().startswith("# yaml-language-server:")


def test_it_can_be_printed(hpo: Hpo, sweep: str, here: Path) -> None:
    answer = hpo("import", "wandb", sweep, "--out", "-")
    assert answer.code == 0 and "study: sweep" in answer.out and "To be filled in:" in answer.err
    assert [path.name for path in here.iterdir()] == ["sweep.yaml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["wandb", "absent.yaml"], "absent.yaml: there is no such file."),
        (["wandb", "."], ".: this is a folder."),
        (["nni", "sweep.yaml"], "sweep.yaml: this is no experiment of NNI."),
        (["katib", "sweep.yaml"], "sweep.yaml: this is no Experiment of Katib"),
        (["wandb", "sweep.yaml", "--study", "s"], "--study names a study of an Optuna storage"),
        (["guild", "sweep.yaml"], "'guild' is not one of"),
        (["wandb", "sweep.yaml", "--trials", "0"], "0 is not in the range"),
    ],
)
def test_a_wrong_call_is_refused_and_writes_nothing(
    hpo: Hpo, sweep: str, here: Path, arguments: list[str], said: str
) -> None:
    answer = hpo("import", *arguments)
    assert answer.code == 2 and said in answer.err
    assert [path.name for path in here.iterdir()] == ["sweep.yaml"]


def test_what_no_importer_foresees_is_found_by_the_check_at_the_end(hpo: Hpo, sweep: str) -> None:
    Path(sweep).write_text(SWEEP.replace("distribution: normal", "value: 1"))
    answer = hpo("import", "wandb", sweep, "--command", "run '${hpo.lr}'", "--trials", "3")
    assert answer.code == 0
    assert "To be mended:\n  command: `${hpo.lr}` stands in single quotes" in answer.out
    assert answer.out.splitlines()[-1] == "next: mend study.yaml, then hpo check study.yaml"
