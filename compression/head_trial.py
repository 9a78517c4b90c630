"""Tries whether heads can be removed: what is left must compute what it computes with the heads zeroed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn

from compression.tracing import evaluating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOLERANCE: Final = 1e-4
_LEAST_EFFECT: Final = 1e-2
"""Outputs are of magnitude 1 here: reordered float32 sums differ by 1e-6, wrong rows by about 1."""


def difference_of_removal(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    *,
    layers: tuple[str, ...],
    output: str,
    owner: str,
    columns: Tensor,
    remove: Callable[[], None],
) -> str | None:
    """Compares a removal with zeroing, at the output projection, on random weights and disturbed inputs.

    Trained weights and example inputs would not do: heads may hardly matter, and inputs may be constant, so
    that wrong rows would show no difference.

    Args:
        model: as it was when this returns.
        inputs: example inputs, batch first.
        layers: that make queries, keys and values.
        output: the output projection.
        owner: module that counts the heads.
        columns: of the output projection that belong to the heads that go.
        remove: removes them from the model.

    Returns:
        Why the heads cannot be removed, or ``None``.
    """
    names = (*layers, output)
    linears: list[Any] = [model.get_submodule(name) for name in names]
    with _restored([*linears, model.get_submodule(owner)]), evaluating(model):
        for index, linear in enumerate(linears):
            _randomize(linear, index)
        whole = _outputs(model, inputs, layers, output)
        weight = linears[-1].weight.clone()
        linears[-1].weight[:, columns.to(weight.device)] = 0.0
        zeroed = _outputs(model, inputs, layers, output)
        linears[-1].weight.copy_(weight)
        try:
            remove()
            removed = _outputs(model, inputs, layers, output)
        # Whatever the model's own code raises on other widths, its heads cannot be removed.
        except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as error:
            return f"the model does not run with fewer heads: {str(error).splitlines()[0]}"
    if not _differ(whole, zeroed, _LEAST_EFFECT):
        return f"{output!r} does not depend on its heads, so their removal cannot be verified"
    if _differ(removed, zeroed, _TOLERANCE):
        return f"removing heads is not the same as zeroing them at {output!r}: its rows are ordered otherwise"
    return None


def _outputs(
    model: nn.Module, inputs: tuple[Tensor, ...], layers: tuple[str, ...], output: str
) -> list[Tensor]:
    """What a layer makes in each of its calls, with noise on the inputs of others."""
    made: list[Tensor] = []
    handles = [model.get_submodule(name).register_forward_pre_hook(_disturb) for name in layers]
    handles.append(model.get_submodule(output).register_forward_hook(lambda *call: made.append(call[2])))
    try:
        model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
    return made


def _disturb(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if not args:
        return args
    values, *rest = args
    noise = torch.randn(values.shape, generator=torch.Generator().manual_seed(0))
    return (values + noise.to(values.device, values.dtype), *rest)


def _randomize(linear: nn.Linear, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in list(linear.named_parameters(recurse=False)):
        values = torch.randn(parameter.shape, generator=generator)
        if name == "weight":
            values /= linear.in_features**0.5
        setattr(linear, name, nn.Parameter(values.to(parameter.device, parameter.dtype), requires_grad=False))


@contextmanager
def _restored(modules: list[nn.Module]) -> Iterator[None]:
    """Puts parameters (the same objects) and whole-number attributes back on the way out."""
    parameters = [dict(module.named_parameters(recurse=False)) for module in modules]
    numbers = [
        {name: value for name, value in vars(module).items() if type(value) is int} for module in modules
    ]
    try:
        yield
    finally:
        for module, own, counts in zip(modules, parameters, numbers, strict=True):
            for name, value in (own | counts).items():
                setattr(module, name, value)


def _differ(first: list[Tensor], second: list[Tensor], tolerance: float) -> bool:
    if [part.shape for part in first] != [part.shape for part in second]:
        return True
    return any(
        float((one - other).abs().max()) > tolerance * max(1.0, float(other.abs().max()))
        for one, other in zip(first, second, strict=True)
    )
