"""The environment of a trial's program."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def trial_environment(
    inherited: Mapping[str, str],
    spec: Mapping[str, Any],
    values: Mapping[str, str],
    parameters: Mapping[str, str],
    facts: Mapping[str, str],
    devices: Sequence[str] | None,
) -> dict[str, str]:
    """What the program sees: what the runner inherited, then ours, then the study's `env:`.

    Args:
        inherited: The runner's own environment; the cluster's and the user's variables reach the program through it.
        spec: The study.
        values: The study's `env:`, rendered.
        parameters: `HPO_PARAM_*`.
        facts: `HPO_TRIAL`, `HPO_SEED`, ...
        devices: GPUs that were leased, None where somebody else decides.
    """
    environment = dict(inherited)
    outer = [name for name in environment if name.startswith("HPO_PARAM_")]
    for name in [*outer, "HPO_FIDELITY", "HPO_RESUME_FROM"]:
        environment.pop(name, None)  # of an outer trial; what this one does not have must be absent
    environment.setdefault("PYTHONUNBUFFERED", "1")  # else piped Python prints in blocks, and nothing can be watched
    threads = spec.get("resources", {}).get("threads", 1)
    if isinstance(threads, int):
        environment.setdefault("OMP_NUM_THREADS", str(threads))
    environment.update(facts)
    environment.update(parameters)
    if devices is not None:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    environment.update(values)
    return environment


def missing_names(inherited: Mapping[str, str], spec: Mapping[str, Any]) -> list[str]:
    """Names of `pass_env` that are not set where the trial runs."""
    return [name for name in spec.get("pass_env", ()) if name not in inherited]
