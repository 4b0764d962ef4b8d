"""Snakemake's Slurm plugin waits for ever for a preempted job that Slurm does not start again. Here it does not.

Seen with version 2.8: it takes the state PREEMPTED for a job that comes back by itself, also under `--no-requeue`. Our
profile sets that because a job that Slurm and Snakemake both start again runs twice. The Snakefile calls this, so that
it holds for `hpo run` and for a plain `snakemake`.
"""

from __future__ import annotations

import sys
from typing import Any

PLUGIN = "snakemake_executor_plugin_slurm"


def make_preemption_an_end(workflow: Any) -> None:
    """Let the plugin take a preempted job as one that has ended, where Slurm was told not to start it again.

    Args:
        workflow: Snakemake's own; its settings are looked at when the plugin asks for states.
    """
    plugin: Any = sys.modules.get(PLUGIN)
    ask = getattr(plugin, "query_job_status", None)
    if ask is None or hasattr(ask, "makes_preemption_an_end"):
        return

    async def ask_and_translate(*arguments: Any, **named: Any) -> Any:
        states, seconds = await ask(*arguments, **named)
        if states and getattr(workflow.executor_settings, "no_requeue", False):
            states = {job: "CANCELLED" if state == "PREEMPTED" else state for job, state in states.items()}
        return states, seconds

    ask_and_translate.makes_preemption_an_end = True  # type: ignore[attr-defined]
    plugin.query_job_status = ask_and_translate
