"""Ray clusters of several nodes on this machine, small enough for two cores."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

STORE_BYTES: Final = 80 * 2**20


def node(cpus: int) -> dict[str, Any]:
    """Arguments of a node with so many logical cores."""
    return {"num_cpus": cpus, "object_store_memory": STORE_BYTES, "include_dashboard": False}


@contextmanager
def nodes(*cpus: int) -> Iterator[Any]:
    """A cluster of nodes with so many logical cores, the first its head; not yet joined."""
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", "10")  # 60 by default
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_enable_worker_prestart", "0")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=node(cpus[0]))
    try:
        for count in cpus[1:]:
            cluster.add_node(**node(count))
        cluster.wait_for_nodes()
        yield cluster
    finally:
        from search.runners.ray_cluster import leave

        leave()
        cluster.shutdown()
