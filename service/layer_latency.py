"""Each layer's share of a trial's latency: found in a child process when first asked for, then stored."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

from evaluators.children import Child
from evaluators.targets import fingerprint
from spaces import Conflict, MeasurementError, Method, UnknownName, digest_of

if TYPE_CHECKING:
    from evaluators.targets import Target
    from search.job import Job
    from service.context import Context

TIMEOUT_S: Final = 60.0

HOST: Final = ("cpu", "machine", "runtime", "threads", "batch")
FIGURES: Final = ("figures",)
"""Of a fingerprint: what the shares of a measured and of a modelled latency hang on."""

_one_at_a_time: Final = threading.Lock()


def layer_latency(context: Context, job: Job, number: int) -> dict[str, Any]:
    """A trial's document of `service.schemas.LayerLatencyOut`.

    Args:
        context: the application's parts.
        job: of the trial.
        number: of the trial.

    Raises:
        UnknownName: there is no such trial, or no such target any more.
        Conflict: the trial has no artifact, or it cannot be timed just now.
    """
    trial = context.results.trials(job.id, [number])[number]
    if trial["artifact"] is None:
        raise Conflict(f"trial {number} has no artifact whose layers could be timed")
    target = context.targets.get(job.spec.target)
    if target is None:
        raise UnknownName("target", job.spec.target, tuple(context.targets))
    differing = _differing(job, target)
    found: dict[str, Any] = (
        {"error": differing} if differing else _known(context, target, trial["artifact"]["digest"])
    )
    method = str(Method.MODELLED if target.is_modelled else Method.MEASURED)
    if "error" in found:
        return {"trial": number, "method": method, "shares": None, "rest": None, "reason": found["error"]}
    shares = {layer: found["shares"].get(layer, 0.0) for layer in trial["executed_as"]}
    rest = 1 - sum(shares.values())
    return {"trial": number, "method": method, "shares": shares, "rest": rest, "reason": None}


def _differing(job: Job, target: Target) -> str | None:
    """Why what is found here would not hold for the job, or ``None``."""
    then = job.reference.get("provenance", {}).get("target", {}).get("fingerprint", {})
    now = fingerprint(target)
    for name in FIGURES if target.is_modelled else HOST:
        if then.get(name) != now[name]:
            return f"the job was scored with {name} {then.get(name)!r}, and this service has {now[name]!r}"
    return None


def _known(context: Context, target: Target, digest: str) -> dict[str, Any]:
    """The child's answer, the stored one where it has answered before."""
    key = f"layer-latency {digest_of([fingerprint(target), target.to_dict(), digest])}"
    document = context.store.inventory(key)
    if document is None:
        context.artifacts.verify(digest)
        document = _find(str(context.artifacts.path(digest)), target)
        context.store.put_inventory(key, document)
    return document


def _find(artifact: str, target: Target) -> dict[str, Any]:
    """The answer of the child process; one at a time, so that they do not slow each other down."""
    if not _one_at_a_time.acquire(timeout=TIMEOUT_S):
        raise Conflict("the layers of other trials are being timed; ask again")
    try:
        with closing(Child("evaluators.layer_latency")) as child:
            child.send({"artifact": artifact, "target": target.to_dict()})
            return child.receive(TIMEOUT_S)
    except MeasurementError as error:
        raise Conflict(f"the layers cannot be timed now: {error}") from error
    finally:
        _one_at_a_time.release()
