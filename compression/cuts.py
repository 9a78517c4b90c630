"""One tensor's part in the removal of channels: which dimension shrinks, at which places, and in what order.

It knows what Torch-Pruning 1.6 cuts of which module, and refuses by name what it does not know.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
import torch_pruning as tp
from torch import Tensor, nn

from compression.importance import NORM_LAYERS
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CHANNEL_WISE: Final = (*NORM_LAYERS, nn.PReLU)
_STATE: Final = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True, slots=True)
class Cut:
    """One tensor that loses a slice with each channel of a group.

    Attributes:
        name: module path, or the parameter's own.
        tensor: of the module, such as ``weight``; empty for a parameter that belongs to no known layer.
        dim: the dimension that shrinks.
        positions: channels as the tensor's module counts them, ``int64``.
        roots: the leader's channel that each belongs to.
        divisions: equal parts of the module's channels, which can only lose the same places: the groups of a
            grouped convolution or a GroupNorm.
        width: channels in each part.
        is_repeated: the parts share the dimension, as the inputs of a grouped convolution do.
    """

    name: str
    tensor: str
    dim: int
    positions: Tensor
    roots: Tensor
    divisions: int
    width: int
    is_repeated: bool

    @property
    def parameter(self) -> str:
        """Path of the tensor in the model."""
        return f"{self.name}.{self.tensor}" if self.tensor else self.name

    def check_divided(self, removed: Tensor) -> None:
        """Refuses channels of the leader that are not at the same places in each division.

        Raises:
            CompressionError: they are not.
        """
        if self.divisions == 1:
            return
        gone = self.positions[torch.isin(self.roots, removed)]
        places = [
            (gone[gone // self.width == part] % self.width).sort().values for part in range(self.divisions)
        ]
        if not all(torch.equal(places[0], other) for other in places):
            raise CompressionError(
                f"{self.name!r} has {self.divisions} groups of channels, which can only lose the same places"
            )

    def permute(self, tensor: Tensor, order: Tensor) -> None:
        """Puts the slice of channel ``order[r]`` where that of channel r was, in place.

        Args:
            tensor: the one that this is of.
            order: a permutation of the leader's channels, ``int64``.

        Raises:
            CompressionError: the tensor cannot be permuted alike.
        """
        # Where a channel has several slices (a flattened image), they stay in their order.
        by_root = torch.argsort(self.positions, stable=True)
        by_root = by_root[torch.argsort(self.roots[by_root], stable=True)]
        roots, counts = torch.unique_consecutive(self.roots[by_root], return_counts=True)
        if len(counts.unique()) != 1:
            raise CompressionError(f"the channels of {self.name!r} are of different sizes")
        slices = self.positions[by_root].reshape(len(roots), -1)
        row_of = {int(root): row for row, root in enumerate(roots)}
        wanted = [int(order[root]) for root in roots]
        if not all(root in row_of for root in wanted):
            raise CompressionError(f"only some of its channels reach {self.name!r}")
        into, source = slices.flatten(), slices[[row_of[root] for root in wanted]].flatten()
        if self.is_repeated:
            if not torch.equal(into // self.width, source // self.width):
                raise CompressionError(f"{self.name!r} takes channels in another order than its groups")
            first = into < self.width
            into, source = into[first], source[first]
        tensor.index_copy_(self.dim, into, tensor.index_select(self.dim, source))


def cuts_of(item: Any, names: Mapping[nn.Module, str], graph: Any) -> Iterator[Cut]:
    """The tensors that one item of a Torch-Pruning group cuts.

    Args:
        item: with its indices and root indices.
        names: module paths of the model.
        graph: the ``DependencyGraph`` that the item is of.

    Raises:
        CompressionError: the module cannot be cut channel by channel.
    """
    module, node = item.dep.target.module, item.dep.target
    if isinstance(module, nn.Parameter):
        name = graph._param_to_name[module]  # noqa: SLF001  # the only place where it is kept
        yield _cut(item, name, "", node.pruning_dim % module.dim(), 1, module.shape[node.pruning_dim])
        return
    if module not in names:  # an operation without tensors: concatenation, sum, reshape
        return
    name = names[module]
    for tensor, dim in _shrinking(name, module, item.dep.handler).items():
        is_input = dim == 1 and isinstance(module, _CONVOLUTIONS)
        divisions, channels = _layout(module, is_input=is_input)
        width = channels // divisions
        yield _cut(item, name, tensor, dim, divisions, width, is_repeated=is_input and divisions > 1)


def _shrinking(name: str, module: nn.Module, handler: Any) -> Mapping[str, int]:
    """The tensors of a module that Torch-Pruning 1.6 cuts, with the dimension of each."""
    outputs = {"weight": 0} | ({"bias": 0} if getattr(module, "bias", None) is not None else {})
    if isinstance(module, _CONVOLUTIONS):
        if module.groups == module.out_channels > 1 and module.in_channels != module.out_channels:
            detail = (
                f"{name!r} is a depthwise convolution with fewer outputs than inputs, which cannot be cut"
            )
            raise CompressionError(detail)
        return {"weight": 1} if handler == tp.prune_conv_in_channels else outputs
    if isinstance(module, nn.Linear):
        return {"weight": 1} if handler == tp.prune_linear_in_channels else outputs
    if isinstance(module, nn.Embedding):
        return {"weight": 1}
    if isinstance(module, nn.PReLU) and module.num_parameters == 1:
        return {}
    if isinstance(module, _CHANNEL_WISE):
        if isinstance(module, nn.LayerNorm) and len(module.normalized_shape) > 1:
            raise CompressionError(f"{name!r} normalizes over more than the channels, and cannot be cut")
        return {tensor: 0 for tensor in _STATE if getattr(module, tensor, None) is not None}
    if any(True for _ in module.parameters()):
        raise CompressionError(f"its channels pass through {name!r}, of type {type(module).__name__}")
    return {}


def _layout(module: nn.Module, *, is_input: bool) -> tuple[int, int]:
    """Parts that must lose the same places, and channels of a module."""
    if isinstance(module, _CONVOLUTIONS):
        is_depthwise = module.groups == module.out_channels
        channels = module.in_channels if is_input else module.out_channels
        return (1 if is_depthwise else module.groups), channels
    if isinstance(module, nn.GroupNorm):
        return module.num_groups, module.num_channels
    weight: Any = getattr(module, "weight", None)
    return 1, 0 if weight is None else weight.shape[0]


def _cut(
    item: Any, name: str, tensor: str, dim: int, divisions: int, width: int, *, is_repeated: bool = False
) -> Cut:
    if any(root is None for root in item.root_idxs):
        raise CompressionError(f"the channels of {name!r} cannot be told apart")
    positions, roots = torch.tensor(item.idxs), torch.tensor(item.root_idxs)
    return Cut(name, tensor, dim, positions, roots, divisions, width, is_repeated)
