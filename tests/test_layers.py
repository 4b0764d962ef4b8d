"""Who may import whom.

The package is a stack: a part imports parts below it and its own modules, never upwards and never sideways. What runs
on compute nodes is standard library only; the core turns values into values and touches nothing else.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hpo_workflow"

LEVELS = (
    {"addresses", "call_options", "errors", "shipped", "graceful_stop", "preempted_jobs", "quantities", "versions"},
    {"trial", "objective"},
    {"space", "metrics"},
    {"surrogates", "acquisition"},
    {"samplers", "multifidelity"},
    {"spec", "optimizer", "integrations", "earlier_results", "pruners"},
    {"template", "study_state"},
    {"advice", "propose", "analysis", "retention", "diagnosis"},
    {"report"},
    {"store"},
    {"orphans", "parse", "runner", "study_file"},
    {"reading"},
    {"export"},
    {"workflow", "replay", "importers"},
    {"cli"},
    {"__main__"},
)
"""The parts from the ground up; a part is a module or a folder of the package."""

CORE = (
    "trial",
    "objective",
    "space",
    "metrics",
    "surrogates",
    "acquisition",
    "samplers",
    "multifidelity",
    "spec",
    "template",
)
CORE += ("study_state", "propose", "optimizer", "analysis", "earlier_results", "pruners", "retention", "diagnosis")
CORE += ("advice",)
CORE_KNOWS = {"numpy", "scipy", "optuna", "cmaes"}
WORLD = {"asyncio", "click", "datetime", "fcntl", "getpass", "glob", "io", "locale", "logging", "multiprocessing", "os"}
WORLD |= {"pathlib", "platform", "random", "secrets", "select", "shutil", "socket", "subprocess", "sys", "tempfile"}
WORLD |= {"threading", "time", "urllib", "uuid"}
"""Modules through which a file, a process, the environment, a clock or hidden randomness comes in."""

RUNS_A_PROGRAM = "hpo_workflow.samplers.external_command"
"""The edge inside of the core: an external sampler is a program, and asking it is running it."""

ON_NODES = ("hpo_workflow.runner.main", "hpo_workflow.parse", "hpo_workflow.store.paths", "hpo_workflow.store.atomic")
PLUGIN = ROOT / "snakemake_logger_plugin_hpo" / "__init__.py"
"""The logger plugin of Snakemake, a package of its own because Snakemake finds it by its name."""

DISTRIBUTION = {"yaml": "pyyaml", "sqlalchemy": "optuna"}
DISTRIBUTION |= {"snakemake_interface_logger_plugins": "snakemake-interface-logger-plugins"}
"""What pip installs, where a module is not named like it or comes with it."""


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes that run, without those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if not is_for_type_checkers(child):
            yield child
            yield from statements(child)


@cache
def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; what `hpo init` copies into a study is none."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "starter" not in path.parts:
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def imports(name: str) -> frozenset[str]:
    """The dotted names that a module imports anywhere in it; `from hpo_workflow.store import atomic` is the module."""
    found = set()
    for node in statements(ast.parse(modules()[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative imports hide where a name comes from"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules() else node.module)
    return frozenset(found)


def part(name: str) -> str:
    """`hpo_workflow.samplers.tpe` -> `samplers`; empty for the package itself."""
    return name.split(".")[1] if "." in name else ""


def ours(name: str) -> bool:
    return name == "hpo_workflow" or name.startswith("hpo_workflow.")


def closure(start: str) -> set[str]:
    """All modules of ours that are read when `start` is imported, with the packages above them."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        parents = [name.rsplit(".", count)[0] for count in range(1, name.count(".") + 1)]
        todo += [found for found in (*imports(name), *parents) if found in modules()]
    return seen


def level_of(name: str) -> int:
    return next(index for index, level in enumerate(LEVELS) if part(name) in level)


@pytest.mark.parametrize("name", [name for name in modules() if part(name)])
def test_every_module_has_its_place_and_imports_only_what_lies_below(name):
    assert any(part(name) in level for level in LEVELS), f"{part(name)} has no place in LEVELS: where does it belong?"
    for other in imports(name):
        if ours(other) and part(other) not in ("", part(name)):
            assert level_of(other) < level_of(name), f"{name} imports {other}, which lies above or beside it"


@pytest.mark.parametrize("name", [name for name in modules() if part(name) in CORE and name != RUNS_A_PROGRAM])
def test_the_core_touches_no_file_process_environment_or_clock(name):
    for other in imports(name):
        top = other.partition(".")[0]
        if not ours(other):
            assert top in sys.stdlib_module_names | CORE_KNOWS, f"{name} imports {other}"
            assert top not in WORLD, f"{name} imports {other}: only an edge may"


