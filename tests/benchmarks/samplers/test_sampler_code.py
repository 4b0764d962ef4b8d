"""Runs are repeated when the code of their sampler has changed."""

from __future__ import annotations

import pytest

from benchmarks.samplers import sampler_code
from benchmarks.samplers.sampler_code import digest, essence, modules


def test_a_sampler_is_made_of_what_it_imports_and_not_of_other_samplers():
    of_gp = modules("hpo_workflow.samplers.bayesian")
    assert {"hpo_workflow.surrogates.gaussian_process", "hpo_workflow.acquisition", "hpo_workflow.optimizer"} <= of_gp
    assert "hpo_workflow.samplers.tpe" in of_gp, "which takes over where results are very many"
    assert "hpo_workflow.samplers.bayesian" not in modules("hpo_workflow.samplers.tpe")
    assert "hpo_workflow.errors" not in of_gp
    assert digest("gp") != digest("random")
    assert digest("gp") == digest("gp")


def test_comments_docstrings_and_layout_do_not_count(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('"""One."""\n\n\ndef f(x):\n    """Two."""\n    return x + 1\n')
    before = essence(path)
    path.write_text('"""Other."""\ndef f( x ):\n    return x + 1  # why\n')
    assert essence(path) == before
    path.write_text("def f(x):\n    return x + 2\n")
    assert essence(path) != before


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in which `auto` asks the registry for another sampler, inside of a function."""
    top = tmp_path / "hpo_workflow"
    texts = {
        "optimizer.py": "from hpo_workflow.samplers import get_sampler\n",
        "space/__init__.py": "",
        "errors.py": "",
        "samplers/__init__.py": "import importlib\n",
        "samplers/auto.py": "def f():\n    from hpo_workflow.samplers import get_sampler\n",
        "samplers/tpe.py": "import hpo_workflow.samplers.design\nfrom hpo_workflow.errors import E\n",
        "samplers/design.py": "import numpy\n",
    }
    for name, text in texts.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(sampler_code, "TOP", top)


@pytest.mark.usefixtures("package")
def test_a_sampler_that_asks_the_registry_is_made_of_all():
    base = {"hpo_workflow.optimizer", "hpo_workflow.space"}
    samplers = {f"hpo_workflow.samplers.{name}" for name in ("auto", "tpe", "design")}
    assert modules("hpo_workflow.samplers.auto") == base | samplers | {"hpo_workflow.samplers"}
    assert modules("hpo_workflow.samplers.tpe") == base | samplers - {"hpo_workflow.samplers.auto"}
