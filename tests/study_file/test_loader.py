"""Good study files and mappings, and what becomes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hpo_workflow.errors import ConfigError
from hpo_workflow.quantities import bytes_of, seconds_of
from hpo_workflow.spec import StudySpec
from hpo_workflow.study_file import load_mapping, load_study
from hpo_workflow.template import describe, render_trial

EVERYTHING = Path(__file__).parent / "corpus" / "good" / "everything.yaml"
SHORT = """\
study: digits
command: python train.py --lr=${hpo.lr}
space:
  lr: [0.1, 0.2, 0.3]
objective: {metric: accuracy, direction: maximize}
budget: {trials: 3}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A launch directory with the files that `everything.yaml` names."""
    for name in ("train.py", "src/a/model.py", "src/b.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"# {name}\n")
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "base.yaml.in").write_text("lr: ${hpo.lr}\nmomentum: ${hpo.momentum?}\nout: ${trial.dir}\n")
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "in.nml.in").write_text("&run\n  amp = ${hpo.amp}\n/\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str, folder: Path) -> Any:
    (folder / "study.yaml").write_text(text)
    return load_study("study.yaml")


def problems(text: str, folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(text, folder)
    return [f"{fault.key}: {fault.problem}" for fault in raised.value.faults]


def test_every_key_of_this_version_is_read(folder: Path) -> None:
    loaded = load_study(EVERYTHING, base_dir=folder)
    spec = loaded.spec
    assert loaded.warnings == []
    assert spec.shell == "bash"
    assert spec.start == ({"lr": 1e-3, "optimizer": "adam"}, {"optimizer": "sgd"})
    assert spec.pruner == {
        "name": "percentile",
        "percentile": 25,
        "startup": 8,
        "warmup": 3,
        "interval": 2,
        "audit": 0.05,
    }
    assert spec.budget.wall_s == 48 * 3600
    assert (spec.runtime_s, spec.mem_mb) == (12 * 3600, 8000)
    assert spec.resources == {"gpu": 1, "threads": 4, "mem": "8GB", "runtime": "12h"}
    assert (spec.limits.silence_s, spec.limits.grace_s, spec.limits.log_bytes) == (1800, 60, 10**9)
    assert spec.env == {"BATCH": "${hpo.batch}", "WANDB_RUN_GROUP": "${study.name}", "CODE": "1e-3"}
    assert spec.templates["cfg"].to == "base.yaml"
    assert spec.templates["nml"].format == "namelist"
    assert spec.metrics.define["auc"].after == "valid_1's auc:"
    assert sorted(loaded.files) == ["src/a/model.py", "src/b.py", "train.py"]
    assert StudySpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_what_is_inactive_is_left_out_and_a_fallback_stands_in(folder: Path) -> None:
    spec = load_study(EVERYTHING, base_dir=folder).spec
    params = {"lr": 1e-5, "units": 32, "batch": 16, "optimizer": "adam", "layers": 2, "amp": False}
    trial = render_trial(spec, params)
    assert describe(trial, {"dir": "results/digits/trials/000/7"}).splitlines()[-1] == (
        "python train.py --lr=1e-05 --optimizer=adam --out=results/digits/trials/000/7 --cfg=${trial.file.cfg}"
        " --width3=0 --layers=2 --epochs=20 --lr-eff=2.5e-06 --units 32"
    )
    assert trial.files["cfg"]["text"] == ['lr: 1.0e-05\nout: "', {"trial": "dir", "quote": False}, '"\n']
    assert trial.files["nml"]["text"] == ["&run\n  amp = .false.\n/\n"]
    assert trial.hpo_env["HPO_PARAM_WIDTH3"] == "0"
    assert "HPO_PARAM_MOMENTUM" not in trial.hpo_env
    assert json.loads(trial.params_text)["lr"] == 1e-5
    full = render_trial(spec, {**params, "optimizer": "sgd", "momentum": 0.9, "amp": True})
    assert "--momentum=0.9 --amp --out" in describe(full)


def test_a_short_study_gets_the_defaults(folder: Path) -> None:
    loaded = load(SHORT, folder)
    assert loaded.spec.budget.parallel == 3
    assert loaded.spec.sampler == {"name": "auto"}
    assert loaded.spec.root == "results/digits"
    assert list(loaded.files) == ["train.py"]


def test_a_finite_grid_needs_no_number_of_trials(folder: Path) -> None:
    loaded = load(SHORT.replace("budget: {trials: 3}\n", "sampler: grid\n"), folder)
    assert loaded.spec.budget.trials is None
    assert loaded.spec.budget.parallel == 3
    assert loaded.spec.sampler == {"name": "grid"}


def test_notes_that_start_with_x_are_ignored(folder: Path) -> None:
    assert (
        load(SHORT + "x-notes: [anything, {goes: here}]\n", folder).identity_digest
        == load(SHORT, folder).identity_digest
    )


def test_a_grid_that_the_budget_cuts_short_is_warned_of(folder: Path) -> None:
    short = SHORT.replace("trials: 3", "trials: 2")
    (warning,) = load(short + "sampler: grid\n", folder).warnings
    assert warning.startswith("budget.trials: 2 of a grid of 3 are tried, in the order of the file: lr varies least.")
    for settings in ("{name: grid, order: shuffled}", "{name: grid, order: written}", "random"):
        assert load(short + f"sampler: {settings}\n", folder).warnings == []
    assert load(SHORT + "sampler: grid\n", folder).warnings == []


def test_text_that_yaml_1_1_reads_as_a_boolean_is_a_choice_with_a_warning(folder: Path) -> None:
    loaded = load(SHORT.replace("[0.1, 0.2, 0.3]", "[on, off, auto]"), folder)
    assert [warning.split(":")[0] for warning in loaded.warnings] == ["space.lr[0]", "space.lr[1]"]


def test_a_variable_in_double_quotes_counts_as_a_use(folder: Path) -> None:
    command = "command: 'python train.py \"lr is $HPO_PARAM_LR\"'"
    assert load(SHORT.replace("command: python train.py --lr=${hpo.lr}", command), folder).spec.command.startswith(
        "python"
    )


def test_pass_covers_parameters_that_no_placeholder_names(folder: Path) -> None:
    assert load(SHORT.replace(" --lr=${hpo.lr}", "") + "pass: [env]\n", folder).spec.passed == ("env",)


def test_arguments_of_a_list_keep_their_spelling(folder: Path) -> None:
    command = "command:\n  - python\n  - train.py\n  - 1e-3\n  - true\n  - --lr=${hpo.lr}\n  - ${hpo.lr}"
    loaded = load(SHORT.replace("command: python train.py --lr=${hpo.lr}", command), folder)
    assert loaded.spec.command == ("python", "train.py", "1e-3", "true", "--lr=${hpo.lr}", "${hpo.lr}")
    assert render_trial(loaded.spec, {"lr": 0.1}).command == [
        ["python"],
        ["train.py"],
        ["1e-3"],
        ["true"],
        ["--lr=0.1"],
        ["0.1"],
    ]


def test_a_missing_file_and_a_folder_are_reports(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.yaml: there is no such file"):
        load_study("no.yaml")
    with pytest.raises(ConfigError, match="this is a folder"):
        load_study("conf")


def test_a_folder_as_input_is_refused_with_its_pattern(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r'Write "src/\*\*" for all files in it'):
        load(SHORT + "inputs: [src]\n", folder)


def test_a_template_that_cannot_hold_a_value_names_the_line(folder: Path) -> None:
    (folder / "c.toml").write_text("# settings\nname = 'run-${hpo.lr}'\n")
    text = SHORT.replace("[0.1, 0.2, 0.3]", '["it\'s", b]') + "templates: {c: c.toml}\n"
    assert problems(text, folder) == [
        'templates.c: `${hpo.lr}` in line 2 of c.toml: "it\'s" does not fit between single quotes of TOML, '
        "which know no escapes."
    ]


def test_faults_come_in_the_order_of_the_file(folder: Path) -> None:
    text = (
        "seed: x\nfoo: 1\nbudget: {trials: 0}\nobjective: {metric: a}\nspace: {lr: {low: 1}}\ncommand: run ${hpo.l}\n"
    )
    keys = [line.split(":")[0] for line in problems(text, folder)]
    assert keys[:4] == ["seed", "foo", "budget.trials", "objective.direction"]
    assert keys[-1] == "study"


MAPPING: dict[str, Any] = {
    "study": "digits",
    "command": "python train.py --lr=${hpo.lr} --n=${hpo.n} --m=${hpo.m?}",
    "space": {
        "lr": {"type": "float", "low": "1e-5", "high": "1e-1", "log": "true"},
        "n": {"type": "int", "low": "1", "high": 4},
        "m": {"choices": ["a", "b"], "when": {"n": {"ge": "3"}}},
    },
    "objective": {"metric": "accuracy", "direction": "maximize", "target": "9e-1"},
    "budget": {"trials": "8", "parallel": "2"},
}


def test_a_mapping_may_give_numbers_as_text(folder: Path) -> None:
    spec = load_mapping(MAPPING, "config").spec
    assert spec.space["lr"] == {"type": "float", "low": 1e-5, "high": 0.1, "log": True}
    assert (spec.budget.trials, spec.objective.target) == (8, 0.9)
    assert spec.space["m"]["when"] == {"n": {"ge": 3}}


@pytest.mark.parametrize("entry", [["1e-4", "1e-3"], {"choices": ["1e-4", "a"]}, "1e-4"])
def test_a_mapping_may_not_give_choices_that_read_as_numbers(entry: Any, folder: Path) -> None:
    space = {**MAPPING["space"], "lr": entry}
    with pytest.raises(ConfigError, match="text that reads as a number"):
        load_mapping({**MAPPING, "space": space}, "config")


def test_a_mapping_may_give_the_center_of_a_range_as_text_and_not_that_of_choices(folder: Path) -> None:
    lr = {"type": "float", "low": "1e-5", "high": "1e-1", "prior": {"center": "1e-3"}}
    spec = load_mapping({**MAPPING, "space": {**MAPPING["space"], "lr": lr}}, "config").spec
    prior = spec.search_space.by_name["lr"].prior
    assert prior is not None
    assert prior.center == 1e-3
    choices = {"choices": [0.1, 0.2], "prior": {"center": "0.1"}}
    with pytest.raises(ConfigError, match=r"space\.lr\.prior\.center: .0\.1. is text that reads as a number"):
        load_mapping({**MAPPING, "space": {**MAPPING["space"], "lr": choices}}, "config")


def test_a_mapping_may_give_numbers_of_start_points_as_text(folder: Path) -> None:
    loaded = load_mapping({**MAPPING, "start": [{"lr": "1e-3", "n": "3", "m": "a"}]}, "config")
    assert loaded.spec.start == ({"lr": 1e-3, "n": 3, "m": "a"},)
    with pytest.raises(ConfigError, match=r"start\[0\]\.c: .0\.1. is text that reads as a number"):
        load_mapping({**MAPPING, "space": {**MAPPING["space"], "c": [0.1, 0.2]}, "start": [{"c": "0.1"}]}, "config")


def test_start_points_that_do_not_run_or_run_once_are_warned_of(folder: Path) -> None:
    loaded = load(SHORT + "start: [{lr: 0.1}, {lr: 0.2}, {lr: 0.2}]\n", folder)
    assert loaded.warnings == ["start[2] is the same configuration as start[1]; it is run once."]
    assert loaded.spec.start == ({"lr": 0.1}, {"lr": 0.2})
    many = load(SHORT.replace("trials: 3", "trials: 1") + "start: [{lr: 0.1}, {lr: 0.2}]\n", folder)
    assert many.warnings == ["start: lists 2 configurations, and budget.trials is 1: the last ones do not run."]
    plain = load(SHORT, folder)
    assert plain.identity_digest == loaded.identity_digest
    assert StudySpec.from_json(json.loads(json.dumps(loaded.spec.to_json()))) == loaded.spec


def test_a_prior_that_the_sampler_does_not_use_is_warned_of(folder: Path) -> None:
    text = SHORT.replace("[0.1, 0.2, 0.3]", "{choices: [0.1, 0.2, 0.3], prior: {center: 0.2}}")
    assert load(text + "sampler: grid\n", folder).warnings == ["space.lr.prior: the sampler grid does not use it."]
    assert load(text + "sampler: random\n", folder).warnings == []


def test_a_prior_is_no_part_of_what_a_trial_runs(folder: Path) -> None:
    lr = {"type": "float", "low": 1e-5, "high": 0.1, "prior": {"center": 1e-3}}
    other = {"type": "float", "low": 1e-5, "high": 0.1, "prior": {"center": 1e-2, "strength": "strong"}}
    digests = [
        load_mapping({**MAPPING, "space": {**MAPPING["space"], "lr": x}}, "c").identity_digest for x in (lr, other)
    ]
    assert digests[0] == digests[1]


POPULATION = """\
study: s
command: python train.py --lr=${hpo.lr} --epochs=${trial.fidelity} --from=${trial.resume_from}
space: {lr: {type: float, low: 0.001, high: 0.1}}
objective: {metric: loss, direction: minimize}
budget: {trials: 8}
"""


def test_a_population_begins_at_its_interval_and_has_all_options(folder: Path) -> None:
    loaded = load(POPULATION + "fidelity: {name: epochs, high: 10, method: pbt, interval: 4, fixed: [lr]}\n", folder)
    fidelity = loaded.spec.fidelity
    assert fidelity is not None
    assert fidelity.ladder.levels == (4, 8, 10)
    assert fidelity.options == {
        "exploit": "truncation",
        "quantile": 0.25,
        "explore": "factor",
        "resample": 0.25,
        "fixed": ["lr"],
    }
    assert StudySpec.from_json(json.loads(json.dumps(loaded.spec.to_json()))) == loaded.spec
    assert loaded.warnings == []
    part = "fidelity: {name: data, type: float, low: 0.1, high: 1, method: pbt, interval: 0.3}\n"
    other = load(POPULATION + part, folder).spec.fidelity
    assert other is not None
    assert other.ladder.levels == (0.1, 0.4, 0.7, 1.0)


def test_a_population_in_which_nobody_can_be_replaced_is_warned_of(folder: Path) -> None:
    fidelity = "fidelity: {name: epochs, high: 10, method: pbt, interval: 4}\n"
    (warning,) = load(POPULATION.replace("trials: 8", "trials: 3") + fidelity, folder).warnings
    assert warning.endswith("nobody is replaced. Give 4 or more, or `exploit: tournament`.")
    met = fidelity.replace("interval: 4", "interval: 4, exploit: tournament")
    assert load(POPULATION.replace("trials: 8", "trials: 3") + met, folder).warnings == []


def test_a_population_that_is_judged_by_other_weights_than_those_passed_on_is_warned_of(folder: Path) -> None:
    text = POPULATION.replace("minimize}", "minimize, reduce: best}")
    (warning,) = load(text + "fidelity: {name: epochs, high: 10, method: pbt, interval: 4}\n", folder).warnings
    assert warning.startswith("objective.reduce: best judges members by the best value of a trial")


def test_a_mapping_is_not_changed(folder: Path) -> None:
    before = json.dumps(MAPPING)
    load_mapping(MAPPING, "config")
    assert json.dumps(MAPPING) == before


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("48h", 172800),
        ("30m", 1800),
        ("60s", 60),
        ("1h30m", 5400),
        ("2d", 172800),
        (90, 90),
        ("90", 90),
        ("1.5h", 5400),
    ],
)
def test_a_time_is_read(text: str | float, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "3x", "-3h", "0s", "1h1h", "1 h 2", True, "9" * 400 + "h", "12:30", 1e300])
def test_what_is_no_time_is_refused(text: str | float) -> None:
    with pytest.raises(ValueError, match="such as"):
        seconds_of(text)


@pytest.mark.parametrize("text", [48, "48", 0.5])
def test_a_time_without_a_unit_is_refused_where_nobody_can_know_it(text: str | float) -> None:
    with pytest.raises(ValueError, match=rf"Write {text}s, {text}m or {text}h."):
        seconds_of(text, None)


@pytest.mark.parametrize(("text", "size"), [("8GB", 8e9), ("300MB", 3e8), ("1 GiB", 2**30), ("2G", 2e9), ("512B", 512)])
def test_a_size_is_read(text: str, size: float) -> None:
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "GB", "8XB", "-1GB", "0", "8gb", "9" * 400 + "GB", "512", 512])
def test_what_is_no_size_is_refused(text: Any) -> None:
    with pytest.raises(ValueError, match="with its unit"):
        bytes_of(text)


def test_trackers_are_read_with_their_settings_and_are_no_part_of_the_identity(folder: Path) -> None:
    plain = load(SHORT, folder)
    assert plain.spec.track == ()
    short = load(SHORT + "track: [mlflow]\n", folder)
    assert short.spec.track == ({"name": "mlflow", "every_s": 10.0},)
    long = load(SHORT + 'track: [{mlflow: {uri: "http://me@h:5000", experiment: e, every: 1m}}]\n', folder)
    assert long.spec.track == ({"name": "mlflow", "uri": "http://me@h:5000", "experiment": "e", "every_s": 60.0},)
    assert load(SHORT + "track: [mlflow: ]\n", folder).spec.track == short.spec.track
    assert {each.identity_digest for each in (plain, short, long)} == {plain.identity_digest}
    assert {each.spec.limits_digest for each in (plain, short, long)} == {plain.spec.limits_digest}
    assert type(long.spec).from_json(json.loads(json.dumps(long.spec.to_json()))).track == long.spec.track
