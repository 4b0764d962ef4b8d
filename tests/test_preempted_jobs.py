"""A preempted job that does not come back has ended, also for Snakemake's Slurm plugin."""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from hpo_workflow.preempted_jobs import PLUGIN, make_preemption_an_end

SEEN = {"1": "PREEMPTED", "2": "RUNNING"}


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As much of the plugin as is changed."""

    async def query_job_status(command: str, logger: Any) -> Any:
        return (dict(SEEN), 0.1) if command else (None, None)

    made: Any = ModuleType(PLUGIN)
    made.query_job_status = query_job_status
    monkeypatch.setitem(sys.modules, PLUGIN, made)
    return made


@pytest.mark.parametrize(
    ("settings", "state"),
    [({"no_requeue": True}, "CANCELLED"), ({"no_requeue": False}, "PREEMPTED"), ({}, "PREEMPTED")],
)
def test_a_preempted_job_has_ended_where_slurm_does_not_start_it_again(
    plugin: Any, settings: dict[str, bool], state: str
) -> None:
    workflow = SimpleNamespace(executor_settings=None)
    make_preemption_an_end(workflow)
    asked = plugin.query_job_status
    make_preemption_an_end(workflow)
    assert plugin.query_job_status is asked, "changed once, however many studies a workflow has"
    workflow.executor_settings = SimpleNamespace(**settings)  # known only when jobs are about to be submitted
    assert asyncio.run(plugin.query_job_status("squeue", None)) == ({"1": state, "2": "RUNNING"}, 0.1)
    assert asyncio.run(plugin.query_job_status("", None)) == (None, None), "no answer stays none"


def test_without_the_plugin_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, PLUGIN, raising=False)
    make_preemption_an_end(SimpleNamespace())
    assert PLUGIN not in sys.modules


def test_the_plugin_that_is_installed_is_one_that_can_be_changed() -> None:
    plugin = pytest.importorskip(PLUGIN)
    assert asyncio.iscoroutinefunction(plugin.query_job_status)
