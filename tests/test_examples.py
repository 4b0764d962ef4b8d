"""Each example runs as its README says, with a smaller budget, and its result is what its program printed."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.clone import ROOT, Clone, block, blocks

STUDIES = {
    "config/digits.yaml": "examples/digits/README.md",
    "examples/svm/study.yaml": "examples/svm/README.md",
    "examples/solver/study.yaml": "examples/solver/README.md",
    "examples/torch_cnn/study.yaml": "examples/torch_cnn/README.md",
    "examples/lightgbm/study.yaml": "examples/lightgbm/README.md",
    "examples/r/study.yaml": "examples/r/README.md",
    "examples/external_sampler/study.yaml": "examples/external_sampler/README.md",
    "examples/pbt/study.yaml": "examples/pbt/README.md",
    "examples/asha_torch/study.yaml": "examples/asha_torch/README.md",
    "examples/boosting/study.yaml": "examples/boosting/README.md",
    "examples/data_fraction/study.yaml": "examples/data_fraction/README.md",
}
"""Study files and the documents that tell how to run them."""

WORKFLOWS = {"module": "snakemake --cores 2"}
"""Examples that are workflows of their own, and how they are started; tests/workflow/test_modules.py runs them."""

NUMBER = r"([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)"


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


@pytest.fixture(scope="module")
def multigrid():
    """The solver as a module."""
    import importlib.util

    specification = importlib.util.spec_from_file_location("multigrid", ROOT / "examples/solver/multigrid.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["multigrid"] = module  # its dataclass looks itself up there
    specification.loader.exec_module(module)
    yield module
    del sys.modules["multigrid"]


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


def logs(clone: Clone, study: str) -> dict[int, str]:
    """What each trial printed, by its number."""
    found = (clone.folder / "results" / study / "trials").glob("*/*/log")
    return {int(path.parent.name): path.read_text() for path in found}


def trials(clone: Clone, study: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = clone.json(f"hpo trials {study} --json")["trials"]
    return listed


def last_number(name: str, text: str) -> float:
    """The last `name=NUMBER` of a log, found without the package's parser."""
    return float(re.findall(rf"\b{name}={NUMBER}", text)[-1])


def test_each_example_has_a_study_file_and_a_readme_with_the_command_that_runs_it():
    folders = sorted(path.name for path in (ROOT / "examples").iterdir() if path.is_dir())
    assert folders == sorted([*(Path(readme).parent.name for readme in STUDIES.values()), *WORKFLOWS])
    for folder, command in WORKFLOWS.items():
        assert (ROOT / "examples" / folder / "Snakefile").is_file()
        documented = blocks(ROOT / "examples" / folder / "README.md")
        assert command in [typed for part in documented for typed in part.commands]
    for study, readme in STUDIES.items():
        assert (ROOT / study).is_file()
        typed = [command for part in blocks(ROOT / readme) for command in part.commands]
        assert f"hpo run {study} --cores 2" in typed


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_file_of_an_example_loads_without_a_warning(study, monkeypatch):
    from hpo_workflow.study_file import load_study

    monkeypatch.chdir(ROOT)
    loaded = load_study(study)
    assert loaded.warnings == []
    assert loaded.spec.description


@pytest.mark.parametrize("study", STUDIES)
def test_the_run_command_at_the_top_of_a_study_file_names_that_file(study):
    commands = re.findall(r"^#   (?:hpo run|snakemake --configfile) (\S+)", (ROOT / study).read_text(), re.MULTILINE)
    assert commands
    assert set(commands) == {study}


# ---- digits ------------------------------------------------------------------------------------------------
@pytest.mark.need("sklearn")
def test_the_digits_script_learns_and_its_own_defaults_leave_room():
    default = python("examples/digits/train.py")
    assert default.returncode == 0, default.stderr
    assert re.fullmatch(rf"(epoch=\d+ loss={NUMBER} accuracy={NUMBER}\n){{30}}", default.stdout)
    assert last_number("accuracy", default.stdout.splitlines()[0]) < 0.5 < last_number("accuracy", default.stdout)
    assert last_number("accuracy", default.stdout) < 0.97


