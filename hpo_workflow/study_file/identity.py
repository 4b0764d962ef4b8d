"""What a study's trials run: the content that decides whether an earlier result still counts.

In it: command, shell, workdir, env, templates, constants, derived values, fallbacks and the content of the inputs; the
seed only where the program can see it. Not in it: setup, budget, resources, sampler, metrics, limits. Parameters of a
trial are not in it either: they are in the digest of the trial.
"""

from __future__ import annotations

import difflib
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hpo_workflow.errors import Fault
from hpo_workflow.spec import StudySpec
from hpo_workflow.template.rendering import read_command

LARGEST_DEFAULT_INPUT = 50_000_000
"""Bytes; a larger file named in the command is data rather than program, unless `inputs:` says otherwise."""


def identity_of(spec: StudySpec, files: Mapping[str, str]) -> dict[str, Any]:
    """The identity as JSON values.

    Args:
        spec: The study.
        files: SHA-256 of each input by its path, as `input_digests` returns them.
    """
    space = spec.search_space
    names = space.names()
    fallbacks = {name: space.fallback(name) for name in names}
    identity: dict[str, Any] = {
        "command": spec.command if isinstance(spec.command, str) else list(spec.command),
        "shell": spec.shell if isinstance(spec.command, str) else None,
        "workdir": spec.workdir,
        "env": dict(spec.env),
        "templates": {name: {"to": t.to, "format": t.format, "text": t.text} for name, t in spec.templates.items()},
        "constants": dict(space.constants),
        "derived": {name: expression.text for name, expression in space.derived.items()},
        "fallbacks": {name: value for name, value in fallbacks.items() if value is not None},
        "inputs": dict(files),
    }
    texts = json.dumps([identity["command"], identity["env"], identity["templates"]])
    if re.search(r"trial\.seed|HPO_SEED", texts):
        identity["seed"] = spec.seed
    return identity


# ---- inputs --------------------------------------------------------------------------------------
def default_inputs(
    command: str | Sequence[str], base_dir: str, needs: Sequence[str] = ()
) -> tuple[list[str], list[str]]:
    """Files that the words of a command name, and warnings about those that were passed over.

    A word counts as it stands and, where it holds `=`, as what follows (`--config=conf/a.yaml`). Only files below
    `base_dir` count: an interpreter that the command names is not an input, nor are folders, files that the shell
    writes (`> out.txt`), the files of `needs:` and files above 50 MB.
    """
    if isinstance(command, str):
        words = [word for word in read_command(command).words if word.role != "target"]
        named = [(word.text, word.role == "program") for word in words if word.text]
    else:
        named = [(text, index == 0) for index, text in enumerate(command)]
    found: dict[str, None] = {}
    warnings: list[str] = []
    for text, program in named:
        for candidate in (text, text.split("=", 1)[1] if "=" in text else ""):
            path = os.path.normpath(candidate) if candidate else ""
            if not path or os.path.isabs(path) or path.startswith("..") or "${" in path or "\0" in path:
                continue
            full = os.path.join(base_dir, path)
            if path in found or path in map(os.path.normpath, needs) or not os.path.isfile(full):
                continue
            if program and not _is_below(full, base_dir):
                continue
            if os.path.getsize(full) > LARGEST_DEFAULT_INPUT:
                said = f"{path} is larger than 50 MB and its content is not compared."
                warnings.append(f"{said} List it in needs: (as data) or in inputs:.")
                continue
            found[path] = None
    return list(found), warnings


def _is_below(path: str, base_dir: str) -> bool:
    base = os.path.realpath(base_dir)
    return os.path.commonpath([os.path.realpath(path), base]) == base


def matching_files(pattern: str, base_dir: str) -> list[str]:
    """Files that a pattern of `inputs:` names, sorted; hidden ones only where the pattern names them."""
    full = os.path.join(base_dir, pattern)
    matches = [full] if os.path.isfile(full) else glob.glob(full, recursive=True)
    files = [match for match in matches if os.path.isfile(match)]
    if os.path.isabs(pattern):
        return sorted(os.path.normpath(file) for file in files)
    return sorted(os.path.relpath(file, base_dir) for file in files)


def input_digests(files: Sequence[str], base_dir: str) -> tuple[dict[str, str], list[Fault]]:
    """SHA-256 of the content of each file, and faults for those that cannot be read."""
    digests: dict[str, str] = {}
    faults: list[Fault] = []
    for path in files:
        try:
            with open(os.path.join(base_dir, path), "rb") as file:
                digests[path] = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            faults.append(
                Fault("inputs", f"{path} cannot be read: {error.strerror}.", "Make it readable, or remove it.")
            )
    return digests, faults


# ---- differences ---------------------------------------------------------------------------------
def diff_identity(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What changed between two identities, as lines for people: texts as a unified diff, files by name."""
    lines: list[str] = []
    lines += _diff_text("command", _as_text(old.get("command")), _as_text(new.get("command")))
    for key in ("shell", "workdir", "seed"):
        if old.get(key) != new.get(key):
            lines.append(f"{key}: {_shown(old.get(key))} -> {_shown(new.get(key))}")
    for key in ("env", "constants", "derived", "fallbacks"):
        lines += _diff_mapping(key, old.get(key, {}), new.get(key, {}))
    templates, others = old.get("templates", {}), new.get("templates", {})
    for name in sorted({*templates, *others}):
        before, after = templates.get(name, {}), others.get(name, {})
        if not before or not after:
            lines.append(f"templates.{name}: {'added' if after else 'removed'}")
            continue
        for key in ("to", "format"):
            if before[key] != after[key]:
                lines.append(f"templates.{name}.{key}: {before[key]} -> {after[key]}")
        lines += _diff_text(f"templates.{name}", before["text"], after["text"])
    files, now = old.get("inputs", {}), new.get("inputs", {})
    for path in sorted({*files, *now}):
        if files.get(path) != now.get(path):
            lines.append(
                f"input {path}: {'changed' if path in files and path in now else 'added' if path in now else 'removed'}"
            )
    return lines


def _as_text(command: Any) -> str:
    return command if isinstance(command, str) else "\n".join(f"- {word}" for word in command or ())


def _shown(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False)


def _diff_mapping(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*old, *new}):
        if _shown(old.get(name)) != _shown(new.get(name)):
            yield f"{key}.{name}: {_shown(old.get(name))} -> {_shown(new.get(name))}"


def _diff_text(key: str, old: str, new: str) -> list[str]:
    if old == new:
        return []
    if old.split() == new.split():
        return [f"{key}: only blanks or line breaks differ"]
    body = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[2:]
    shown = [line if len(line) <= 300 else line[:297] + "..." for line in body if not line.startswith("@@")]
    if len(shown) > 40:
        shown = [*shown[:40], f"... and {len(shown) - 40} more lines"]
    return [f"{key}:", *(f"  {line}" for line in shown)]
