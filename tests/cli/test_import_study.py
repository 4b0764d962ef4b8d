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
        (["wandb", "sweep.yaml", "--out", "no/study.yaml"], "no/study.yaml: cannot be written: No such file"),
        (["wandb", "sweep.yaml", "--out", "sweep.yaml/a"], "sweep.yaml/a: cannot be written: Not a directory"),
        (["wandb", "sweep.yaml", "--out", ".", "--force"], ".: cannot be written: Is a directory"),
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


@pytest.mark.parametrize("name", ["absent.json", "~nobody-here/s.json", ".", "x" * 300])
def test_a_search_space_that_cannot_be_read_is_named(hpo: Hpo, here: Path, name: str) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "config.yml").write_text(f"trialCommand: a\nsearchSpaceFile: {name}\n")
    answer = hpo("import", "nni", "sub/config.yml")
    assert answer.code == 2 and "sub/config.yml, searchSpaceFile: " in answer.err and "cannot be read" in answer.err


def test_paths_of_nni_begin_in_the_folder_of_the_configuration(hpo: Hpo, here: Path) -> None:
    (here / "sub").mkdir()
    text = "trialCommand: python3 a.py\nsearchSpaceFile: s.json\nmaxTrialNumber: 3\n"
    (here / "sub" / "config.yml").write_text(text + "tuner: {name: TPE, classArgs: {optimize_mode: maximize}}\n")
    (here / "sub" / "s.json").write_text('{"x": {"_type": "choice", "_value": [1, 2, 3]}}')
    assert hpo("import", "nni", "sub/config.yml").code == 0
    assert "cd sub && python3 a.py" in hpo("check", "study.yaml").out
