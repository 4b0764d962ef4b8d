"""From a study file, or a module's mapping, to a plan that jobs can read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo_workflow.earlier_results import Source, map_rows
from hpo_workflow.errors import ConfigError, UsageError
from hpo_workflow.spec import digest_of
from hpo_workflow.store.atomic import to_json
from hpo_workflow.store.plan import Plan
from hpo_workflow.store.study_folder import StudyFolder, read_record
from hpo_workflow.study_file.loader import LoadedStudy, load_mapping, load_study


def load_plan(
    source: str | Mapping[str, Any], on_disk: Callable[[str], str] = lambda root: root
) -> tuple[Plan, LoadedStudy]:
    """A study file, or a mapping that a module was given, as a plan.

    Args:
        source: The file's path, or the mapping.
        on_disk: Where a study's folder is, given how `outdir` says it; a module's `prefix:` moves it.

    Raises:
        ConfigError: It has faults, or earlier results that it names cannot be read.
        UsageError: There is no such file.
    """
    if isinstance(source, str):
        if os.path.isdir(source):
            raise UsageError(f"{source}: give a study file, not a folder.")
        if not os.path.isfile(source):
            raise UsageError(f"{source}: there is no such file. Give a study file, for example config/digits.yaml.")
        name = os.path.relpath(source) if os.path.abspath(source).startswith(os.getcwd() + os.sep) else source
        loaded = load_study(name)
        text = Path(name).read_text(encoding="utf-8")
    else:
        name = str(source.get("study", "module config"))
        loaded = load_mapping(source, name)
        text = to_json(source) + "\n"
    loaded.warnings.extend(cache_warnings(loaded.spec.cache))
    folder = StudyFolder(on_disk(loaded.spec.root))
    earlier = read_earlier(loaded, folder, name)
    plan = Plan(loaded.spec, loaded.identity_digest, loaded.identity, name, text, earlier)
    return without_products(plan, folder), loaded


def read_earlier(loaded: LoadedStudy, folder: StudyFolder, name: str) -> tuple[Source, ...] | None:
    """Results of earlier searches, or None where the study's folder has them: they are read once.

    Adds warnings about sources that give nothing.
    """
    spec = loaded.spec
    if folder.has_earlier(spec):
        return None
    from hpo_workflow.study_file.earlier_sources import read_sources

    try:
        sources, notes = read_sources(spec.history, spec.objective, folder.root)
    except ConfigError as error:
        raise ConfigError(name, error.faults) from None
    loaded.warnings.extend(notes)
    for source in sources:
        mapped = map_rows(spec.search_space, spec.objective.direction, source)
        if not mapped.observations:
            loaded.warnings.append(f"history: {mapped.sentence()}")
    return sources


def cache_warnings(folder: str | None) -> list[str]:
    """Why results will not be shared in a cache's folder, if it is there."""
    if folder is None or not os.path.lexists(folder):
        return []
    if not os.path.isdir(folder):
        return [f"cache: {folder} is not a folder; results are neither taken from it nor shared."]
    if not os.access(folder, os.R_OK | os.X_OK):
        return [f"cache: {folder} cannot be read by you; results are neither taken from it nor shared."]
    if not os.access(folder, os.W_OK):
        return [f"cache: {folder} cannot be written by you; results are taken from it, and new ones are not shared."]
    return []


def without_products(plan: Plan, folder: StudyFolder) -> Plan:
    """The plan without inputs that its own trials have made.

    Where a study file has no `inputs:`, the files that its command names are inputs if they exist. One that was not
    there when the study last ran, under the same command, was made by its trials (`--out=model.pt`): it says nothing
    about what they run.
    """
    if plan.spec.inputs is not None:
        return plan
    current = folder.current_plan()
    before = None if current is None else read_record(folder.paths.identity(current["identity"]))
    if before is None or before["command"] != plan.identity_content["command"]:
        return plan
    inputs = {path: digest for path, digest in plan.identity_content["inputs"].items() if path in before["inputs"]}
    content = {**plan.identity_content, "inputs": inputs}
    return replace(plan, identity=digest_of(content), identity_content=content)
