"""A model of transformers from a directory or the hub: what its tasks share.

Weights are read from safetensors alone, and code that comes with a model is never run. All that the model
needs is its own (configuration, tokenizer, preprocessing); a description adds the data.
"""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import torch
import transformers
from torch import Tensor, nn

from compression import one_line
from evaluators.workloads.described import Described
from spaces import Reader, WorkloadError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SAFE: Final = {"trust_remote_code": False}


class Scores(nn.Module):
    """A model of transformers that takes its inputs in order and returns its logits alone.

    Args:
        model: with logits.
        names: of its arguments, in the order of the inputs.
    """

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self._names = model, tuple(names)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Each ``n x …``, to logits ``n x … x classes``."""
        given = dict(zip(self._names, inputs, strict=True))
        if self._names == ("input_ids",):
            # Without a mask transformers looks for several texts in one row, which cannot be exported.
            given["attention_mask"] = torch.ones_like(inputs[0])
        logits: Tensor = self.model(**given).logits
        return logits


class HfWorkload(Described):
    """What the tasks share; subclasses read their data.

    Args:
        read: of the description.
        directory: to which its paths are relative.

    Raises:
        InvalidValue: a field of the description is wrong.
        WorkloadError: a file that it names does not exist.
    """

    auto: Any
    metric_name: str | None = None

    def __init__(self, read: Reader, directory: Path) -> None:
        super().__init__(read, directory, metric=self.metric_name)
        named = read.text("model", ".")
        is_local = (directory / named).is_dir()
        self.source = str(directory / named) if is_local else named
        self.options = {**SAFE, "local_files_only": is_local}
        self.read_data(Reader(read.required("data"), read.at("data")))
        read.done()

    @abstractmethod
    def read_data(self, read: Reader) -> None:
        """Reads the field ``data``, but no file yet."""

    @property
    @abstractmethod
    def arguments(self) -> tuple[str, ...]:
        """Names of the model's inputs, in order."""

    @cached_property
    def config(self) -> Any:
        """Of the model.

        Raises:
            WorkloadError: there is none, or it can only be read by code that comes with it.
        """
        return self.loaded(transformers.AutoConfig)

    def loaded(self, kind: Any, **options: Any) -> Any:
        """What one of transformers' classes finds in the model's directory."""
        try:
            return kind.from_pretrained(self.source, **self.options, **options)
        except Exception as error:  # transformers raises what its backends raise
            raise WorkloadError(f"{self.source}: cannot be loaded: {one_line(error)}") from error

    def model(self) -> nn.Module:
        """The model in eval mode, its attention written out in products that any exporter understands.

        Raises:
            WorkloadError: it cannot be loaded, needs code of its own, or its weights are no safetensors.
        """
        model = self.loaded(self.auto, use_safetensors=True, attn_implementation="eager", dtype=torch.float32)
        model.config.use_cache = False
        return Scores(model, self.arguments).eval()


def class_of(label: str, config: Any, where: Path, names: Sequence[str] = ()) -> int:
    """A label's class: by the model's own names, else by number, else by its place among the names."""
    known = dict(config.label2id or {})
    if label in known:
        return int(known[label])
    if label.isdigit() and int(label) < config.num_labels:
        return int(label)
    if len(names) == config.num_labels:
        return list(names).index(label)
    raise WorkloadError(
        f"{where}: the label {label!r} is none of the model's: {', '.join(map(str, known))},"
        f" or a number below {config.num_labels}"
    )