@pytest.mark.need("sklearn")
def test_the_digits_script_repeats_itself_and_takes_a_seed_of_any_size():
    command = ("examples/digits/train.py", "--optimizer=sgd", "--lr=0.2", "--epochs=2", f"--seed={2**40 + 5}")
    first, second = python(*command), python(*command)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout


@pytest.mark.need("sklearn")
def test_the_quick_start_beats_the_defaults_of_its_script_and_gives_the_command_that_repeats_it(clone):
    (command,) = block(ROOT / "examples/digits/README.md", "digits").commands
    clone.run(command, timeout_s=600)  # all 30 trials: 80 s of CPU
    printed = {number: last_number("accuracy", text) for number, text in logs(clone, "digits").items()}
    best = clone.json("hpo best config/digits.yaml --json")
    assert sorted(printed) == list(range(30))
    assert best["value"] == max(printed.values()) == printed[best["trial"]]
    assert best["value"] >= 0.975 > last_number("accuracy", python("examples/digits/train.py").stdout)
    written = json.loads((clone.folder / "results/digits/best.json").read_text())
    assert {name: written[name] for name in best} == best
    again = clone.run(best["command"]).stdout
    assert last_number("accuracy", again) == best["value"]
    for trial in trials(clone, "config/digits.yaml"):
        assert trial["state"] == "complete"
        assert ("momentum" in trial["params"]) == (trial["params"]["optimizer"] == "sgd")


# ---- svm ---------------------------------------------------------------------------------------------------
@pytest.mark.need("sklearn")
def test_the_data_of_the_svm_example_is_what_its_script_writes():
    written = python("examples/svm/make_data.py")
    assert written.stdout == (ROOT / "examples/svm/digits.txt").read_text()


@pytest.mark.need("svm-train")
def test_svm_train_with_its_own_defaults_gets_what_the_readme_says():
    command = ["svm-train", "-q", "-v", "5", str(ROOT / "examples/svm/digits.txt")]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "Cross Validation Accuracy = 19%" in printed
    assert "gets 19% here" in (ROOT / "examples/svm/README.md").read_text()


@pytest.mark.need("svm-train")
def test_the_svm_study_reads_the_accuracy_of_a_foreign_program(clone):
    clone.limit("examples/svm/study.yaml", 6)
    (command,) = block(ROOT / "examples/svm/README.md", "svm").commands
    clone.run(command)
    found = {
        number: float(re.findall(r"^Cross Validation Accuracy = (\S+)%$", text, re.MULTILINE)[0])
        for number, text in logs(clone, "svm").items()
    }
    assert len(found) == 6
    listed = trials(clone, "examples/svm/study.yaml")
    assert {trial["number"]: trial["value"] for trial in listed} == found
    for trial in listed:
        assert ("degree" in trial["params"]) == (trial["params"]["kernel"] == 1)
    best = clone.json("hpo best examples/svm/study.yaml --json")
    assert best["value"] == max(found.values()) > 90
    assert f"= {best['value']:g}%" in clone.run(best["command"]).stdout


# ---- solver ------------------------------------------------------------------------------------------------
def case(points: int, **settings: Any) -> dict[str, Any]:
    usual = {"omega": 1.1, "pre": 2, "post": 2, "levels": 4, "coarse": 30, "reduction": 1e-10, "max_cycles": 60}
    return {"points": points, **usual, **settings}


def test_multigrid_converges_with_second_order_to_the_known_solution(multigrid):
    errors = []
    for points in (31, 63):
        u, _, converged = multigrid.solve(multigrid.Settings(**case(points)))
        x = np.linspace(0.0, 1.0, points + 2)
        errors.append(np.abs(u - np.outer(np.sin(np.pi * x), np.sin(3.0 * np.pi * x))).max())
        assert converged
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.02)


def test_one_red_black_sweep_leaves_no_residual_at_the_points_that_it_did_last(multigrid):
    rng = np.random.default_rng(0)
    u, f = np.zeros((9, 9)), rng.standard_normal((9, 9))
    multigrid.smooth(u, f, 0.125, 1.0)
    left = np.abs(multigrid.residual(u, f, 0.125)) > 1e-9
    odd = np.add.outer(np.arange(9), np.arange(9)) % 2 == 1
    assert not left[odd].any()
    assert left[~odd].any()


