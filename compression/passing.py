"""What stands where a block was: it hands on what the block was given, in the form that the block gave."""

from __future__ import annotations

import ast
import inspect
import textwrap
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from compression.tracing import first_argument

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PLAIN: Final = (bool, int, float, str)


class PassThrough(nn.Module):
    """Takes any arguments and returns the first, by position or else by name.

    Unlike ``nn.Identity`` it takes masks and other extra arguments, and stands in for blocks that return
    tuples. It has no parameters.

    Args:
        elements: of the returned tuple, all but the first ``None``; ``None`` returns the argument itself.
    """

    def __init__(self, elements: int | None = None) -> None:
        super().__init__()
        self.elements = elements

    @classmethod
    def of(cls, block: nn.Module) -> PassThrough:
        """A stand-in for a block, with its plain attributes, which containers may read (``layer_type``)."""
        stand_in = cls(returned_elements(block))
        for name, value in vars(block).items():
            if isinstance(value, _PLAIN) and not name.startswith("_") and not hasattr(stand_in, name):
                setattr(stand_in, name, value)
        return stand_in.train(block.training)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The first argument, alone or as the first of a tuple."""
        first = first_argument(args, kwargs)
        return first if self.elements is None else (first, *[None] * (self.elements - 1))


@contextmanager
def bypassed(model: nn.Module, blocks: Sequence[str]) -> Iterator[None]:
    """Pass-throughs stand in for blocks inside; on the way out the blocks are back, the same objects."""
    originals = {name: model.get_submodule(name) for name in blocks}
    try:
        for name, block in originals.items():
            model.set_submodule(name, PassThrough.of(block))
        yield
    finally:
        for name, block in originals.items():
            model.set_submodule(name, block)


def returned_elements(block: nn.Module) -> int | None:
    """The length of the tuple that a block returns, or ``None`` if it returns something else.

    Read from the source of its ``forward``, since blocks are removed where nothing can be run: from its
    return statements if all are tuples of one length, otherwise from its annotation, which counts as one
    element. A wrong reading makes the trial of `compression.blocks.block_runs` fail, and the block stays.
    """
    forward = type(block).forward
    try:
        definition = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(forward)))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None
    if not isinstance(definition, ast.FunctionDef):
        return None
    values = [node.value for node in _returns(definition)]
    lengths = {len(value.elts) for value in values if isinstance(value, ast.Tuple)}
    if len(lengths) == 1 and all(isinstance(value, ast.Tuple) for value in values):
        return lengths.pop()
    annotation = "" if definition.returns is None else ast.unparse(definition.returns)
    return 1 if annotation.strip("'\"").lower().startswith("tuple") else None


def _returns(node: ast.AST) -> Iterator[ast.Return]:
    """The return statements of a function, without those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Return):
            yield child
        elif not isinstance(child, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            yield from _returns(child)
