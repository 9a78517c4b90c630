"""Small tasks on scikit-learn's digits: the same images, seen as networks of each kind take their inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from compression.distillation import distilling
from compression.training import Plan, fit
from evaluators.cache import cached, code_digest
from evaluators.workloads.digits_cnn import DigitsCnn

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from compression import Batch

FRAMES: Final = 4
DIRECTIONS: Final = ((0, 1), (0, -1), (1, 0), (-1, 0))
"""Steps in pixels, down and right, of a digit that moves from frame to frame."""

LEVELS: Final = 3
"""Of a pixel's brightness in a word."""

PIXELS: Final = 4
"""Neighbours in a row that make a word."""

WORDS: Final = LEVELS**PIXELS
POSITIONS: Final = 64 // PIXELS


def as_images(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """As they are: ``n x 1 x 8 x 8``, ten classes."""
    return images, labels


def as_rows(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A sequence of rows, ``n x 8 x 8``, ten classes."""
    return images[:, 0], labels


def as_words(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A text of `POSITIONS` words, int64 below `WORDS`, which spell neighbouring pixels; ten classes."""
    levels = (images.flatten(1) * (LEVELS - 1)).round().long().reshape(-1, POSITIONS, PIXELS)
    return (levels * LEVELS ** torch.arange(PIXELS)).sum(2), labels


def as_clips(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Stacked frames of a moving digit, ``n x 1 x 4 x 8 x 8``; 40 classes, of digits times directions.

    The i-th image of a batch moves in direction i mod 4.
    """
    clips, classes = [], []
    for index in range(len(images)):
        way = index % len(DIRECTIONS)
        down, right = DIRECTIONS[way]
        frames = [torch.roll(images[index], (down * time, right * time), (1, 2)) for time in range(FRAMES)]
        clips.append(torch.stack(frames, 1))
        classes.append(int(labels[index]) * len(DIRECTIONS) + way)
    return torch.stack(clips), torch.tensor(classes)


View = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass
class DigitTask:
    """A workload on the digits, with the splits of `DigitsCnn`.

    Attributes:
        name: of the workload, and of the file that caches its model.
        view: what the networks see.
        network: makes the reference, untrained.
        plan: how it is trained; on labels alone.
        families: students of another architecture, made anew with `student_seed`.
        student_seed: of the students' initialisation.
    """

    name: str
    view: View
    network: Callable[[], nn.Module]
    plan: Plan
    families: Mapping[str, Callable[[float, float], nn.Module]] = field(default_factory=dict)
    student_seed: int = 0
    task: str = "image-classification"
    source: DigitsCnn = field(default_factory=DigitsCnn)

    def model(self) -> nn.Module:
        """The trained reference, from the cache where code and versions are the same."""
        model = self.network()
        owners = {type(module).__module__ for module in model.modules()}
        own = sorted(str(sys.modules[name].__file__) for name in owners if name.startswith(__package__))
        key = {
            "code": code_digest(__file__, *own),
            "name": self.name,
            "plan": asdict(self.plan),
            "shapes": {name: list(tensor.shape) for name, tensor in model.state_dict().items()},
            "versions": [torch.__version__, transformers.__version__],
        }
        path = cached(f"{self.name}.safetensors", key, self._train)
        model.load_state_dict(load_file(path))
        return model.eval()

    def example_inputs(self) -> tuple[Tensor, ...]:
        """One input."""
        return next(self.batches("calibration", 1))[0]

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Batches of a split; train is shuffled, and shifted by up to one pixel."""
        for (images,), labels in self.source.batches(split, batch_size, limit=limit, seed=seed):
            inputs, targets = self.view(images, labels)
            yield (inputs,), targets

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
        """Share of inputs whose largest logit is the right one."""
        return float((outputs.argmax(axis=1) == targets).mean())

    def students(self) -> Mapping[str, Callable[[float, float], nn.Module]]:
        """The families, each made with the same seed every time."""
        return {name: self._seeded(make) for name, make in self.families.items()}

    def _seeded(self, make: Callable[[float, float], nn.Module]) -> Callable[[float, float], nn.Module]:
        def factory(depth: float, width: float) -> nn.Module:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.student_seed)
                return make(depth, width)

        return factory

    def _train(self, path: Path) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.plan.seed)
            model = self.network()
        fit(model, self, distilling(self, None, model, model), self.plan)
        save_file(model.state_dict(), path)
