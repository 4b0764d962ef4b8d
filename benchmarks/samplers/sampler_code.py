"""A digest of the code that a sampler of ours is made of: its runs are repeated when that has changed, not otherwise.

It is followed from the sampler's module through its imports, also those inside of functions. Comments and docstrings do
not count.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

import hpo_workflow
from hpo_workflow.samplers import get_sampler

PACKAGE = "hpo_workflow"
TOP = Path(hpo_workflow.__file__).parent
REGISTRY = f"{PACKAGE}.samplers"
ALWAYS = (f"{PACKAGE}.optimizer", f"{PACKAGE}.space")
"""What every sampler is reached through."""
NEVER = (f"{PACKAGE}.errors", f"{PACKAGE}.space.reading", f"{PACKAGE}.space.start", f"{PACKAGE}.trial")
"""What a study file goes through, and the nouns of a study: whatever they say, the problems here are the same."""


def digest(sampler: str) -> str:
    """Twelve letters for the sampler of this name."""
    found = hashlib.sha256()
    for module in sorted(modules(type(get_sampler(sampler)).__module__)):
        found.update(f"{module}\0{essence(file_of(module))}\0".encode())
    return found.hexdigest()[:12]


def modules(first: str) -> set[str]:
    """The modules of our package that one needs, itself included.

    The registry is left out, because it needs all samplers, unless a sampler asks it for another one.
    """
    wanted = [first, *ALWAYS]
    seen: set[str] = set()
    while wanted:
        module = wanted.pop()
        if module in seen or module in NEVER:
            continue
        seen.add(module)
        if module == REGISTRY and len(seen) > 1:
            wanted += [
                f"{REGISTRY}.{path.stem}" for path in sorted((TOP / "samplers").glob("*.py")) if path.stem != "__init__"
            ]
        for other in imports(module):
            if other == REGISTRY and module in ALWAYS:
                continue
            wanted.append(other)
    return seen


def imports(module: str) -> Iterator[str]:
    """The modules of our package that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(file_of(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if _is_module(inner) else str(node.module)


def essence(path: Path) -> str:
    """What a module does: its syntax without docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [
                line
                for line in node.body
                if not (
                    isinstance(line, ast.Expr)
                    and isinstance(line.value, ast.Constant)
                    and isinstance(line.value.value, str)
                )
            ]
    return ast.dump(tree)


def _is_module(name: str) -> bool:
    below = TOP.parent / Path(*name.split("."))
    return below.with_suffix(".py").is_file() or (below / "__init__.py").is_file()


def file_of(module: str) -> Path:
    """Where a module of ours is."""
    below = TOP.parent / Path(*module.split("."))
    package = below / "__init__.py"
    return package if package.is_file() else below.with_suffix(".py")
