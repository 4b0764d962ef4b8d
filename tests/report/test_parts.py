"""The drawings of a report as files of their own."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

from hpo_workflow.analysis.importance import Importance, Importances
from hpo_workflow.report.parts import MOST_PARAMETERS, drawings
from tests.report.pages import content, hostile, parameters, population, row
from tests.report.test_page import study_of

NAME = re.compile(r"[\w.-]+")


def test_each_drawing_is_a_picture_of_its_own_with_its_colours() -> None:
    study = content(0.5, 0.25, None, curves={"loss": {0: [(1.0, 0.5), (2.0, 0.25)]}})
    made = drawings(study)
    assert list(made) == ["progress", "learning-curves", "parameter-x"]
    for svg in made.values():
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.attrib["width"]) > 300 and root.attrib["viewBox"].endswith(root.attrib["height"])
        used = {name for text in re.findall(r'class="([^"]*)"', svg) for name in text.split()}
        for variable in re.findall(r"var\((--[\w-]+)\)", svg):
            assert f"{variable}:" in svg
        assert {"chart", "axis"} <= used and ".axis {" in svg and "prefers-color-scheme" not in svg


def test_the_most_important_parameters_have_drawings_and_all_names_are_file_names() -> None:
    study = study_of(30, MOST_PARAMETERS + 10)
    last = [p.name for p in study.parameters][-3:]
    found = Importances(tuple(Importance(name, 0.3, 0.1, 0.5, 30) for name in last), 0.9, 30, "")
    made = drawings(replace(study, importances=found))
    assert sum(name.startswith("parameter-") for name in made) == MOST_PARAMETERS
    assert {f"parameter-{name}" for name in last} <= set(made) and {"importance", "parameters-together"} <= set(made)
    dotted = parameters({"model.lr": {"type": "float", "low": 0.0, "high": 1.0}})
    made |= drawings(content(rows=[row(0, 0.5, params={"model.lr": 0.1})], parameters=dotted))
    assert "parameter-model.lr" in made and all(NAME.fullmatch(name) for name in made)


def test_a_hostile_study_and_one_of_levels_and_an_empty_one_have_well_formed_drawings() -> None:
    for study in (hostile(), population(0.5, 0.9, 0.4, 0.3), content(), content(None)):
        for name, svg in drawings(study).items():
            assert NAME.fullmatch(name)
            tags = {each.tag.partition("}")[2] for each in ElementTree.fromstring(svg).iter()}
            assert tags <= {"svg", "style", "rect", "g", "path", "text", "circle", "title", "line"}
    assert drawings(content()) == {}