def test_interpolation_is_four_times_the_transpose_of_full_weighting(multigrid):
    rng = np.random.default_rng(0)
    fine, coarse = np.zeros((9, 9)), np.zeros((5, 5))
    fine[1:-1, 1:-1], coarse[1:-1, 1:-1] = rng.standard_normal((7, 7)), rng.standard_normal((3, 3))
    assert (multigrid.prolong(coarse) * fine).sum() == pytest.approx(4.0 * (coarse * multigrid.restrict(fine)).sum())


@pytest.mark.parametrize(
    ("values", "message"),
    [({"pre": 0, "post": 0}, "no convergence"), ({"levels": 8}, "a grid of 127 points has no 8 levels")],
)
def test_the_solver_ends_with_1_where_it_cannot_solve(values, message, tmp_path):
    text = (ROOT / "examples/solver/case.ini.in").read_text()
    for name, value in case(127, **values).items():
        text = text.replace(f"${{hpo.{name}}}", str(value))
    (tmp_path / "case.ini").write_text(text)
    done = python("examples/solver/multigrid.py", str(tmp_path / "case.ini"))
    assert done.returncode == 1
    assert message in done.stderr
    assert "work=" not in done.stdout


def test_the_solver_study_gives_each_trial_a_case_file_and_finds_the_least_work(clone):
    clone.limit("examples/solver/study.yaml", 10)
    (command,) = block(ROOT / "examples/solver/README.md", "solver").commands
    clone.run(command)
    work = {number: last_number("work", text) for number, text in logs(clone, "solver").items() if "work=" in text}
    listed = trials(clone, "examples/solver/study.yaml")
    assert len(listed) == 10
    for trial in listed:
        rendered = configparser.ConfigParser()
        rendered.read(clone.folder / f"results/solver/trials/000/{trial['number']}/case.ini")
        assert rendered["multigrid"] == {name: str(value) for name, value in trial["params"].items()}
        assert rendered["grid"]["points"] == "127"
        assert trial["state"] == ("complete" if trial["number"] in work else "failed")
    best = clone.json("hpo best examples/solver/study.yaml --json")
    assert best["value"] == min(work.values()) == work[best["trial"]]


# ---- external_sampler --------------------------------------------------------------------------------------
def test_the_study_with_a_sampler_in_perl_runs_what_it_proposed(clone):
    study = "examples/external_sampler/study.yaml"
    clone.limit(study, 4)
    (command,) = block(ROOT / "examples/external_sampler/README.md", "external_sampler").commands
    clone.run(command)
    assert {trial["origin"] for trial in trials(clone, study)} == {"external"}
    told = clone.json(f"hpo status {study} --json")
    assert (told["n_counted"], told["replaced"]) == (4, {})


# ---- lightgbm ----------------------------------------------------------------------------------------------
AUC = rf"^\[\d+\]\tvalid_0's auc: {NUMBER}$"


def aucs(text: str) -> list[float]:
    """What `lgb.log_evaluation` printed, found without the package's parser."""
    return [float(value) for value in re.findall(AUC, text, re.MULTILINE)]


@pytest.mark.need("lightgbm", "sklearn")
def test_the_lightgbm_study_reads_what_log_evaluation_prints_and_beats_the_defaults(clone):
    default = python("examples/lightgbm/train.py")
    assert default.returncode == 0, default.stderr
    assert len(aucs(default.stdout)) == len(default.stdout.splitlines()) == 10
    assert f"an AUC of {max(aucs(default.stdout)):.4f} on" in (ROOT / "examples/lightgbm/README.md").read_text()
    study = "examples/lightgbm/study.yaml"
    clone.limit(study, 4)
    (command,) = block(ROOT / "examples/lightgbm/README.md", "lightgbm").commands
    clone.run(command)
    best_of = {number: max(aucs(text)) for number, text in logs(clone, "lightgbm").items()}
    assert sorted(best_of) == list(range(4))
    assert {trial["number"]: trial["value"] for trial in trials(clone, study)} == best_of
    best = clone.json(f"hpo best {study} --json")
    assert best["value"] == max(best_of.values()) > max(aucs(default.stdout))
    assert max(aucs(clone.run(best["command"]).stdout)) == best["value"]


