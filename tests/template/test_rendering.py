"""Placeholders, their values, and what is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hpo_workflow.spec import Template
from hpo_workflow.template import RenderedTrial, describe, render_trial, text_of_rendered
from hpo_workflow.template.placeholders import Escaped, Fact, Hpo, StudyName, nearest, read_text
from hpo_workflow.template.values import text_of
from tests.template.studies import faults, study

SPACE: dict[str, Any] = {
    "opt": ["adam", "sgd"],
    "momentum": {"type": "float", "low": 0.5, "high": 1.0, "when": {"opt": "sgd"}},
    "amp": [True, False],
    "layers": {"type": "int", "low": 1, "high": 16},
    "rate": {"type": "float", "low": 0.1, "high": 0.9, "step": 0.1},
    "depth": 3,
    "twice": {"expr": "layers * 2"},
    "model.lr": {"type": "float", "low": 1e-6, "high": 1, "log": True},
}
ADAM = {"opt": "adam", "amp": True, "layers": 4, "rate": 0.30000000000000004, "model.lr": 1e-5}
SGD = {**ADAM, "opt": "sgd", "momentum": 0.9, "amp": False}


def command(template: str, params: dict[str, Any]) -> str:
    return text_of_rendered(render_trial(study(template, SPACE), params).command)  # type: ignore[arg-type]


def test_a_text_is_split_into_literals_and_placeholders() -> None:
    text = read_text("a ${hpo.lr:.2f?} ${trial.file.cfg}${study.name} $${hpo.x} ${HOME} $HOME ${trial}")
    kinds = [type(item) for item in text.pieces()]
    assert kinds == [str, Hpo, str, Fact, StudyName, str, Escaped, str]
    assert text.parameters == ("lr",)
    assert text.problems == ()
    assert "".join(item if isinstance(item, str) else item.source for item in text.pieces()) == text.source


def test_the_nearest_name_does_not_mind_case() -> None:
    assert nearest("LR", ["lr", "momentum"]) == "lr"
    assert nearest("xyz", ["lr", "momentum"]) is None


@pytest.mark.parametrize(
    ("template", "adam", "sgd"),
    [
        ("p --m=${hpo.momentum?} x", "p x", "p --m=0.9 x"),
        ("p x --m=${hpo.momentum?}", "p x", "p x --m=0.9"),
        ("p ${hpo.momentum?}>out", "p >out", "p ''0.9>out"),
        ("p 2 ${hpo.momentum?}>out", "p 2 >out", "p 2 ''0.9>out"),
        ("p ${hpo.amp?--amp} ${hpo.momentum?--nesterov}", "p --amp", "p --nesterov"),
        ("p ${hpo.momentum?}|q", "p |q", "p 0.9|q"),
        ("p \\\n  --m=${hpo.momentum?} \\\n  x", "p \\\n  x", "p \\\n  --m=0.9 \\\n  x"),
        ("M=${hpo.momentum?} p", " p", "M=0.9 p"),
        ("p --m=${hpo.momentum?},${hpo.opt} ${hpo.momentum?}:${hpo.momentum}", "p", "p --m=0.9,sgd 0.9:0.9"),
        ("p $(q ${hpo.momentum?}) 'a b'", "p $(q ) 'a b'", "p $(q 0.9) 'a b'"),
        ("p ${hpo.model.lr} ${hpo.model.lr:.1e} ${hpo.layers:03d}", "p 1e-05 1.0e-05 004", "p 1e-05 1.0e-05 004"),
        ("p ${hpo.amp} ${hpo.amp:d} ${hpo.depth} ${hpo.twice}", "p true 1 3 8", "p false 0 3 8"),
        ("p ${hpo.rate} ${hpo.rate:.3f}", "p 0.3 0.300", "p 0.3 0.300"),
        ("p ${study.name} $${hpo.opt} ${HOME}", "p digits '${hpo.opt}' ${HOME}", "p digits '${hpo.opt}' ${HOME}"),
        ("p ${trial.number} ${trial.dir}", "p ${trial.number} ${trial.dir}", "p ${trial.number} ${trial.dir}"),
    ],
)
def test_a_command_is_rendered(template: str, adam: str, sgd: str) -> None:
    assert [fault for fault in faults(study(template, SPACE)) if fault.key == "command"] == []
    assert command(template, ADAM) == adam
    assert command(template, SGD) == sgd


def test_arguments_and_variables_are_left_out_whole() -> None:
    spec = study(["p", "--m=${hpo.momentum?}", "${hpo.amp?--amp}"], SPACE, env={"M": "m ${hpo.momentum?}", "E": ""})
    assert render_trial(spec, ADAM).command == [["p"], ["--amp"]]
    assert render_trial(spec, ADAM).env == {"E": [""]}
    assert render_trial(spec, SGD).command == [["p"], ["--m=0.9"]]
    assert render_trial(spec, SGD).env == {"M": ["m 0.9"], "E": [""]}


@pytest.mark.parametrize(
    ("value", "step", "low", "text"),
    [
        (0.1 + 0.2, 0.1, 0.0, "0.3"),
        (1e-05, 1e-05, 0.0, "0.00001"),
        (2.0, 0.5, 0.0, "2.0"),
        (100.0, 50.0, 0.0, "100.0"),
        (0.35000000000000003, 0.05, 0.1, "0.35"),
        (1e-05, None, 0.0, "1e-05"),
        (0.1, None, 0.0, "0.1"),
        (1e22, None, 0.0, "1e+22"),
    ],
)
def test_floats_are_short_and_floats_with_a_step_are_decimals(
    value: float, step: float | None, low: float, text: str
) -> None:
    assert text_of(value, step, low) == text
    assert float(text) == pytest.approx(value, rel=1e-15)


def test_variables_and_the_params_file_hold_what_has_a_value() -> None:
    trial = render_trial(study("p", SPACE), ADAM)
    assert trial.hpo_env["HPO_PARAM_MODEL_LR"] == "1e-05"
    assert "HPO_PARAM_MOMENTUM" not in trial.hpo_env
    assert json.loads(trial.params_text) == {**ADAM, "rate": 0.3, "depth": 3, "twice": 8}


def test_a_trial_survives_json_and_its_digest_names_what_it_computes() -> None:
    trial = render_trial(study("p ${hpo.opt} ${trial.dir}", SPACE, env={"A": "${hpo.amp}"}), ADAM)
    again = RenderedTrial.from_json(json.loads(json.dumps(trial.to_json())))
    assert again.digest("i") == trial.digest("i")
    assert trial.digest("i") != trial.digest("j")
    assert trial.digest("i") != render_trial(study("p ${hpo.opt}", SPACE), ADAM).digest("i")


def test_a_description_can_be_pasted() -> None:
    spec = study("p ${hpo.opt} --out=${trial.dir}", SPACE, env={"A": "a ${hpo.opt}"})
    assert describe(render_trial(spec, ADAM), {"dir": "a b"}) == "A='a adam' p adam --out='a b'"
    listed = study(["p", "a b", "${trial.dir}"], SPACE)
    assert describe(render_trial(listed, ADAM)) == "p 'a b' ${trial.dir}"
    assert describe(render_trial(study("p $A", SPACE, env={"A": "x"}), ADAM)) == "export A=x\np $A"


def test_a_description_sets_the_variables_that_the_command_reads() -> None:
    facts = {"dir": "a b", "params_file": "a b/params.json"}
    trial = render_trial(study('p "$HPO_PARAM_OPT" "${HPO_TRIAL_DIR}"', SPACE, env={"HPO_PARAM_AMP": "mine"}), ADAM)
    assert describe(trial, facts).splitlines() == [
        "export HPO_PARAM_OPT=adam",
        "export HPO_TRIAL_DIR='a b'",
        "export HPO_PARAM_AMP=mine",
        'p "$HPO_PARAM_OPT" "${HPO_TRIAL_DIR}"',
    ]
    listed = render_trial(study(["p"], SPACE), ADAM)
    assert describe(listed, facts) == "p"
    assert describe(listed, facts, passed=["file"]) == "HPO_PARAMS_FILE='a b/params.json' p"
    passed = describe(listed, facts, passed=["env"])
    assert "HPO_PARAM_MODEL_LR=1e-05 " in passed and "HPO_PARAM_MOMENTUM" not in passed and passed.endswith(" p")


def test_a_line_of_a_template_is_left_out_with_its_parameter() -> None:
    text = "a: 1\nm: ${hpo.opt} ${hpo.momentum?}\nb: ${hpo.layers}"
    spec = study("p", SPACE, templates={"c": Template("c.txt", "c.txt", "raw", text)})
    assert render_trial(spec, ADAM).files["c"] == {"to": "c.txt", "text": ["a: 1\nb: 4"]}
    assert render_trial(spec, SGD).files["c"]["text"] == ["a: 1\nm: sgd 0.9\nb: 4"]
