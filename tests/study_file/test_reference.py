"""What is made from the schema is in step with it, and says what the loader does."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from hpo_workflow import spec
from hpo_workflow.samplers import known_samplers
from hpo_workflow.samplers.registry import SAMPLERS
from hpo_workflow.study_file import load_study, study_schema
from hpo_workflow.study_file.reference import EXAMPLE, REFERENCE_FILE, SCHEMA_FILE, main, reference_text, schema_text
from hpo_workflow.study_file.schema import default_of, is_later

ROOT = Path(__file__).parents[2]


def test_the_reference_and_the_schema_file_are_in_step() -> None:
    hint = "run python -m hpo_workflow.study_file.reference"
    assert (ROOT / REFERENCE_FILE).read_text(encoding="utf-8") == reference_text(), hint
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), hint


def test_check_says_what_is_out_of_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["--check"]) == 1
    assert "out of step" in capsys.readouterr().err


def test_the_schema_is_a_json_schema_with_a_description_for_each_key() -> None:
    schema = study_schema()
    jsonschema.Draft202012Validator.check_schema(schema)

    def visit(node: dict[str, object], path: str) -> None:
        for key, child in node.get("properties", {}).items():  # type: ignore[attr-defined]
            assert child["description"].endswith("."), f"{path}.{key}"
            visit(child, f"{path}.{key}")
        if isinstance(node.get("additionalProperties"), dict):
            visit(node["additionalProperties"], f"{path}.*")  # type: ignore[arg-type]

    visit(schema, "")


def test_the_example_of_the_reference_loads_and_fits_the_schema(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(EXAMPLE)
    loaded = load_study(tmp_path / "study.yaml", base_dir=tmp_path)
    assert loaded.spec.budget.parallel == 8
    assert loaded.warnings == []
    jsonschema.validate(yaml.safe_load(EXAMPLE), study_schema())


def test_the_reference_lists_every_sampler_and_each_of_its_options() -> None:
    lines = reference_text().splitlines()
    for name in known_samplers():
        start = next(i for i, line in enumerate(lines) if line.startswith(f"  - `{name}`: "))
        for number, (key, option) in enumerate(SAMPLERS[name].options.items(), 1):
            assert lines[start + number].startswith(f"    - `{key}` (") and option.wanted in lines[start + number]
            assert option.description in study_schema()["properties"]["sampler"]["properties"][key]["description"]


def test_defaults_of_the_schema_are_those_of_the_spec() -> None:
    for key in ("version", "description", "seed", "outdir", "cache", "shell", "workdir", "setup", "refill"):
        field = next(field for field in dataclasses.fields(spec.StudySpec) if field.name == key)
        assert default_of(key) == field.default
    assert default_of("metrics", "format") == spec.MetricSettings().format
    objective = spec.Objective("a", "minimize")
    assert default_of("objective", "reduce") == objective.reduce
    assert default_of("objective", "on_target") == objective.on_target
    assert (default_of("limits", "grace"), spec.Limits().grace_s) == ("60s", 60.0)
    assert (default_of("limits", "log"), spec.Limits().log_bytes) == ("1GB", 10**9)


def test_examples_of_the_schema_are_valid() -> None:
    def visit(node: dict[str, object]) -> None:
        for child in node.get("properties", {}).values():  # type: ignore[attr-defined]
            if not is_later(child):
                for example in child.get("examples", ()):
                    jsonschema.validate(example, child)
                visit(child)

    visit(json.loads(schema_text()))
