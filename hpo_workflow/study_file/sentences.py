"""What jsonschema found, as our own sentences: where, what, and what to write instead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import jsonschema

from hpo_workflow.errors import Fault
from hpo_workflow.study_file.schema import VARIABLE, study_schema
from hpo_workflow.study_file.yaml_reader import Document, Path, dotted
from hpo_workflow.template.placeholders import nearest

_KINDS = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}

_OTHER_NAMES: Mapping[str, Mapping[str, str]] = {
    "": {
        "name": "study",
        "parameters": "space",
        "params": "space",
        "search_space": "space",
        "cmd": "command",
        "program": "command",
        "run": "command",
        "metric": "objective.metric",
        "direction": "objective.direction",
        "goal": "objective.direction",
        "trials": "budget.trials",
        "n_trials": "budget.trials",
        "max_trials": "budget.trials",
        "maxTrialCount": "budget.trials",
        "run_cap": "budget.trials",
        "parallel": "budget.parallel",
        "n_jobs": "budget.parallel",
        "jobs": "budget.parallel",
        "method": "sampler",
        "algorithm": "sampler",
        "environment": "env",
        "output": "outdir",
        "timeout": "resources.runtime",
        "regex": "metrics.define",
        "keep_checkpoints": "keep",
        "checkpoints": "keep",
        "memory": "resources.mem",
        "walltime": "resources.runtime",
        "gpus": "resources.gpu",
        "cpus": "resources.threads",
        "partition": "resources.slurm_partition",
        "account": "resources.slurm_account",
    },
    "fidelity": {
        "ready_interval": "interval",
        "perturbation_interval": "interval",
        "quantile_fraction": "quantile",
        "resample_probability": "resample",
        "reduction_factor": "eta",
        "min": "low",
        "max": "high",
    },
    "objective": {
        "name": "metric",
        "goal": "direction",
        "mode": "direction",
        "type": "direction",
        "lines": "metrics.lines",
    },
    "budget": {"n_trials": "trials", "max_trials": "trials", "time": "wall", "timeout": "wall", "jobs": "parallel"},
    "limits": {"timeout": "resources.runtime", "runtime": "resources.runtime", "memory": "resources.mem"},
}
"""Keys that other tools use, and ours, by the mapping that they stand in."""


def shown(value: Any, length: int = 60) -> str:
    """A value as a person recognises it."""
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    text = json.dumps(value, ensure_ascii=False) if not isinstance(value, float) else repr(value)
    return text if len(text) <= length else text[: length - 4] + '..."'


def fault_of(error: jsonschema.ValidationError, document: Document) -> Iterator[tuple[Path, Fault]]:
    """The faults that one error of jsonschema stands for, each with the path that it belongs to."""
    path: Path = tuple(error.absolute_path)
    word = error.validator
    schema: Any = error.schema
    wanted: Any = error.validator_value
    instance: Any = error.instance
    properties: Mapping[str, Any] = schema.get("properties", {})
    if "propertyNames" in error.absolute_schema_path:
        yield from _bad_name(path, error)
    elif word == "required":
        for key in wanted:
            if key not in instance and error.message.startswith(f"{key!r} "):
                node = properties.get(key, {})
                yield _fault((*path, key), "is missing.", _give(key, node))
    elif word == "additionalProperties":
        known = [name for name, node in properties.items() if "not" not in node]
        for key in instance:
            if key not in properties and not _is_note(key, schema):
                yield _fault((*path, key), "this key is not known.", _known_key(path, key, known))
    else:
        problem, cure = _value_problem(path, error, document)
        yield _fault(path, problem, cure)


def _fault(path: Path, problem: str, cure: str) -> tuple[Path, Fault]:
    return path, Fault(dotted(path), problem, cure)


def _is_note(key: str, schema: Mapping[str, Any]) -> bool:
    return any(re.search(pattern, key) for pattern in schema.get("patternProperties", {}))


def _give(key: str, node: Mapping[str, Any]) -> str:
    """How to write a key that is missing."""
    example = next(iter(node.get("examples", ())), None)
    if example is None:
        return f"Give {key}:."
    if isinstance(example, Mapping):
        return "Give it, for example\n" + _block(key, example)
    return f"Give it, for example `{key}: {_plain(example)}`."


def _block(key: str, value: Any, indent: str = "  ") -> str:
    if not isinstance(value, Mapping):
        return f"{indent}{key}: {_plain(value)}"
    if all(not isinstance(item, Mapping) for item in value.values()):
        body = ", ".join(f"{name}: {_plain(item)}" for name, item in value.items())
        return f"{indent}{key}: {{{body}}}"
    return "\n".join([f"{indent}{key}:", *(_block(name, item, indent + "  ") for name, item in value.items())])


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_plain(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_plain, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _known_key(path: Path, key: str, known: list[str]) -> str:
    parent = dotted(path)
    other = _OTHER_NAMES.get(parent, {}).get(key)
    if other:
        return f"Write {other}:."
    places = [f"{section}.{key}" for section, keys in _keys_of_sections().items() if key in keys]
    if len(places) == 1:
        return f"Write {places[0]}:."
    guess = nearest(key, known)
    if guess:
        return f"Write {guess}:, or x-{key}: for a note of your own." if not path else f"Write {guess}:."
    listed = ", ".join(sorted(known))
    return (
        f"Known {'here ' if path else ''}are {listed}; keys that start with x- are ignored."
        if not path
        else f"Known here are {listed}."
    )


@cache
def _keys_of_sections() -> Mapping[str, frozenset[str]]:
    """The keys of each mapping at the top of a study file, without those of later versions."""
    sections = study_schema()["properties"]
    return {
        name: frozenset(key for key, node in sections[name]["properties"].items() if "not" not in node)
        for name in ("objective", "metrics", "sampler", "budget", "resources", "limits")
    }


def _bad_name(path: Path, error: jsonschema.ValidationError) -> Iterator[tuple[Path, Fault]]:
    name = str(error.instance)
    here = (*path, name)
    if path[:1] == ("space",):
        cure = "Names are letters, digits and _, not starting with a digit; dots join several, as in model.lr."
        yield _fault(here, f"{shown(name)} is not a name for a parameter.", cure)
    elif path == ("metrics", "define"):
        yield _fault(here, f"{shown(name)} is not a name for a metric.", "Use a name without blanks and =.")
    elif path == ("resources",) and re.fullmatch(VARIABLE, name):
        yield _fault(here, f"{name} is a name that Snakemake or its rules use themselves.", "Remove it.")
    else:
        what = {"env": "a variable", "templates": "a template", "resources": "a resource"}.get(dotted(path), "a key")
        cure = "Names are letters, digits and _, not starting with a digit."
        yield _fault(here, f"{shown(name)} is not a name for {what}.", cure)


def _value_problem(path: Path, error: jsonschema.ValidationError, document: Document) -> tuple[str, str]:
    wanted: Any = error.validator_value
    schema: Any = error.schema
    node: Mapping[str, Any] = schema
    value, word = error.instance, error.validator
    if word == "not":
        if "instead" in node:
            return "this key is not known.", f"Write {node['instead']}:."
        return "is not in this version.", "Remove it."
    if word == "type":
        return _type_problem(path, value, node, document)
    if word in ("enum", "const"):
        return _enum_problem(path, value, wanted if word == "enum" else [wanted])
    if word == "pattern":
        return _pattern_problem(path, value)
    if word in ("minItems", "minLength", "minProperties"):
        return "is empty.", _give_value(path, node)
    if word == "format":
        return _format_problem(value, str(wanted), error)
    bounds = {
        "minimum": f"{wanted} or more",
        "maximum": f"{wanted} or less",
        "exclusiveMinimum": f"more than {wanted}",
    }
    if word in bounds:
        return f"{shown(value)} is not possible.", f"Give {bounds[word]}."
    return f"{shown(value)} is not possible here.", _give_value(path, node)


def _type_problem(path: Path, value: Any, node: Mapping[str, Any], document: Document) -> tuple[str, str]:
    if path == ("objective",) and isinstance(value, list):
        return "a list of objectives is not in this version.", "Give one objective: `metric:` and `direction:`."
    kinds = [node["type"]] if isinstance(node["type"], str) else list(node["type"])
    wanted = " or ".join(_KINDS[kind] for kind in kinds if kind != "null")
    trap = document.warnings.get(path)
    if isinstance(value, str) and trap:
        text = document.places[path].source
        if kinds == ["boolean"]:
            word = "true" if text.lower() in ("yes", "on", "y") else "false"
            return f"{text} is text in YAML 1.2.", f"Write {word}."
        return f"{text} is text in YAML 1.2, {trap} only in YAML 1.1.", f"Give {wanted}."
    if kinds == ["string"] and isinstance(value, (bool, int, float)):
        written = document.place(path).source or shown(value)
        return f"{written} is not text.", f'Write "{written}" in quotes for text.'
    if value is None:
        return "has no value.", f"Give {wanted}{_example(path, node)}, or remove the key."
    if isinstance(value, str) and kinds == ["integer"] and re.fullmatch(r"\d+", value):
        return f"{shown(value)} is text, because of its quotes.", f"Write {value}."
    if isinstance(value, float) and kinds == ["integer"]:
        return f"{shown(value)} is not a whole number.", f"Give a whole number{_example(path, node)}."
    if kinds == ["object"] and isinstance(value, list):
        return "is a list.", f"Give a mapping: `key: value` lines without dashes{_example(path, node)}."
    if kinds == ["array"] and isinstance(value, str):
        return f"{shown(value)} is text, not a list.", f"Write `[{value}]`." if len(value) < 40 else "Give a list."
    return f"{shown(value)} is not {wanted}.", f"Give {wanted}{_example(path, node)}."


def _example(path: Path, node: Mapping[str, Any]) -> str:
    example = next(iter(node.get("examples", ())), None)
    if example is None or not path:
        return ""
    key = str(path[-1])
    return f", for example `{_block(key, example, '')}`" if "\n" not in _block(key, example, "") else ""


def _give_value(path: Path, node: Mapping[str, Any]) -> str:
    example = _example(path, node)
    return f"Give a value{example}." if example else "Give a value, or remove the key."


def _enum_problem(path: Path, value: Any, choices: list[Any]) -> tuple[str, str]:
    words = [str(choice) for choice in choices]
    if path == ("version",):
        return f"version {shown(value)} is not known.", "Write `version: 1`, or update hpo_workflow."
    if path == ("objective", "reduce") and re.fullmatch(r"mean:\d+", str(value)):
        return f"{value} is not in this version.", "Write last or best."
    aliases = {
        "max": "maximize",
        "min": "minimize",
        "maximise": "maximize",
        "minimise": "minimize",
        "maximum": "maximize",
    }
    guess = aliases.get(str(value).lower()) or (nearest(value, words) if isinstance(value, str) else None)
    listed = f"{', '.join(words[:-1])} or {words[-1]}" if len(words) > 1 else words[0]
    problem = f"{shown(value)} is not known." if value is not None else "has no value."
    return problem, f"Write {guess}; possible are {listed}." if guess in words else f"Write {listed}."


def _pattern_problem(path: Path, value: Any) -> tuple[str, str]:
    text = str(value)
    if path == ("study",):
        if len(text) > 64:
            return f"the name has {len(text)} characters.", "Give at most 64."
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:64] or "digits"
        cure = f"Use letters, digits and any of . _ - after the first, for example `study: {safe}`."
        return f"{shown(value)} is not a name for a study.", cure
    if path[:1] in (("objective",), ("metrics",)):
        return (
            f"{shown(value)} is not a name for a metric.",
            "Use the name that the program prints, without blanks and =.",
        )
    return (
        f"{shown(value)} is not a name for a variable.",
        "Names are letters, digits and _, not starting with a digit.",
    )


def _format_problem(value: Any, form: str, error: jsonschema.ValidationError) -> tuple[str, str]:
    if form in ("duration", "duration-or-minutes", "size"):
        return f"{shown(value)} is not a {'size' if form == 'size' else 'time'}.", str(error.cause)
    reason = f"{error.cause}".rstrip(".")
    cure = "Patterns are Python's; in YAML put them in single quotes, where a backslash is only a backslash."
    return f"{shown(value)} is not a regular expression: {reason}.", cure
