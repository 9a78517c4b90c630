"""A Ray cluster of two nodes on this machine; small, and shut down when its tests have ended."""

import os

import pytest


@pytest.fixture(scope="session")
def cluster():
    # Ray warns of a change otherwise, and starts processes that nobody asked for.
    os.environ.update({"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "RAY_enable_worker_prestart": "0"})
    import ray
    from ray.cluster_utils import Cluster

    from search.runners.ray_cluster import connect

    small = {"include_dashboard": False, "object_store_memory": 80 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **small})
    try:
        cluster.add_node(
            num_cpus=2, resources={"target:board": 1, "target:local-cpu": 1}, object_store_memory=80 * 2**20
        )
        cluster.wait_for_nodes()
        connect(cluster.address)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