def test_samplers_do_not_know_each_other():
    """What two samplers need lies in a module that is no sampler."""
    from hpo_workflow.samplers import known_samplers

    assert "random" in known_samplers()
    samplers = {name for name in modules() if re.search(r"\bclass \w+Sampler\b", modules()[name].read_text())}
    samplers = {name for name in samplers if part(name) == "samplers" and name.count(".") == 2}
    for name in samplers:
        assert not imports(name) & (samplers - {name}), f"{name} imports another sampler"


@pytest.mark.parametrize("start", ON_NODES)
def test_what_runs_on_a_compute_node_is_standard_library_only(start):
    for name in closure(start):
        for other in imports(name):
            top = other.partition(".")[0]
            assert ours(other) or top in sys.stdlib_module_names, f"{start} reads {name}, which imports {other}"


@pytest.mark.parametrize("start", ON_NODES)
def test_what_runs_on_a_compute_node_is_written_for_python_3_8(start):
    for name in closure(start):
        text = modules()[name].read_text(encoding="utf-8")
        tree = ast.parse(text, feature_version=(3, 8))
        postponed = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)
        assert postponed or not imports(name), f"{name}: `from __future__ import annotations` is missing"
        for node in ast.walk(tree):
            assert not isinstance(node, ast.Match), f"{name}: match is newer than 3.8"


def loaded_by(*arguments: str) -> set[str]:
    """The top names of all modules that a Python process has loaded when it ends."""
    script = "import sys, atexit; atexit.register(lambda: print('\\n' + ' '.join(sys.modules)))\n" + arguments[-1]
    command = [sys.executable, "-P", *arguments[:-1], "-c", script]
    done = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_the_package_costs_neither_numpy_nor_scipy():
    assert not loaded_by("import hpo_workflow") & {"numpy", "scipy", "yaml", "click", "snakemake"}


def test_the_logger_plugin_costs_next_to_nothing_until_it_is_used():
    """Snakemake imports all plugins at each start, also those of jobs."""
    loaded = loaded_by("import snakemake_logger_plugin_hpo")
    assert "snakemake_logger_plugin_hpo" in loaded and not loaded & {"hpo_workflow", "rich", "numpy", "click"}


def test_the_package_still_offers_its_public_names():
    import hpo_workflow

    for name in hpo_workflow.__all__:
        assert getattr(hpo_workflow, name) is not None
        assert name in dir(hpo_workflow)
    with pytest.raises(AttributeError, match="has no attribute 'Optimiser'"):
        getattr(hpo_workflow, "Optimiser")  # noqa: B009  (mypy would complain about the plain spelling)


def test_the_runner_starts_without_any_installed_package():
    command = [sys.executable, "-S", "-E", "-P", str(PACKAGE / "runner" / "__main__.py"), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--number" in done.stdout


def test_no_trial_waits_for_what_only_a_person_is_shown():
    script = "import sys, hpo_workflow.runner.main, hpo_workflow.parse; print(*sys.modules)"
    command = [sys.executable, "-P", "-c", script]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    assert "hpo_workflow.metrics.reader" in done.stdout.split()
    assert "hpo_workflow.metrics.line_report" not in done.stdout.split()
    assert "hpo_workflow.pruners.pruner" not in done.stdout.split(), "only a study with a pruner needs it"


def distributions(lines: list[str]) -> set[str]:
    """The packages that a list of requirements names."""
    return {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in lines}


def test_each_package_that_is_imported_is_declared_and_each_declared_one_is_imported():
    """An extra that the package imports is named like what it installs, as its error message says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = distributions(project["dependencies"])
    extras = {name for name, lines in project["optional-dependencies"].items() if name in distributions(lines)}
    used = {other.partition(".")[0] for name in modules() for other in imports(name) if not ours(other)}
    for rules in PACKAGE.rglob("*.smk"):
        used |= set(re.findall(r"^\s*(?:from|import) (\w+)", rules.read_text(), re.MULTILINE)) - {"hpo_workflow"}
    plugin = re.findall(r"^(?:from|import) (\w+)", PLUGIN.read_text(), re.MULTILINE)
    used |= set(plugin) - {"hpo_workflow"}
    used -= set(sys.stdlib_module_names)
    assert {DISTRIBUTION.get(name, name) for name in used} - extras == declared
