"""An ONNX graph as a torch module: what the file computes, with gradients, rounding included."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from compression.graph import layer_of
from compression.qat.fake_quantize import Bias, FakeQuantizer, StepSize
from compression.qat.grid_reader import read_grids
from compression.qat.operators import OPERATORS, Attributes, Operator
from compression.qat.trainable import before_rounding, trainable
from spaces import CompressionError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from compression.qat.grids import Grids

    Visit = Callable[[str, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class _Step:
    """One node: reads and writes values by name, and forgets what nobody reads later.

    A node that rounds has the name of its quantizer in place of an operator.
    """

    operator: Operator | str
    attributes: Attributes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    where: str
    last_uses: tuple[str, ...]


class GraphModule(nn.Module):
    """Computes what an ONNX model computes; parameters are the graph's own weights, before rounding.

    Takes the graph's inputs in order and returns its output, or the tuple of them. `QuantizeLinear` with
    `DequantizeLinear` becomes fake quantization. There is no dropout, and BatchNorm keeps its statistics:
    the modes for training and evaluation are one.

    Args:
        model: an ONNX model of operator set 17, as `export_float` or `quantize` write it.
        whole: the float model that a quantized one was made from; ``None`` starts from what the integers
            stand for.
        learns_steps: whether the distances between quantized values are parameters, too.

    Attributes:
        grids: what is quantized.
        reads: the values that operators read, by the operator's name and the input's index.

    Raises:
        CompressionError: the graph holds an operator or a quantized form that cannot be trained; names it and
            the layer.
    """

    def __init__(self, model: Any, whole: Any | None = None, *, learns_steps: bool = False) -> None:
        super().__init__()
        self.grids: Grids = read_grids(model)
        graph = model.graph
        stored_names = {item.name for item in graph.initializer}
        self.reads = {
            (node.name, index): value for node in graph.node for index, value in enumerate(node.input)
        }
        self._inputs = tuple(item.name for item in graph.input if item.name not in stored_names)
        self._outputs = tuple(item.name for item in graph.output)
        self.steps = nn.ModuleDict()
        for name, array in self.grids.steps.items():
            is_learned = learns_steps and name in _leading(self.grids)
            self.steps[_escaped(name)] = StepSize(torch.from_numpy(array.copy()), is_learned=is_learned)
        self._store(model, whole)
        self.quantizers = nn.ModuleDict()
        self._make_quantizers()
        self._program = self._compile(graph)
        self._visit: Visit | None = None

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        """The graph's output, or a tuple if it has several.

        Args:
            inputs: one tensor a graph input, of the types and shapes that the graph declares.
        """
        outputs = self.run(inputs, self._visit)
        return outputs[0] if len(outputs) == 1 else outputs

    @contextmanager
    def watching(self, values: Container[str]) -> Iterator[dict[str, Tensor]]:
        """Yields a dictionary that calls fill, inside, with some of the values that they compute, by name."""
        seen: dict[str, Tensor] = {}

        def keep(name: str, value: Tensor) -> Tensor:
            if name in values:
                seen[name] = value
            return value

        self._visit = keep
        try:
            yield seen
        finally:
            self._visit = None

    def run(self, inputs: Sequence[Tensor], visit: Visit | None = None) -> tuple[Tensor, ...]:
        """The graph's outputs, with a look at each value on the way.

        Args:
            inputs: as for a call.
            visit: given each computed value's name and the value, in the order of execution; what it returns
                takes the value's place.
        """
        values = {name: getattr(self, attribute) for name, attribute in self._stored.items()}
        values.update(zip(self._inputs, inputs, strict=True))
        for step in self._program:
            given = [values[name] if name else None for name in step.inputs]
            for name, value in zip(step.outputs, self._computed(step, given), strict=False):
                values[name] = value if visit is None else visit(name, value)
            for name in step.last_uses:
                del values[name]
        return tuple(values[name] for name in self._outputs)

    def _computed(self, step: _Step, given: list[Any]) -> tuple[Tensor, ...]:
        if isinstance(step.operator, str):
            return (self.quantizers[step.operator](given[0]),)
        try:
            made = step.operator(given, step.attributes)
        except CompressionError as error:
            raise CompressionError(f"{step.where}: {error}") from error
        return made if isinstance(made, tuple) else (made,)

    def step_of(self, scale: str) -> StepSize:
        """The step that a scale's initializer gives."""
        step = self.steps[_escaped(scale)]
        assert isinstance(step, StepSize)
        return step

    def tensor(self, initializer: str) -> Tensor:
        """The stored values of an initializer, before rounding: a parameter or a constant."""
        tensor: Tensor = getattr(self, self._stored[initializer])
        return tensor

    def quantizer(self, value: str) -> nn.Module:
        """What rounds a value of `grids.activations` or `grids.stored`."""
        return self.quantizers[_escaped(value)]

    def _store(self, model: Any, whole: Any | None) -> None:
        """Registers initializers: parameters by name, the rest as buffers."""
        trained = trainable(model.graph, self.grids)
        tensors = {
            item.name: torch.from_numpy(numpy_helper.to_array(item).copy())
            for item in model.graph.initializer
        }
        for grid in self.grids.stored.values():
            tensors[grid.integers] = torch.from_numpy(before_rounding(grid, model, whole).copy())
        self._stored: dict[str, str] = {}
        for name in sorted(tensors):  # the order of a sum over parameters must not hang on the file's
            self._stored[name] = _escaped(name)
            if name in trained:
                self.register_parameter(_escaped(name), nn.Parameter(tensors[name]))
            else:
                self.register_buffer(_escaped(name), tensors[name], persistent=False)

    def _make_quantizers(self) -> None:
        for value, activation in sorted(self.grids.activations.items()):
            quantizer: nn.Module = FakeQuantizer(
                self.step_of(activation.step),
                torch.tensor(activation.zero),
                activation.low,
                activation.high,
                axis=None,
                is_weight=False,
            )
            self.quantizers[_escaped(value)] = quantizer
        for value, stored in sorted(self.grids.stored.items()):
            if stored.sources is not None:
                quantizer = Bias(*(self.step_of(name) for name in stored.sources))
            else:
                quantizer = FakeQuantizer(
                    self.step_of(stored.scale),
                    torch.from_numpy(stored.zero.copy()),
                    stored.low,
                    stored.high,
                    axis=stored.axis,
                    is_weight=True,
                )
            self.quantizers[_escaped(value)] = quantizer

    def _compile(self, graph: Any) -> tuple[_Step, ...]:
        last: dict[str, int] = {}
        for index, node in enumerate(graph.node):
            last.update(dict.fromkeys((*node.input, *node.output), index))
        dead: dict[int, list[str]] = {}
        for name, index in last.items():
            if name and name not in self._outputs:
                dead.setdefault(index, []).append(name)
        return tuple(
            self._compiled(node, graph, tuple(dead.get(index, ()))) for index, node in enumerate(graph.node)
        )

    def _compiled(self, node: Any, graph: Any, last_uses: tuple[str, ...]) -> _Step:
        attributes = {item.name: _attribute(item) for item in node.attribute}
        attributes["outputs"] = len(node.output)
        output = node.output[0]
        if output in self.grids.activations or output in self.grids.stored:
            operator: Operator | str = _escaped(output)
        elif output in self.grids.aliases:
            operator = OPERATORS["Identity"]
        elif node.op_type in OPERATORS:
            operator = OPERATORS[node.op_type]
        else:
            raise CompressionError(
                f"operator {node.op_type} {_belongs(node, graph)} has no counterpart in torch;"
                " set recovery.qat and recovery.bias_correction to false"
            )
        is_unary = isinstance(operator, str) or operator is OPERATORS["Identity"]
        inputs = tuple(node.input[:1]) if is_unary else tuple(node.input)
        return _Step(operator, attributes, inputs, tuple(node.output), _belongs(node, graph), last_uses)


