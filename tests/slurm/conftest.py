"""The emulated cluster for the tests below this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine import need
from tests.slurm.cluster import Cluster, session_folder, stop_orphans


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share the cluster run in one worker of pytest-xdist, and first: they are the longest."""
    shared = [item for item in items if "slurm_cluster" in getattr(item, "fixturenames", ())]
    for item in shared:
        item.add_marker(pytest.mark.xdist_group("slurm"))
    items[:] = shared + [item for item in items if item not in shared]


@pytest.fixture(scope="session")
def slurm_cluster() -> Iterator[Cluster]:
    """A running cluster of 3 nodes x 8 CPUs x 4 GPUs; pass `env=slurm_cluster.env()` to what shall see it.

    One that was started by hand is used and left running.
    """
    need("slurm")
    stop_orphans()
    by_hand = Cluster()
    ours = not by_hand.is_running()
    cluster = Cluster(session_folder()) if ours else by_hand
    try:
        cluster.start()
        yield cluster
    finally:
        if ours:
            cluster.stop(wipe=True)


@pytest.fixture
def quiet_cluster(slurm_cluster: Cluster) -> Iterator[Cluster]:
    """The same, with no job of an earlier test in it, and all nodes up again afterwards."""
    slurm_cluster.cancel_all()
    try:
        yield slurm_cluster
    finally:
        slurm_cluster.revive()
        slurm_cluster.cancel_all()
