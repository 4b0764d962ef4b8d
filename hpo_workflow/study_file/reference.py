"""Writes what is made from the schema: `schema.json` for editors and the reference `config/README.md`.

python -m hpo_workflow.study_file.reference            # writes both; run it in the root of a clone
python -m hpo_workflow.study_file.reference --check    # says whether they are in step
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpo_workflow.pruners.registry import PRUNERS
from hpo_workflow.samplers.options import Option
from hpo_workflow.samplers.registry import SAMPLERS
from hpo_workflow.study_file.schema import SCHEMA, is_later, study_schema

SCHEMA_FILE = Path(__file__).parent / "schema.json"
REFERENCE_FILE = Path("config") / "README.md"

_KINDS = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
    "null": "null",
}

_GROUPS = (
    ("The study", ("version", "study", "description", "seed", "outdir", "cache")),
    (
        "What a trial runs",
        ("command", "shell", "workdir", "setup", "env", "pass_env", "pass", "templates", "inputs", "needs"),
    ),
    ("What varies", ("space",)),
    ("What is optimised", ("objective", "metrics")),
    (
        "How the search goes",
        (
            "sampler",
            "start",
            "history",
            "fidelity",
            "pruner",
            "refill",
            "budget",
            "resources",
            "limits",
            "retry",
            "keep",
        ),
    ),
    ("Who is told", ("track",)),
)

EXAMPLE = """\
# yaml-language-server: $schema=../hpo_workflow/study_file/schema.json
study: digits                   # the results live in results/digits
command: >-                     # folded: these lines are one command
  python train.py --lr=${hpo.lr} --units=${hpo.units} --optimizer=${hpo.optimizer}
  --momentum=${hpo.momentum?} ${hpo.amp?--amp} --out=${trial.dir}
space:
  lr:        {type: float, low: 1.0e-5, high: 0.1, log: true}
  units:     {type: int, low: 32, high: 512, step: 32}
  optimizer: [adam, sgd]        # a list is a choice
  momentum:  {type: float, low: 0.8, high: 0.99, when: {optimizer: sgd}}
  amp:       [true, false]
objective:
  metric: accuracy              # the program prints accuracy=0.93
  direction: maximize
budget:
  trials: 64
  parallel: 8                   # eight are under way at any time
resources: {gpu: 1, mem: 8GB, runtime: 2h}
"""
"""The study file at the top of the reference; a test loads it."""

_HEAD = """\
# The study file

<!-- Made from the schema by `python -m hpo_workflow.study_file.reference`; edit that module, not this file. -->

A study file says what to run, what may vary, what to optimise and how much may be spent. `hpo check FILE` reads it and
reports all its faults at once, each with its cure; `hpo init` writes one to start from.

```yaml test=load
{example}```

The file is YAML 1.2: `1e-5` is a number, and `no`, `on` and `12:30:45` are text. Unknown keys are errors that name the
nearest known key, except those that start with `x-`, which are yours. Duplicate keys, tags and merge keys (`<<`) are
refused. Paths start in the directory where the run is started. Times are written as `90s`, `30m`, `12h`, `1h30m` or
`2d`; sizes as `300MB`, `8GB` or `16GiB`. The unit belongs to them.
"""

_PLACEHOLDERS = """\
## Placeholders

They may stand in `command`, `env` and the files of `templates`.

| placeholder | becomes |
| --- | --- |
| `${hpo.NAME}` | the value of a parameter, a constant or a derived value |
| `${hpo.NAME:FMT}` | the same in a Python format, as in `${hpo.lr:.3e}`; `${hpo.amp:d}` gives 1 or 0 |
| `${hpo.NAME?}` | the same; where the parameter is inactive, what contains it is left out |
| `${hpo.NAME?TEXT}` | TEXT where the parameter is true or active; else what contains it is left out |
| `${trial.number}`, `${trial.config}` | number of the trial, and of its configuration |
| `${trial.dir}` | the trial's own directory, which survives a new attempt |
| `${trial.seed}` | a seed made from the study's seed, the same for all configurations |
| `${trial.attempt}` | 1 at the first start of the trial, then 2, ... |
| `${trial.params_file}` | a JSON file of the parameters |
| `${trial.file.NAME}` | the file that template NAME became |
| `${trial.port}` | a free port |
| `${trial.fidelity}` | with `fidelity:`, what the trial is trained up to |
| `${trial.resume_from}` | with `fidelity:`, the directory of the trial that it goes on from; empty the first time |
| `${study.name}` | the study |
| `$${hpo.x}` | the text `${hpo.x}` itself |

