"""Whether a policy's pruning fits a model: entries that do not are refused, with place and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression.attention import bare_attention
from compression.channels import tied_layers
from compression.importance import weights_of
from compression.sparsity import removed_count, row_length
from compression.tracing import WEIGHT_LAYERS
from spaces import BlockRun, Fault, LayerInventory, Prune, layer_pointer, n_of_m

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn


def weight_names(model: nn.Module, layer: str) -> list[str]:
    """The weights of one layer, by parameter name; empty if it is no weight layer, or gone."""
    module = dict(model.named_modules()).get(layer)
    if module is None:
        return []
    return [f"{layer}.{own}" for own in weights_of(module, WEIGHT_LAYERS) if "." not in own]


def misfits(
    model: nn.Module, entries: Mapping[str, Prune], inventory: LayerInventory | None
) -> Iterator[Fault]:
    """What of a policy's pruning a model cannot take.

    Args:
        model: not pruned yet.
        entries: by layer; none is empty.
        inventory: of the model; may be ``None`` where no entry is structured.
    """
    for name, prune in entries.items():
        if prune.criterion == "bn_scale" and prune.granularity != "channel":
            where = layer_pointer(name, "prune/criterion")
            yield Fault(where, f"'bn_scale' ranks channels, not {prune.granularity!r}; use another criterion")
        if prune.granularity == "layer":
            yield from _misfit_run(name, prune, inventory.runs if inventory else ())
        elif prune.is_structured:
            yield from _misfit_group(model, name, prune, inventory)
        else:
            yield from _misfit_weights(model, name)


def misfit_rows(model: nn.Module, entries: Mapping[str, Prune]) -> Iterator[Fault]:
    """Patterns n:m that do not divide the rows of their layers, as they will be when all channels are cut.

    Args:
        model: with its final shapes.
        entries: that fit, by `misfits`.
    """
    for name, prune in entries.items():
        pattern = n_of_m(prune.granularity)
        if pattern is None:
            continue
        for weight in weight_names(model, name):
            length = row_length(model.get_parameter(weight))
            if length % pattern[1]:
                detail = (
                    f"each output of {name!r} reads {length} weights, which {pattern[1]} does not divide;"
                    " use granularity 'weight', or leave the layer out"
                )
                yield Fault(layer_pointer(name, "prune/granularity"), detail)


def _misfit_weights(model: nn.Module, name: str) -> Iterator[Fault]:
    pointer = layer_pointer(name, "prune")
    layers = [path for path, module in model.named_modules() if isinstance(module, WEIGHT_LAYERS)]
    if name not in layers:
        kind = "is no layer with weights" if name in dict(model.named_modules()) else "does not exist"
        yield Fault(pointer, f"layer {name!r} {kind}; the model has {', '.join(layers)}")
    elif (other := tied_layers(model).get(name)) is not None:
        yield Fault(pointer, f"the weight of {name!r} is tied to {other!r}; leave both as they are")
    elif not weight_names(model, name):
        detail = f"the weight of {name!r} is computed from other parameters; remove its parametrization first"
        yield Fault(pointer, detail)


def _misfit_group(
    model: nn.Module, name: str, prune: Prune, inventory: LayerInventory | None
) -> Iterator[Fault]:
    pointer, kind = layer_pointer(name, "prune"), prune.granularity
    groups = {} if inventory is None else inventory.group_of
    group = groups.get(name)
    if group is None or group.granularity != kind:
        if group is not None:
            yield Fault(pointer, f"layer {name!r} is pruned by {group.granularity!r}, not by {kind!r}")
            return
        if (reason := bare_attention(model).get(name)) is not None:
            yield Fault(pointer, reason)
            return
        names = [layer for layer, other in groups.items() if other.granularity == kind]
        has = f"it has {', '.join(names)}" if names else "it has none"
        yield Fault(pointer, f"the model has no layer {name!r} that could be pruned by {kind!r}; {has}")
    elif group.leader != name:
        detail = f"{name!r} is coupled to {group.leader!r}; the ratio stands there and holds for both"
        yield Fault(pointer, detail)
    elif group.fixed_because is not None:
        yield Fault(pointer, f"layer {name!r}: {group.fixed_because}")


def _misfit_run(name: str, prune: Prune, runs: tuple[BlockRun, ...]) -> Iterator[Fault]:
    run = next((run for run in runs if run.container == name), None)
    if run is None:
        known = ", ".join(run.container for run in runs) or "none"
        detail = f"{name!r} is no container of repeated blocks; the model has: {known}"
        yield Fault(layer_pointer(name, "prune"), detail)
        return
    count = removed_count(len(run.blocks), prune.ratio)
    if count > len(run.removable):
        detail = (
            f"{prune.ratio:g} of {len(run.blocks)} blocks are {count}, but only {len(run.removable)} of them"
            " map a tensor to one of the same shape; lower the ratio"
        )
        yield Fault(layer_pointer(name, "prune/ratio"), detail)