# ---- r -----------------------------------------------------------------------------------------------------
def settings(text: str) -> dict[str, str]:
    """The assignments of a settings file in R, comments left out."""
    return dict(re.findall(r"^(\w+) <- (.+)$", text, re.MULTILINE))


def ozone(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "settings.R").write_text(text)
    command = ["Rscript", "--vanilla", str(ROOT / "examples/r/ozone.R"), str(folder / "settings.R")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


DEFAULTS = 'folds <- 10\nrepeats <- 5\nmethod <- "loess"\nspan <- 0.75\ndegree <- 2\n'
"""Those of R's loess."""


@pytest.mark.need("Rscript")
def test_the_r_program_repeats_itself_and_gets_what_the_readme_says(tmp_path):
    first, second = ozone(tmp_path, DEFAULTS), ozone(tmp_path, DEFAULTS)
    assert first.returncode == 0, first.stderr
    assert re.fullmatch(rf"(repeat=[1-5] rmse={NUMBER}\n){{5}}", first.stdout)
    assert first.stdout == second.stdout
    assert f"the error is {last_number('rmse', first.stdout):.3f}." in (ROOT / "examples/r/README.md").read_text()


@pytest.mark.need("Rscript")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"loess"', '"lowess"', "no method lowess"),
        ("degree <- 2", "degree <- 3", "Error in"),
        ("span <- 0.75\n", "", "Error in"),
    ],
)
def test_the_r_program_ends_with_1_where_it_cannot_fit(old, new, message, tmp_path):
    done = ozone(tmp_path, DEFAULTS.replace(old, new))
    assert done.returncode == 1
    assert message in done.stderr
    assert "rmse=" not in done.stdout


@pytest.mark.need("Rscript")
def test_the_r_study_gives_each_trial_the_lines_of_its_method_and_beats_the_defaults(clone, tmp_path):
    study = "examples/r/study.yaml"
    clone.limit(study, 16)
    (command,) = block(ROOT / "examples/r/README.md", "r").commands
    clone.run(command)
    printed = {n: last_number("rmse", text) for n, text in logs(clone, "ozone").items() if "repeat=5" in text}
    listed = trials(clone, study)
    assert len(listed) == 16
    assert {trial["params"]["method"] for trial in listed} == {"loess", "ppr"}
    for trial in listed:
        rendered = settings((clone.folder / f"results/ozone/trials/000/{trial['number']}/settings.R").read_text())
        expected = {name: str(value) for name, value in trial["params"].items()}
        expected["method"] = f'"{trial["params"]["method"]}"'
        assert rendered == {"folds": "10", "repeats": "5", **expected}
        assert trial["state"] == ("complete" if trial["number"] in printed else "failed")
        assert trial["state"] == "failed" or trial["value"] == printed[trial["number"]]
    best = clone.json(f"hpo best {study} --json")
    assert best["value"] == min(printed.values()) < last_number("rmse", ozone(tmp_path, DEFAULTS).stdout)
    assert last_number("rmse", clone.run(best["command"]).stdout) == best["value"]