What is left out is the whole word of a shell command, the whole argument of a list, the variable of `env`, or the
line of a template. A plain `${hpo.NAME}` of a parameter with a condition needs `fallback:`. Any other `${...}`
belongs to the shell. What only looks like a placeholder (`{hpo.lr}`, `$hpo.lr`, `${hpo_lr}`) is an error.

Floats are written in the shortest form that reads back as the same number, floats with a step in plain decimals,
booleans as `true` and `false`.

**Quoting.** In a command for the shell a value is quoted as one word, so the placeholder must be (part of) a word
that no quotes surround: `--name=${hpo.name}`, not `"--name=${hpo.name}"`. Inside double quotes use the variable,
which holds the same value: `"lr is $HPO_PARAM_LR"`. Placeholders in quotes, backticks, comments, here-documents,
`$(( ))`, `[[ ]]`, `case`, or in what `eval`, `bash -c`, `ssh`, `sed` or `awk` read as code are refused. A `command`
that is a list is given to the program as it is, without a shell. Write it as a block, because YAML takes the braces of
`${...}` for a mapping inside `[ ]`:

```yaml test=part
command:
  - python
  - train.py
  - --lr=${hpo.lr}
```

**Templates** write values in the spelling of their format: text in quotes for YAML, JSON, TOML and namelists,
`.true.` in a namelist, `1.0e-05` in YAML. Inside quotes of the template itself the value is escaped for them.

## Environment of a trial

| variable | holds |
| --- | --- |
| `HPO_STUDY`, `HPO_TRIAL`, `HPO_ATTEMPT` | name of the study, number of the trial, number of the attempt |
| `HPO_TRIAL_DIR` | the trial's directory |
| `HPO_SEED` | the seed of the trial |
| `HPO_PARAM_<NAME>` | a parameter that has a value, its name in upper case, with `_` for `.` |
| `HPO_PARAMS_FILE` | a JSON file of all of them |
| `HPO_FIDELITY`, `HPO_RESUME_FROM` | with `fidelity:`, the same as `${trial.fidelity}` and `${trial.resume_from}` |
| `HPO_METRICS_FILE` | a file for metrics as JSON lines, for programs that rather write than print |
| `PYTHONUNBUFFERED` | 1, so that Python prints at once |
| `OMP_NUM_THREADS` | the threads of `resources`, unless set |

## Identity

A finished trial counts as long as what it ran is the same: `command`, `shell`, `workdir`, `env`, the text of
templates, the values of its parameters, constants and derived values, fallbacks, and the content of the inputs; the
seed only where the command sees it. Without `inputs:` these are the files that are named as words in the command,
also behind `=`, as far as they exist below the directory where the run is started; folders, the files of `needs:` and
files above 50 MB are not among them. `hpo check` lists them. A change of budget, resources, setup, sampler or limits
runs nothing again, a change of metrics or objective only reads the logs again.

## As the `config` of a module

