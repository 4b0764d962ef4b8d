"""Studies for the tests of templates, built without a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hpo_workflow.errors import Fault
from hpo_workflow.spec import Budget, Objective, StudySpec, Template
from hpo_workflow.template import check_template


def study(
    command: str | Sequence[str],
    space: Mapping[str, Any],
    *,
    env: Mapping[str, str] | None = None,
    templates: Mapping[str, Template] | None = None,
    shell: str = "bash",
) -> StudySpec:
    """A spec as the loader would make it; its templates are not checked."""
    return StudySpec(
        study="digits",
        command=command if isinstance(command, str) else tuple(command),
        space=space,
        objective=Objective("accuracy", "maximize"),
        budget=Budget(trials=8, parallel=2),
        env=env or {},
        templates=templates or {},
        shell=shell,
    )


def faults(spec: StudySpec) -> list[Fault]:
    """What the loader would say about the templates of a spec."""
    return check_template(spec.command, spec.env, spec.templates, spec.search_space, setup=spec.setup)