def _leading(grids: Grids) -> frozenset[str]:
    """Scales that are learned themselves; others follow one of them."""
    biases = {grid.scale for grid in grids.stored.values() if grid.sources is not None}
    names = {grid.step for grid in grids.activations.values()}
    return frozenset(names | {grid.scale for grid in grids.stored.values()} - biases)


def _attribute(item: Any) -> Any:
    value = helper.get_attribute_value(item)
    return numpy_helper.to_array(value) if hasattr(value, "raw_data") else value


def _belongs(node: Any, graph: Any) -> str:
    """Where a node stands: in a layer, or behind the nearest one."""
    layer = layer_of(node.name)
    if layer is not None:
        return f"of layer {layer!r}"
    producers = {value: producer for producer in graph.node for value in producer.output}
    waiting, seen = list(node.input), set()
    while waiting:
        producer = producers.get(waiting.pop(0))
        if producer is None or producer.output[0] in seen:
            continue
        seen.add(producer.output[0])
        layer = layer_of(producer.name)
        if layer is not None:
            return f"{node.name!r} behind layer {layer!r}"
        waiting.extend(producer.input)
    return f"{node.name!r}"


def _escaped(name: str) -> str:
    """A name without dots, as torch demands; different names stay different."""
    return "tensor:" + name.replace("%", "%25").replace(".", "%2E")
