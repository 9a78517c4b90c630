"""Joining a Ray cluster or starting one, and whether it has what a job asks for."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, Final

import ray

from spaces import TautenError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from search.resources import Resources

LOOPBACK: Final = "127.0.0.1"
STORE_BYTES: Final = 256 * 2**20
"""Of the object store of a cluster that is started here: artifacts pass through it one by one."""

TARGET: Final = "target:"
"""A node that can measure a target declares one of the resource of this prefix and its name."""


def connect(address: str | None, targets: Iterable[str] = (), *, cpus: int | None = None) -> None:
    """Joins a cluster, or starts one on this machine that listens on loopback alone.

    Ray asks for its token (``RAY_AUTH_MODE``, ``RAY_AUTH_TOKEN``) as it is configured; a cluster that is
    started here has token authentication on, which is Ray's default.

    Args:
        address: ``host:port`` of the head, ``auto``, or ``None`` to start a cluster.
        targets: that this machine can measure, for a cluster that is started.
        cpus: logical cores of a cluster that is started; those of the machine if ``None``.

    Raises:
        TautenError: the cluster cannot be joined.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    options: dict[str, Any] = {"address": address}
    if address is None:
        options = {
            "address": "local",
            "num_cpus": cpus,
            "resources": {TARGET + name: 1 for name in targets},
            "include_dashboard": None if os.environ.get("TAUTEN_RAY_DASHBOARD") else False,
            "dashboard_host": LOOPBACK,
            "object_store_memory": STORE_BYTES,
            "_node_ip_address": LOOPBACK,
        }
    try:
        ray.init(
            ignore_reinit_error=True,
            log_to_driver=False,
            logging_level=logging.WARNING,
            namespace="tauten",
            **options,
        )
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"the Ray cluster at {address}" if address else "a Ray cluster on this machine"
        why = " ".join(str(error).split())
        raise TautenError(f"{where} cannot be used: {why}") from error


def is_connected() -> bool:
    """The cluster that was joined answers."""
    if not ray.is_initialized():
        return False
    try:
        return any(node["Alive"] for node in ray.nodes())
    except (ConnectionError, RuntimeError, ray.exceptions.RayError):
        return False


def leave() -> None:
    """Leaves the cluster; one that was started here ends."""
    ray.shutdown()


def shortage(resources: Resources, target: str | None) -> str | None:
    """Why no node that is alive can serve a job, in one line for a person; ``None`` where one can.

    Args:
        resources: of one evaluator.
        target: to measure on; ``None`` where nothing is measured.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    wanted = demand(resources)
    if not any(_has(node, wanted) for node in nodes):
        asked = " and ".join(f"{count:g} {name}" for name, count in wanted.items())
        best = {name: max((node.get(name, 0) for node in nodes), default=0) for name in wanted}
        there = ", ".join(f"{count:g} {name}" for name, count in best.items())
        return f"no node of the Ray cluster has {asked}; the most that one has is {there}"
    if target is not None and not any(_has(node, {TARGET + target: 1}) for node in nodes):
        start = f"ray start --address=HEAD --resources='{{\"{TARGET}{target}\": 1}}'"
        return f"no node of the Ray cluster measures target {target!r}; start one with: {start}"
    return None


def demand(resources: Resources) -> dict[str, float]:
    """What one evaluator reserves, by Ray's names."""
    wanted: dict[str, float] = {"CPU": resources.cpu or 1}
    return wanted | ({"GPU": resources.gpu} if resources.gpu else {})


def _has(node: Mapping[str, float], wanted: Mapping[str, float]) -> bool:
    return all(node.get(name, 0) >= count for name, count in wanted.items())