A Snakefile that uses this workflow as a module gives `config: {"study": PATH}` or the study itself as a mapping. In a
mapping, text that reads as a number is taken as one where a number is required, because Snakemake reads `1e-4` as text;
as a choice or a constant it is refused.
"""


def schema_text() -> str:
    """The content of `schema.json`."""
    return json.dumps(study_schema(), indent=2, ensure_ascii=False) + "\n"


def reference_text() -> str:
    """The content of `config/README.md`."""
    parts = [_HEAD.replace("{example}", EXAMPLE)]
    listed = [key for _, keys in _GROUPS for key in keys]
    properties = SCHEMA["properties"]
    missing = [key for key, node in properties.items() if key not in listed and not is_later(node)]
    if missing:
        raise ValueError(f"keys that no part of the reference lists: {missing}")
    for title, keys in _GROUPS:
        parts.append(
            f"## {title}\n\n" + "\n".join(line for key in keys for line in _entry(key, properties[key])) + "\n"
        )
        if title == "What varies":
            parts.append(_space(properties["space"]["additionalProperties"]))
    parts.append(_PLACEHOLDERS)
    later = ", ".join(f"`{key}`" for key, node in properties.items() if is_later(node))
    parts.append(
        f"## Not in this version\n\nThese keys are known and refused: {later}, a list of\n"
        "objectives, and `reduce: mean:N`.\n"
    )
    return "\n".join(parts)


def _entry(key: str, node: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """A key as an item of a list, with the keys below it."""
    required = key in SCHEMA["required"] if depth == 0 else False
    facts = ["required"] if required else []
    facts += [_kind(node)] if _kind(node) else []
    if "default" in node and node["default"] not in ({}, [], "", None):
        facts.append(f"default `{_shown(node['default'])}`")
    example = next(iter(node.get("examples", ())), None)
    text = f"{'  ' * depth}- `{key}` ({', '.join(facts)}): {node['description']}"
    if example is not None and "properties" not in node:
        text += f" Example: `{key}: {_shown(example)}`."
    yield text
    below = {name: child for name, child in node.get("properties", {}).items() if not is_later(child)}
    if key in ("sampler", "pruner"):
        yield from _entry("name", below["name"], 1)
        yield from _samplers() if key == "sampler" else _pruners()
        return
    entry = node.get("additionalProperties")
    if not below and isinstance(entry, Mapping) and key != "space":
        below = entry.get("properties", {})
    items = node.get("items")
    if not below and isinstance(items, Mapping):
        below = items.get("properties", {})
    for name, child in below.items():
        yield from _entry(name, child, depth + 1)


def _samplers() -> Iterator[str]:
    """The names that `sampler` has, each with its options."""
    for name, entry in SAMPLERS.items():
        needs = f" Needs the extra `{entry.package}`." if entry.package else ""
        rest = " All other keys are its own options." if entry.rest else ""
        yield f"  - `{name}`: {entry.description}.{rest}{needs}"
        yield from _options(entry.options)


def _pruners() -> Iterator[str]:
    """The names that `pruner` has, each with its options."""
    for name, entry in PRUNERS.items():
        yield f"  - `{name}`: {entry.description}."
        yield from _options(entry.options)


def _options(options: Mapping[str, Option]) -> Iterator[str]:
    for key, option in options.items():
        facts = ["required"] if option.required else []
        facts.append(option.wanted)
        facts += [f"default `{_shown(option.default)}`"] if option.default is not None else []
        yield f"    - `{key}` ({', '.join(facts)}): {option.description}"


def _kind(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return " or ".join(f"`{choice}`" for choice in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    written = {"duration": "time", "duration-or-minutes": "time or number of minutes", "size": "size"}
    if node.get("format") in written:
        return written[node["format"]]
    kinds = [node["type"]] if isinstance(node["type"], str) else node["type"]
    return " or ".join(_KINDS[kind] for kind in kinds if kind != "null")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_shown(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(item) for item in value) + "]"
    if (
        (isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9^$].*", value))
        or "'" in str(value)
        or "*" in str(value)
    ):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _space(parameter: Mapping[str, Any]) -> str:
    lines = [
        "Each entry of `space` is one of",
        "",
        "- a mapping with `type`: a range of numbers, such as `{type: float, low: 1.0e-5, high: 0.1, log: true}`",
        "- a list: choices, such as `[adam, sgd]`; a mapping with `choices` can also have a condition",
        "- a scalar: a constant",
        "- a mapping with `expr`: a derived value, such as `{expr: lr * batch / 64}`",
        "",
        "Names are letters, digits and `_`; dots join several (`model.lr`). Keys of a parameter:",
        "",
        *(line for key, node in parameter["properties"].items() if not is_later(node) for line in _plain(key, node)),
        "",
    ]
    return "\n".join(lines)


def _plain(key: str, node: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    default = f", default `{_shown(node['default'])}`" if "default" in node else ""
    yield f"{'  ' * depth}- `{key}` ({_kind(node)}{default}): {node['description']}"
    for name, child in node.get("properties", {}).items():
        yield from _plain(name, child, depth + 1)


def main(arguments: list[str]) -> int:
    """Write both files, or compare them with --check; 1 where they are out of step."""
    texts = {SCHEMA_FILE: schema_text(), REFERENCE_FILE: reference_text()}
    stale = [file for file, text in texts.items() if not file.exists() or file.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for file in stale:
            print(f"{file} is out of step: run python -m hpo_workflow.study_file.reference", file=sys.stderr)
        return 1 if stale else 0
    for file in stale:
        file.parent.mkdir(exist_ok=True)
        file.write_text(texts[file], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
