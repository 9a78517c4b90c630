"""A model card: what a recipe's model is for, what it reaches, and how it was obtained. Writes files only.

The form follows Mitchell et al. 2019, "Model Cards for Model Reporting", as far as a compression knows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from recipes.expressing import activation_in_words, in_words, prune_in_words
from service.wording import gain, interval, value
from spaces import FLOAT_BITS, ActivationFormat, InvalidSpec, Policy, WeightFormat, metrics_to_dict

if TYPE_CHECKING:
    from recipes import Recipe

PLOT: Final = "trade-off.png"


def model_card(recipe: Recipe, *, has_plot: bool) -> str:
    """The card as Markdown.

    Args:
        recipe: with claims.
        has_plot: `PLOT` lies beside the card.
    """
    workload, target = recipe.workload, recipe.target
    parts = [
        f"# {workload['name']}, compressed for {target['name']}",
        (
            f"The model of the workload `{workload['name']}`, by policy `{recipe.policy.digest}`. "
            f"The file is `artifact.onnx`, {recipe.artifact['size_bytes']:,} bytes, "
            f"`{recipe.artifact['digest']}`."
        ),
        _metrics(recipe),
        f"![Accuracy against cost of every trial that completed]({PLOT})" if has_plot else "",
        _target(recipe),
        _policy(recipe.policy),
        _origin(recipe),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metrics(recipe: Recipe) -> str:
    rows = [
        "## What it reaches",
        "",
        "| metric | value | 95 % interval | against the reference | method | split |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    reference = metrics_to_dict(dict(recipe.reference))
    for name, metric in metrics_to_dict(dict(recipe.claims)).items():
        base = "accuracy" if name == "accuracy_test" else name
        shown = value(base, metric)
        against = gain(metric) or (value(base, reference[base]) if base in reference else "")
        split = metric.get("split") or ""
        rows.append(f"| {name} | {shown} | {interval(metric)} | {against} | {metric['method']} | {split} |")
    rows += ["", "The reference is the uncompressed model in the same runtime."]
    return "\n".join(rows)


def _target(recipe: Recipe) -> str:
    fingerprint = recipe.target["fingerprint"]
    facts = fingerprint.items() if isinstance(fingerprint, dict) else [("fingerprint", fingerprint)]
    lines = ["## For which hardware", "", f"`{recipe.target['name']}`, and measured on:", ""]
    lines += [f"- {name}: {fact}" for name, fact in facts]
    lines += [
        "",
        "On other hardware latency is unknown: `tauten verify` measures what can be measured there.",
    ]
    return "\n".join(lines)


def _policy(policy: Policy) -> str:
    lines = ["## What was done", ""]
    if policy.student is not None:
        lines.append(f"- starts from the student {policy.student}")
    counts: dict[str, list[str]] = {}
    for name, layer in policy.layers.items():
        parts = []
        if layer.prune is not None and not layer.prune.is_empty:
            parts.append(prune_in_words(layer.prune))
        if layer.is_quantized:
            parts.append(in_words(layer.weight or WeightFormat(FLOAT_BITS)))
            parts.append(activation_in_words(layer.activation or ActivationFormat(FLOAT_BITS)))
        if parts:
            counts.setdefault(", ".join(parts), []).append(name)
    lines += [f"- {what}: {', '.join(f'`{name}`' for name in names)}" for what, names in counts.items()]
    recovery = policy.recovery
    if recovery is None:
        lines.append("- no training afterwards")
    else:
        teacher = "" if recovery.distill is None else ", with the reference as teacher"
        lines.append(f"- {recovery.epochs:g} epochs of training{teacher}")
    return "\n".join(lines)


def _origin(recipe: Recipe) -> str:
    lines = ["## How it was obtained", ""]
    if recipe.origin:
        lines.append(
            "By a search: " + ", ".join(f"{key} {item}" for key, item in recipe.origin.items()) + "."
        )
    lines += [
        f"Seed {recipe.seed}; "
        + ", ".join(f"{name} {version}" for name, version in recipe.versions.items())
        + ".",
        f"Trained model `{recipe.workload['model']}`, data `{recipe.workload['data']}`.",
        "",
        "`tauten apply recipe.yaml` makes the file again, and `tauten verify recipe.yaml` checks each claim.",
    ]
    return "\n".join(lines)


def plot_points(front: dict[str, Any], trials: list[dict[str, str]]) -> dict[str, Any]:
    """What the plot shows: of every completed trial the first cost that is minimised, and the accuracy.

    Args:
        front: of ``front.json``.
        trials: rows of ``trials.csv``.

    Returns:
        ``cost`` (the metric's name) and ``points``, each with ``x``, ``y``, ``on_front`` and ``chosen``.

    Raises:
        InvalidSpec: there is no cost to plot against, or no trial has both numbers.
    """
    cost = next((name for name in front.get("objectives", ()) if name != "accuracy"), None)
    if cost is None:
        raise InvalidSpec.at("/objectives", "holds no cost to plot accuracy against")
    members = {str(trial["trial"]) for trial in front["trials"]}
    points = [
        {
            "x": float(row[cost]),
            "y": float(row["accuracy"]),
            "on_front": row["trial"] in members,
            "chosen": row["trial"] == str(front["chosen"]),
        }
        for row in trials
        if row.get(cost) and row.get("accuracy")
    ]
    if not points:
        raise InvalidSpec.at("/trials", f"no trial has both accuracy and {cost}")
    return {"cost": cost, "points": points}
