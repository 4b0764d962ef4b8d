"""The emulated cluster for the tests below this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine import need
from tests.slurm.cluster import Cluster, running_cluster

CLUSTERS = 2
"""So many emulated clusters at most run at once, whatever the number of workers: each is a dozen processes."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on a cluster come first: they are the longest. Each group of them stays with one worker of pytest-xdist,
    which has a cluster of its own."""
    shared = [item for item in items if "slurm_cluster" in getattr(item, "fixturenames", ())]
    for index, item in enumerate(shared):
        item.add_marker(pytest.mark.xdist_group(f"slurm-{index % CLUSTERS}"))
    items[:] = shared + [item for item in items if item not in shared]


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Cluster]:
    """A running cluster of 3 nodes x 8 CPUs x 4 GPUs; pass `env=slurm_cluster.env()` to what shall see it.

    One that was started by hand is used and left running.
    """
    need("slurm")
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def quiet_cluster(slurm_cluster: Cluster) -> Iterator[Cluster]:
    """The same, with no job of an earlier test in it, and all nodes up again afterwards."""
    slurm_cluster.cancel_all()
    try:
        yield slurm_cluster
    finally:
        slurm_cluster.revive()
        slurm_cluster.cancel_all()
