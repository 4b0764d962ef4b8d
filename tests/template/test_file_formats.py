"""Values in the spelling of a file's format, read back by the readers of these formats."""

from __future__ import annotations

import configparser
import json
import tomllib
from typing import Any

import pytest
import yaml

from hpo_workflow.spec import Template
from hpo_workflow.template import render_trial, text_of_rendered
from hpo_workflow.template.file_formats import CannotHold, format_of, spelled, surroundings
from tests.template.studies import faults, study
from tests.template.test_quoting import HOSTILE

VALUES: tuple[Any, ...] = (
    1,
    -3,
    0.1,
    1e-05,
    1e22,
    True,
    False,
    "adam",
    "true",
    "1e-5",
    "no",
    "null",
    "~",
    "010",
    *HOSTILE,
)


def rendered(form: str, text: str, value: Any) -> str | None:
    """A template with one value; None where the format cannot hold it."""
    spec = study("p ${hpo.v}", {"v": [value, "other"]}, templates={"t": Template("t", "t", form, text)})
    found = [fault for fault in faults(spec) if fault.key == "templates.t"]
    if found:
        assert all(fault.cure for fault in found)
        return None
    return text_of_rendered(render_trial(spec, {"v": value}).files["t"]["text"])


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_a_value_is_read_back_as_it_was(value: Any) -> None:
    text = rendered("json", '{"v": ${hpo.v}, "w": [1, ${hpo.v}]}', value)
    assert text is not None
    read = json.loads(text)
    assert (read["v"], type(read["v"])) == (value, type(value))
    text = rendered("yaml", "v: ${hpo.v}\nw: [1, ${hpo.v}]\nx:\n  - ${hpo.v}  # note\n", value)
    assert text is not None
    read = yaml.safe_load(text)
    assert (read["v"], type(read["v"]), read["w"][1], read["x"]) == (value, type(value), value, [value])
    text = rendered("toml", "v = ${hpo.v}\nw = [1, ${hpo.v}]\n", value)
    assert text is not None
    toml = tomllib.loads(text)
    assert (toml["v"], type(toml["v"])) == (value, type(value))


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:20])
def test_text_in_quotes_of_the_template_is_escaped_for_them(value: str) -> None:
    assert json.loads(rendered("json", '{"v": "a ${hpo.v} b"}', value) or "") == {"v": f"a {value} b"}
    assert yaml.safe_load(rendered("yaml", 'v: "a ${hpo.v} b"', value) or "") == {"v": f"a {value} b"}
    assert tomllib.loads(rendered("toml", 'v = "a ${hpo.v} b"', value) or "") == {"v": f"a {value} b"}
    single = rendered("yaml", "v: 'a ${hpo.v} b'", value)
    assert single is None or yaml.safe_load(single) == {"v": f"a {value} b"}
    literal = rendered("toml", "v = 'a ${hpo.v} b'", value)
    assert literal is None or tomllib.loads(literal) == {"v": f"a {value} b"}
    plain = rendered("yaml", "v: run-${hpo.v}", value)
    assert plain is None or yaml.safe_load(plain) == {"v": f"run-{value}"}


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:20])
def test_an_ini_file_holds_a_value_or_refuses_it(value: str) -> None:
    text = rendered("ini", "[a]\nv = ${hpo.v}\nw = 1\n", value)
    if text is not None:
        parser = configparser.ConfigParser()
        parser.read_string(text)
        assert dict(parser["a"]) == {"v": value, "w": "1"}


@pytest.mark.parametrize(
    ("template", "value", "text"),
    [
        ("x = ${hpo.v}", True, "x = .true."),
        ("x = ${hpo.v}, y = 1", "it's", "x = 'it''s', y = 1"),
        ("x = '${hpo.v}'", "it's", "x = 'it''s'"),
        ('x = "${hpo.v}"', 'a"b', 'x = "a""b"'),
        ("x = 1, ${hpo.v} ! note", 1e-05, "x = 1, 1e-05 ! note"),
        ("x = 3*${hpo.v}/", 2, "x = 3*2/"),
        ("x = run-${hpo.v}", "a b", None),
        ("x = ${hpo.v}", "a\nb", None),
    ],
)
def test_a_namelist_is_spelled_as_fortran_reads_it(template: str, value: Any, text: str | None) -> None:
    assert rendered("namelist", template, value) == text


def test_raw_files_take_values_as_they_are() -> None:
    assert rendered("raw", "v ${hpo.v}!", "a 'b'\n") == "v a 'b'\n!"


def test_what_a_format_cannot_hold_is_refused() -> None:
    assert rendered("toml", "v = ${hpo.v}", 2**62) is not None
    with pytest.raises(CannotHold, match="64 bits"):
        spelled("toml", "alone", 2**63, str(2**63))
    with pytest.raises(CannotHold, match="NUL"):
        spelled("raw", "plain", "\0", "\0")


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("a.yaml", "yaml"),
        ("a.yml.in", "yaml"),
        ("b.JSON", "json"),
        ("c.toml.in", "toml"),
        ("d.cfg", "ini"),
        ("e.nml.in", "namelist"),
        ("f.dat.in", "raw"),
        ("g", "raw"),
        (".in", "raw"),
        ("h.in", "raw"),
    ],
)
def test_the_suffix_tells_the_format(path: str, form: str) -> None:
    assert format_of(path) == form


@pytest.mark.parametrize(
    ("form", "text", "where"),
    [
        ("yaml", "a: @", "alone"),
        ("yaml", "- @", "alone"),
        ("yaml", "a: [1, @]", "alone"),
        ("yaml", "a: {b: @}", "alone"),
        ("yaml", "a: x@", "plain"),
        ("yaml", "a: @ b", "plain"),
        ("yaml", "a:@", "plain"),
        ("yaml", "a: it's @", "plain"),
        ("yaml", 'a: "x @"', "double"),
        ("yaml", "a: 'it''s @'", "single"),
        ("json", '{"a": @}', "alone"),
        ("json", '{"a\\"b": "@"}', "double"),
        ("toml", 'a = """\n@\n"""', "double"),
        ("toml", "a = '@'", "single"),
        ("toml", "a = @ # note", "alone"),
        ("ini", "a = '@'", "single"),
    ],
)
def test_the_surroundings_of_a_placeholder_are_told(form: str, text: str, where: str) -> None:
    index = text.index("@")
    assert surroundings(form, text, index, index + 1) == where


def test_a_path_in_a_format_with_quotes_gets_them() -> None:
    templates = {
        "a": Template("a", "a", "json", '{"d": ${trial.dir}, "n": ${trial.number}, "s": ${study.name}}'),
        "b": Template("b", "b", "namelist", "d = ${trial.dir}"),
    }
    files = render_trial(study("p ${hpo.v}", {"v": [1, 2]}, templates=templates), {"v": 1}).files
    facts = {"dir": "results/d/trials/000/1", "number": 1}
    assert json.loads(text_of_rendered(files["a"]["text"], facts)) == {"d": facts["dir"], "n": 1, "s": "digits"}
    assert text_of_rendered(files["b"]["text"], facts) == "d = 'results/d/trials/000/1'"
