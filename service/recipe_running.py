"""Running a recipe: making its artifact again, and checking claim by claim what it is said to reach."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from recipes import Recipe, layer_names
from service.documents import read_text
from service.files import write_aside
from service.recipe_export import VERSIONED
from service.recipe_layers import workload_layers
from service.wording import gain, value
from spaces import InvalidRecipe, Metric, Metrics, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

LATENCY_TOLERANCE: Final = 0.05
"""A latency claim holds if the speed-up is within this share of the claimed one."""

Verdict = Literal["holds", "fails", "cannot be measured here"]


@dataclass(frozen=True, slots=True)
class Check:
    """One claim of a recipe, measured again.

    Attributes:
        claim: the metric, or ``artifact`` and ``workload`` for their digests.
        claimed: what the recipe says, in words.
        measured: what was found, in words.
        verdict: whether it holds.
    """

    claim: str
    claimed: str
    measured: str
    verdict: Verdict

    def to_dict(self) -> dict[str, str]:
        """The JSON form."""
        return {
            "claim": self.claim,
            "claimed": self.claimed,
            "measured": self.measured,
            "verdict": self.verdict,
        }


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe's file.

    Raises:
        InvalidRecipe: it cannot be read, or is not a recipe.
    """
    return Recipe.from_yaml(read_text(path, InvalidRecipe))


def apply_recipe(recipe: Recipe, workload_name: str | None, directory: Path) -> dict[str, Any]:
    """Makes a recipe's artifact, and its weights before quantization, for a workload.

    Args:
        recipe: what to do; patterns are written out for the workload's model.
        workload_name: registered, or ``path.py:factory``, as a person gave it; ``None`` takes the recipe's,
            which must be registered.
        directory: gets ``artifact.onnx``, ``float.onnx``, ``model.safetensors``, ``policy.json`` and
            ``report.json``, once all of them are there; nothing is written if an error is raised.

    Returns:
        The report: digests, whether policy and artifact are the recipe's own, to the byte, and what differs
        of that which shapes an artifact.

    Raises:
        InvalidRecipe: the model lacks layers that the recipe names.
    """
    import torch

    from compression import Deployment, compress, export_float, save
    from evaluators.reference import load_model, workload_digests
    from evaluators.workloads import load_workload

    deployment = Deployment.from_dict(dict(recipe.deployment), "/deployment")
    torch.set_num_threads(deployment.threads)
    workload = load_workload(workload_name or recipe.workload["name"], allow_files=workload_name is not None)
    reference = load_model(workload)
    own = recipe.for_layers(layer_names(workload_layers(recipe, workload, reference)))
    with tempfile.TemporaryDirectory() as scratch:
        made_in = Path(scratch)
        made = compress(
            workload,
            reference,
            own.policy,
            made_in / "artifact.onnx",
            deployment=deployment,
            seed=recipe.seed,
        )
        export_float(made.model, workload, made_in / "float.onnx")
        save(made, own.policy, deployment, made_in)
        report = {
            "policy_digest": own.policy.digest,
            "same_policy": own.folded_from is None,
            "workload": workload.name,
            "artifact": {"digest": made.artifact.digest, "size_bytes": made.artifact.size_bytes},
            "same_artifact": made.artifact.digest == recipe.artifact["digest"],
            "differs": _differences(recipe, own, workload_digests(workload, reference)),
        }
        write_aside(made_in / "report.json", json.dumps(report, indent=2) + "\n")
        directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(made_in.iterdir()):
            aside = directory / f".{path.name}.part"
            shutil.copyfile(path, aside)
            aside.replace(directory / path.name)
    return report


def _differences(recipe: Recipe, own: Recipe, digests: Mapping[str, str]) -> list[str]:
    """What is not as it was when the recipe was made, in words."""
    found = [
        f"the {what} of the workload: {digests[key][:19]}, the recipe's {recipe.workload[key][:19]}"
        for key, what in (("model", "trained weights"), ("data", "data"))
        if digests[key] != recipe.workload[key]
    ]
    if own.folded_from is not None:
        policy, folded_from = own.policy.digest[:19], own.folded_from[:19]
        found.append(f"the policy: {policy}, the recipe was folded from {folded_from}")
    here = {name: version(name) for name in VERSIONED}
    return found + [
        f"the version of {name}: {here[name]}, the recipe's {said}"
        for name, said in recipe.versions.items()
        if name in here and here[name] != said
    ]