# ---- torch -------------------------------------------------------------------------------------------------
@pytest.mark.need("torch", "sklearn")
def test_the_torch_study_finds_the_lowest_test_loss_and_warns_when_training_batches_count_too(clone):
    study = "examples/torch_cnn/study.yaml"
    clone.limit(study, 4)
    clone.edit(study, "--lr=${hpo.lr}", "--lr=${hpo.lr} --epochs=4")
    clone.edit(study, "[SGD, Adam, RMSprop, Adagrad]", "[SGD, Adam]")
    clone.edit(study, "low: 1.0e-4, high: 1.0, log: true", "low: 1.0e-3, high: 1.0e-2, log: true, points: 2")
    with (clone.folder / study).open("a") as file:
        file.write("\nsampler: grid\n")
    (command,) = block(ROOT / "examples/torch_cnn/README.md", "torch").commands
    first = clone.run(command)
    printed = logs(clone, "torch_cnn")
    test_losses = {n: re.findall(rf"^Test set:.* loss={NUMBER},", text, re.M) for n, text in printed.items()}
    lowest = {number: min(map(float, found)) for number, found in test_losses.items()}
    assert [len(found) for found in test_losses.values()] == [4, 4, 4, 4]
    assert all(text.startswith("Namespace(batch_size=64") for text in printed.values())
    best = clone.json(f"hpo best {study} --json")
    assert best["value"] == min(lowest.values()) == lowest[best["trial"]]
    assert {trial["number"]: trial["value"] for trial in trials(clone, study)} == lowest
    assert "lines:" not in first.stderr + first.stdout

    records = sorted((clone.folder / "results/torch_cnn/ledger/results").glob("*/*.json"))
    before = [record.stat().st_mtime_ns for record in records]
    clone.edit(study, "  lines: '^Test set'\n", "")
    second = clone.run(command)
    any_loss = {n: min(map(float, re.findall(rf"\bloss={NUMBER}", text))) for n, text in printed.items()}
    assert [record.stat().st_mtime_ns for record in records] == before, "trials ran again"
    assert {trial["number"]: trial["value"] for trial in trials(clone, study)} == any_loss
    assert min(any_loss.values()) < min(lowest.values())
    assert "lines: '^Test set" in second.stderr, "the user is not told that loss stands on two kinds of lines"


# ---- pbt ---------------------------------------------------------------------------------------------------
@pytest.mark.need("torch", "sklearn")
def test_the_pbt_study_goes_on_from_checkpoints_and_its_best_network_can_be_trained_again(clone):
    study = "examples/pbt/study.yaml"
    clone.limit(study, 2)
    clone.edit(study, "high: 40, method: pbt, interval: 4", "high: 4, method: pbt, interval: 2, exploit: tournament")
    (command,) = block(ROOT / "examples/pbt/README.md", "pbt").commands
    clone.run(command)
    listed = trials(clone, study)
    printed = logs(clone, "pbt")
    assert [trial["fidelity"] for trial in listed] == [2, 2, 4, 4]
    assert {trial["parent"] for trial in listed[2:]} <= {0, 1}
    for trial in listed:
        epochs = re.findall(r"^epoch=(\d+) ", printed[trial["number"]], re.MULTILINE)
        assert epochs == (["1", "2"] if trial["parent"] is None else ["3", "4"])
        assert trial["value"] == last_number("loss", printed[trial["number"]])
    show, write = block(ROOT / "examples/pbt/README.md", "pbt-schedule").commands
    best = clone.json(f"hpo best {study} --json")
    assert f"best loss {best['value']:g} (trial {best['trial']}), trained in 2 stages" in clone.run(show).stdout
    clone.run(write)  # tests/workflow/test_population.py runs such a script
    assert (clone.folder / "replay.sh").read_text().count("python examples/pbt/train.py --lr=") == 2


# ---- in steps ----------------------------------------------------------------------------------------------
def by_level(listed: list[dict[str, Any]]) -> dict[float, list[dict[str, Any]]]:
    """Trials by the fidelity that they were trained up to."""
    found: dict[float, list[dict[str, Any]]] = {}
    for trial in listed:
        found.setdefault(trial["fidelity"], []).append(trial)
    return found


