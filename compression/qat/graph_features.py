"""Inner states of a model that is trained as an ONNX graph: where in the graph its blocks' outputs are.

A graph has no modules. So a block's output is looked for in the float graph by its value, which is the torch
model's to a few units of rounding; in a quantized graph it is the nearest of what the same operators read.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from compression.features import match_features
from compression.hidden_states import HiddenStates
from compression.qat.examples import calibration_examples
from compression.qat.graph_module import GraphModule
from compression.tracing import evaluating
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from compression.features import FeatureMatch
    from compression.workload import Workload

EXAMPLES: Final = 8
_TOLERANCE: Final = 1e-3
"""Of a state's largest value: reordered float32 sums differ by 1e-6, other states by more than 1e-2."""


class GraphFeatures:
    """A `compression.features.FeatureMatch` whose student is a graph.

    Pairs and projections are those of the torch student. Attention is recorded where torch computes it, in a
    graph as in a model.

    Args:
        kind: ``hidden`` or ``attention``.
        graph: the student that is trained.
        whole: the float graph that `graph` was quantized from.
        student: the torch model that `whole` was exported from.
        teacher: the reference.
        workload: for example inputs and a few calibration examples, on which states are told apart.

    Raises:
        CompressionError: the models have no such features, or the graph does not show the student's.
    """

    def __init__(
        self,
        kind: str,
        graph: GraphModule,
        whole: GraphModule,
        student: nn.Module,
        teacher: nn.Module,
        workload: Workload,
    ) -> None:
        self._match: FeatureMatch = match_features(kind, student, teacher, workload.example_inputs())
        self._places: Mapping[str, str] = {}
        examples = calibration_examples(workload, "finding inner states")
        inputs = tuple(tensor[:EXAMPLES] for tensor in examples)
        with evaluating(student), self._match.watching(student) as seen:
            student(*inputs)
        if isinstance(self._match, HiddenStates):
            self._places = _places(seen, graph, whole, inputs)
            return
        with torch.no_grad(), self._match.watching(graph) as computed:
            graph(*inputs)
        if len(computed) != len(seen):
            raise CompressionError(
                f"features {kind!r} cannot be taught through quantization: the model computes {len(seen)} "
                f"attentions and its graph shows {len(computed)}; use features 'none', or qat false"
            )

    def watching(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Records the states of one pass of the graph or of the teacher."""
        if isinstance(model, GraphModule) and self._places:
            return self._watching_graph(model)
        return self._match.watching(model)

    def loss(self, seen: Any, taught: Any) -> Tensor:
        """A scalar, as of the torch student."""
        return self._match.loss(seen, taught)

    def parameters(self) -> Iterator[nn.Parameter]:
        """The projections'."""
        return self._match.parameters()

    def to(self, device: torch.device) -> None:
        """Moves the projections."""
        self._match.to(device)

    @contextmanager
    def _watching_graph(self, graph: GraphModule) -> Iterator[dict[str, Tensor]]:
        seen: dict[str, Tensor] = {}
        with graph.watching(frozenset(self._places.values())) as values:
            yield seen
            seen.update({path: values[name] for path, name in self._places.items()})


def _places(
    states: Mapping[str, Tensor], graph: GraphModule, whole: GraphModule, inputs: tuple[Tensor, ...]
) -> dict[str, str]:
    """The value of the quantized graph for each block, by module path."""
    found: dict[str, str] = {}

    def compare(name: str, value: Tensor) -> Tensor:
        for path, state in states.items():
            if path not in found and _agree(state, value):
                found[path] = name
        return value

    with torch.no_grad():
        whole.run(inputs, compare)
        candidates = {path: _candidates(name, whole, graph) for path, name in found.items()}
        with graph.watching(frozenset().union(*candidates.values())) as values:
            graph(*inputs)
    places = {}
    for path, state in states.items():
        like = {
            name: float((values[name] - state).square().mean())
            for name in candidates.get(path, ())
            if name in values and values[name].shape == state.shape and values[name].is_floating_point()
        }
        if not like:
            raise CompressionError(
                f"features 'hidden' cannot be taught through quantization: the output of {path!r}, "
                f"{tuple(state.shape)}, is not found in the graph; use features 'none', or "
                "equalization or qat false"
            )
        places[path] = min(like, key=like.__getitem__)
    return places


def _candidates(value: str, whole: GraphModule, graph: GraphModule) -> list[str]:
    """What may be a float graph's value in a quantized one: what its readers read there, and its name.

    A rectifier before a quantizer is left to the quantizer's range, so that its output's name is gone, or
    another's; and what is quantized at run time is read in integers.
    """
    readers = (reader for reader, name in whole.reads.items() if name == value)
    return [*(graph.reads[reader] for reader in readers if reader in graph.reads), value]


def _agree(state: Tensor, value: Tensor) -> bool:
    if state.shape != value.shape or not value.is_floating_point():
        return False
    return torch.allclose(state, value, rtol=0.0, atol=_TOLERANCE * float(state.abs().max()))