def verify_recipe(recipe: Recipe, workload_name: str | None, beside: Path) -> list[Check]:
    """Measures every claim of a recipe again.

    The artifact beside the recipe is taken if its digest is the recipe's; else it is made again.

    Args:
        recipe: with claims.
        workload_name: as for `apply_recipe`.
        beside: the recipe's directory, where ``artifact.onnx`` may lie.
    """
    import torch

    from compression import Deployment, shape
    from evaluators.evaluator import Evaluator
    from evaluators.targets import find_target, fingerprint
    from evaluators.workloads import load_workload

    deployment = Deployment.from_dict(dict(recipe.deployment), "/deployment")
    torch.set_num_threads(deployment.threads)
    workload = load_workload(workload_name or recipe.workload["name"], allow_files=workload_name is not None)
    target = find_target(recipe.target["name"])
    claimed_ms = recipe.reference["latency_ms"].value
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        with Evaluator(workload, target, directory, seed=recipe.seed, calibrated_ms=claimed_ms) as evaluator:
            reference = evaluator.reference.model
            own = recipe.for_layers(layer_names(workload_layers(recipe, workload, reference)))
            artifact, note = _artifact(recipe, workload_name, beside, directory)
            model = shape(workload, reference, own.policy, deployment=deployment, seed=recipe.seed).model
            found = evaluator.score(artifact, model)
            found["accuracy_test"] = evaluator.finish({"candidate": artifact})["candidate"]["accuracy_test"]
            counts = {
                split: len(evaluator.reference.predictions(workload, split)[1])
                for split in ("validation", "test")
            }
            provenance = evaluator.provenance()["workload"]
        same_host = fingerprint(target) == recipe.target["fingerprint"]
    checks = [_digest("workload", recipe.workload["model"], provenance["model"]), note]
    if own.folded_from is not None:
        checks.append(_digest("policy", own.folded_from, own.policy.digest))
    return checks + [_check(name, claim, found, counts, same_host) for name, claim in recipe.claims.items()]


def _artifact(recipe: Recipe, workload_name: str | None, beside: Path, directory: Path) -> tuple[Path, Check]:
    path, digest = beside / "artifact.onnx", recipe.artifact["digest"]
    copy = directory / "candidate.onnx"
    if path.is_file() and digest_bytes(path.read_bytes()) == digest:
        shutil.copyfile(path, copy)
        return copy, Check("artifact", digest[:19], "the file beside the recipe has it", "holds")
    made = apply_recipe(recipe, workload_name, directory / "applied")
    shutil.copyfile(directory / "applied" / "artifact.onnx", copy)
    return copy, _digest("artifact", digest, made["artifact"]["digest"])


def _digest(claim: str, claimed: str, measured: str) -> Check:
    return Check(claim, claimed[:19], measured[:19], "holds" if claimed == measured else "fails")


def _check(name: str, claim: Metric, found: Metrics, counts: dict[str, int], same_host: bool) -> Check:
    words = _words(name, claim)
    if name not in found:
        return Check(name, words, "no evaluator for it", "cannot be measured here")
    if name == "latency_ms" and not same_host:
        return Check(name, words, "another CPU, runtime or system", "cannot be measured here")
    measured = found[name]
    if measured.contended:
        return Check(name, words, "the machine is too busy to tell", "cannot be measured here")
    return Check(
        name, words, _words(name, measured), "holds" if _holds(name, claim, measured, counts) else "fails"
    )


def _holds(name: str, claim: Metric, measured: Metric, counts: dict[str, int]) -> bool:
    if name.startswith("accuracy"):
        one_example = 1 / max(counts.get(claim.split or "", 1), 1)
        return abs(claim.value - measured.value) <= one_example * (1 + 1e-9)
    if name == "latency_ms":
        claimed, again = claim.speedup or 0.0, measured.speedup or 0.0
        if claim.contended and again > claimed:
            return True  # a busy machine flatters nobody: the claim is a lower bound
        return abs(claimed - again) <= LATENCY_TOLERANCE * max(claimed, again)
    return claim.value == measured.value


def _words(name: str, metric: Metric) -> str:
    if metric.unit in {"byte", "mac"}:
        return f"{metric.value:,.0f} {metric.unit}s"
    document = metric.to_dict()
    factor = gain(document)
    return value(name, document) + (f" ({factor})" if factor else "")


def checks_document(checks: list[Check]) -> dict[str, Any]:
    """The JSON form of a verification."""
    return {
        "checks": [check.to_dict() for check in checks],
        "holds": not any(c.verdict == "fails" for c in checks),
    }