@pytest.mark.need("torch", "sklearn")
def test_a_network_that_was_trained_in_steps_is_to_the_last_bit_the_one_that_was_trained_at_once(clone):
    study = "examples/asha_torch/study.yaml"
    clone.limit(study, 3)
    clone.edit(study, "batch:        [16, 32, 64, 128, 256]", "batch:        [64, 128]")
    (command,) = block(ROOT / "examples/asha_torch/README.md", "asha_torch").commands
    clone.run(command)
    levels = by_level(trials(clone, study))
    assert {level: len(found) for level, found in levels.items()} == {1: 3, 3: 1}
    (promoted,) = levels[3]
    parent = min(levels[1], key=lambda trial: trial["value"])
    assert (promoted["parent"], promoted["config"], promoted["params"]) == (
        parent["number"],
        parent["config"],
        parent["params"],
    )
    folder = clone.folder / "results/asha_torch/trials/000"
    printed = logs(clone, "asha_torch")
    assert re.findall(r"^epoch=(\d+) ", printed[parent["number"]], re.MULTILINE) == ["1"]
    assert re.findall(r"^epoch=(\d+) ", printed[promoted["number"]], re.MULTILINE) == ["2", "3"]
    assert f"goes on from {folder.resolve()}/{parent['number']}/checkpoint.pt" in printed[promoted["number"]]

    # At once; and started a second time, where its own checkpoint leaves it nothing to do but to say what it got.
    options = [f"--{name.replace('_', '-')}={value}" for name, value in promoted["params"].items()]
    call = ["train.py", *options, "--epochs=3", f"--dir={clone.folder}"]
    script = clone.folder / "examples/asha_torch/train.py"
    twice = (
        f"import runpy, sys; sys.argv = {call}; [runpy.run_path({str(script)!r}, run_name='__main__') for _ in '12']"
    )
    done = python("-c", twice)
    assert re.findall(r"epoch=(\d+)", done.stdout) == ["1", "2", "3", "3"], done.stderr
    assert last_number("loss", done.stdout) == promoted["value"]
    in_steps = folder / str(promoted["number"]) / "checkpoint.pt"
    assert (clone.folder / "checkpoint.pt").read_bytes() == in_steps.read_bytes()


@pytest.mark.need("lightgbm", "sklearn")
def test_the_boosting_study_adds_rounds_to_the_models_of_the_step_before(clone):
    study = "examples/boosting/study.yaml"
    clone.limit(study, 3)
    (command,) = block(ROOT / "examples/boosting/README.md", "boosting").commands
    clone.run(command)
    listed = {trial["number"]: trial for trial in trials(clone, study)}
    assert {level: len(found) for level, found in by_level(list(listed.values())).items()} == {27: 3, 81: 1}
    printed = logs(clone, "boosting")
    for number, trial in listed.items():
        rounds = [int(found) for found in re.findall(r"^round=(\d+) ", printed[number], re.MULTILINE)]
        assert rounds == list(range(1, 28) if trial["parent"] is None else range(28, 82))
        model = (clone.folder / f"results/boosting/trials/000/{number}/model.txt").read_text()
        assert model.count("\nTree=") == trial["fidelity"]
        if trial["parent"] is not None:
            trees = (clone.folder / f"results/boosting/trials/000/{trial['parent']}/model.txt").read_text()
            assert re.findall(r"^Tree=26\n(?:.+\n)+", trees, re.MULTILINE)[0] in model
        lowest = min(map(float, re.findall(rf"logloss={NUMBER}", printed[number])))
        assert trial["value"] == lowest


@pytest.mark.need("sklearn")
def test_a_program_that_cannot_go_on_is_run_anew_on_more_data(clone):
    study = "examples/data_fraction/study.yaml"
    clone.limit(study, 5)
    clone.edit(study, "low: 0.12,", "low: 0.2,")
    clone.edit(study, "high: 1.0, method", "high: 0.6, method")  # two levels: brackets of 3 and 2
    (command,) = block(ROOT / "examples/data_fraction/README.md", "data_fraction").commands
    clone.run(command)
    levels = by_level(trials(clone, study))
    assert {level: len(found) for level, found in levels.items()} == {0.2: 3, 0.6: 3}
    printed = logs(clone, "data_fraction")
    for level, found in levels.items():
        for trial in found:
            assert printed[trial["number"]].startswith(f"images={round(level * 898)} ")
            assert trial["value"] == last_number("accuracy", printed[trial["number"]])
    assert sorted(trial["parent"] is not None for trial in levels[0.6]) == [False, False, True]


def test_no_study_file_of_the_examples_repeats_the_name_of_another():
    names = [yaml.safe_load((ROOT / study).read_text())["study"] for study in STUDIES]
    assert len(set(names)) == len(names)
