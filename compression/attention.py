"""Finds the attention of a model: which layers make queries, keys and values, and which takes the heads.

By the names and attributes that implementations give them. What is found is a guess until `compression.heads`
has verified it; what cannot be read says why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from compression.channels import tied_layers
from compression.tracing import trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor

_SEPARATE: Final = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
    ("q_linear", "k_linear", "v_linear"),
    ("query_proj", "key_proj", "value_proj"),
    ("linear_q", "linear_k", "linear_v"),
    ("to_q", "to_k", "to_v"),
    ("w_q", "w_k", "w_v"),
    ("wq", "wk", "wv"),
    ("q", "k", "v"),
)
_FUSED: Final = ("qkv", "qkv_proj", "to_qkv", "wqkv", "query_key_value", "c_attn")
_HEADS: Final = ("num_attention_heads", "num_heads", "n_heads", "n_head", "nhead", "heads", "h")
_SIZES: Final = (
    "attention_head_size",
    "head_dim",
    "head_size",
    "dim_head",
    "d_head",
    "d_k",
    "key_value_proj_dim",
)


@dataclass(frozen=True, slots=True)
class Projections:
    """The layers of one attention.

    Attributes:
        owner: module path of what holds the projections and counts the heads.
        layers: that make queries, keys and values, or one that makes them all, in execution order.
        output: the layer that takes the heads' outputs side by side.
        heads: at least 1; 1 where their number is not known.
        head_size: rows of a head in each of queries, keys and values; 0 where it is not known.
        unreadable_because: why its heads cannot be told apart, or ``None``.
    """

    owner: str
    layers: tuple[str, ...]
    output: str = ""
    heads: int = 1
    head_size: int = 0
    unreadable_because: str | None = None


def find_attention(model: nn.Module, inputs: tuple[Tensor, ...]) -> list[Projections]:
    """All attention of a model that runs, in execution order; what holds no layer that runs comes last.

    Args:
        model: not changed.
        inputs: example inputs, batch first.
    """
    order = [call.name for call in trace(model, inputs)]
    first = {name: index for index, name in reversed(list(enumerate(order)))}
    ties = tied_layers(model)
    found = []
    for owner, layers in _candidates(model):
        modules = {name: model.get_submodule(name) for name in layers}
        if all(isinstance(module, nn.Linear) for module in modules.values()):
            if not all(name in first for name in layers):
                continue  # never called: there is nothing to prune, and nothing to verify it on
            found.append(_read(model, owner, layers, order, ties))
        else:
            found.append(_foreign(owner, modules))
    return sorted(found, key=lambda item: first.get(item.layers[0], len(order)))


def bare_attention(model: nn.Module) -> dict[str, str]:
    """The modules whose projections are no layers, by path, with the reason why no head can be removed."""
    attention = nn.MultiheadAttention
    return {name: _why_bare(name) for name, module in model.named_modules() if isinstance(module, attention)}


def _candidates(model: nn.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Modules that hold projections, with these in the order query, key, value."""
    for path, module in model.named_modules():
        if isinstance(module, nn.MultiheadAttention):
            yield path, (path,)
            continue
        children = {name.lower(): name for name, _ in module.named_children()}
        for names in (*_SEPARATE, *((name,) for name in _FUSED)):
            if all(name in children for name in names):
                yield path, tuple(f"{path}.{children[name]}".lstrip(".") for name in names)
                break


def _why_bare(name: str) -> str:
    return (
        f"{name!r} is a torch.nn.MultiheadAttention, which holds its projections as one bare parameter"
        " (in_proj_weight); use a module with nn.Linear layers for query, key and value"
    )


def _foreign(owner: str, modules: Mapping[str, nn.Module]) -> Projections:
    for name, module in modules.items():
        if isinstance(module, nn.MultiheadAttention):
            return Projections(owner, (name,), heads=module.num_heads, unreadable_because=_why_bare(name))
    name, module = next(item for item in modules.items() if not isinstance(item[1], nn.Linear))
    reason = f"{name!r} is a {type(module).__name__}, and heads can be removed from Linear layers only"
    return Projections(owner, tuple(modules), unreadable_because=reason)


def _read(
    model: nn.Module, owner: str, layers: tuple[str, ...], order: list[str], ties: Mapping[str, str]
) -> Projections:
    widths = [_linear(model, name).out_features for name in layers]
    parts = 1 if len(layers) > 1 else 3
    heads, size = _heads(model.get_submodule(owner), widths[0] // parts)
    ordered = tuple(sorted(layers, key=order.index))
    after = max(order.index(name) for name in layers)
    output = next((name for name in order[after + 1 :] if name not in layers), "")
    reason: str | None = None
    if not size:
        known = ", ".join((*_HEADS[:3], *_SIZES[:2]))
        subject = repr(owner) if owner else "the model"
        reason = f"{subject} does not say how many heads it has; give it an attribute such as {known}"
    elif heads == 1:
        reason = "has a single head"
    elif widths[0] != heads * size * parts or len(set(widths)) > 1:
        reason = _uneven(layers, widths, heads, size)
    elif not output or not _takes(model, output, heads * size):
        found = f"the layer after it, {output!r}, takes" if output else "no layer after it takes"
        reason = f"{found} other inputs than the {heads} heads of {size} side by side"
    else:
        reason = _unsliceable(model, (*layers, output), ties)
    return Projections(owner, ordered, output, heads, size, reason)


def _heads(owner: nn.Module, width: int) -> tuple[int, int]:
    """Heads and rows of each, or ``(1, 0)`` if the module does not say."""
    stated: dict[str, Any] = {
        name: value for name, value in vars(owner).items() if type(value) is int and value > 0
    }
    count = next((stated[name] for name in _HEADS if name in stated), None)
    size = next((stated[name] for name in _SIZES if name in stated), None)
    if size is None and count is not None and width % count == 0:
        size = width // count
    if size is None:
        return 1, 0
    return (width // size if count is None else count) or 1, size


def _uneven(layers: tuple[str, ...], widths: list[int], heads: int, size: int) -> str:
    if len(layers) == 1:
        return (
            f"{layers[0]!r} makes {widths[0]} outputs, which are not queries, keys and values of"
            f" {heads} heads of {size} each"
        )
    if widths[0] == heads * size and widths[1] == widths[2] < widths[0]:
        return (
            f"its {heads} heads share the {widths[1] // size} keys and values of {layers[1]!r} (grouped-query"
            " attention), so none can go alone"
        )
    sizes = ", ".join(f"{name!r} {width}" for name, width in zip(layers, widths, strict=True))
    return f"its projections have other widths than {heads} heads of {size}: {sizes}"


def _unsliceable(model: nn.Module, layers: tuple[str, ...], ties: Mapping[str, str]) -> str | None:
    for name in layers:
        if name in ties:
            return f"the weight of {name!r} is tied to {ties[name]!r}"
        if "weight" not in dict(model.get_submodule(name).named_parameters(recurse=False)):
            return (
                f"the weight of {name!r} is computed from other parameters; remove its parametrization first"
            )
    return None


def _takes(model: nn.Module, name: str, width: int) -> bool:
    module = model.get_submodule(name)
    return isinstance(module, nn.Linear) and module.in_features == width


def _linear(model: nn.Module, name: str) -> nn.Linear:
    module: Any = model.get_submodule(name)
    linear: nn.Linear = module
    return linear
