"""Int8 of a BERT-like encoder: how much faster and smaller, in which mode, and at what loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from benchmarks.claims.claim import Claim, Setting
from benchmarks.claims.digit_task import POSITIONS, WORDS, DigitTask, as_words
from benchmarks.claims.scoring import apply, difference, latencies, percent, right_answers, speedup
from benchmarks.claims.sequence_networks import TokenEncoder, bert_config
from benchmarks.table import Row
from compression.training import Plan
from evaluators.backends import Execution
from spaces import ActivationFormat, LayerPolicy, Policy, UnknownName, WeightFormat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from compression import Batch
    from spaces.formats import ActivationMode

FASTER: Final = 3.0
SMALLER: Final = 4.0
LENGTH: Final = 128
VOCABULARY: Final = 30522
WORD_TABLE: Final = "encoder.embeddings.word_embeddings"
CALIBRATION: Final = 8
OPENVINO: Final = Execution("openvino", {"precision": "f32"})
"""Held to 32-bit floats: left to itself it runs the baseline in bfloat16 on CPUs that have it."""


@dataclass
class ShapeOfMinilm:
    """Six blocks of 384 channels with random weights, on random words: for latency and size alone.

    Attributes:
        seed: of weights and words.
    """

    seed: int
    name: str = "minilm-shape"
    task: str = "text-classification"

    def model(self) -> nn.Module:
        """22.6 million parameters, untrained."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return TokenEncoder(bert_config(VOCABULARY, 6, 384, 12, 512), 2).eval()

    def example_inputs(self) -> tuple[Tensor, ...]:
        """One text of `LENGTH` words."""
        return next(self.batches("calibration", 1))[0]

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Random words to calibrate with; there is nothing to train or score on.

        Raises:
            UnknownName: another split than ``calibration`` is asked for.
        """
        if split != "calibration":
            raise UnknownName("split", split, ("calibration",))
        generator = torch.Generator().manual_seed(self.seed)
        words = torch.randint(VOCABULARY, (CALIBRATION, LENGTH), generator=generator)[:limit]
        for chosen in torch.split(words, batch_size):
            yield (chosen,), torch.zeros(len(chosen), dtype=torch.long)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
        """Share of texts whose larger logit is the right one."""
        return float((outputs.argmax(axis=1) == targets).mean())


def word_task() -> DigitTask:
    """Digits as texts, read by a BERT of two blocks of 64 channels."""
    return DigitTask(
        "claims-bert",
        as_words,
        lambda: TokenEncoder(bert_config(WORDS, 2, 64, 4, POSITIONS), 10),
        Plan(40, "adamw", 1e-3, batch_size=16),
    )


def int8_policy(model: nn.Module, mode: ActivationMode) -> Policy:
    """All linear layers in int8, and the table of words in 8-bit rows."""
    linear = LayerPolicy(None, WeightFormat(8), ActivationFormat(8, mode))
    layers = {name: linear for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    return Policy(layers={**layers, WORD_TABLE: LayerPolicy(None, WeightFormat(8))})


def _run(setting: Setting) -> Iterator[Row]:
    shape, task = ShapeOfMinilm(setting.seed), word_task()
    large, small = shape.model(), task.model()
    modes: tuple[ActivationMode, ...] = ("dynamic", "static")
    paths = {mode: setting.directory / f"{mode}.onnx" for mode in modes}
    baseline = setting.directory / "float.onnx"
    before = apply(shape, large, Policy(), baseline).artifact
    sizes = {
        mode: apply(shape, large, int8_policy(large, mode), path).artifact.size_bytes
        for mode, path in paths.items()
    }
    files = {str(mode): path for mode, path in paths.items()}
    timings = latencies(shape, files, baseline)
    in_openvino = latencies(shape, {"static": files["static"]}, baseline, OPENVINO)["static"]
    trained = setting.directory / "trained.onnx"
    apply(task, small, Policy(), trained)
    known = right_answers(trained, task)
    for mode in modes:
        timing, ratio = timings[mode], before.size_bytes / sizes[mode]
        yield Row(
            f"encoder 6x384, {LENGTH} tokens, {mode} int8: speed-up",
            f">= {FASTER:g}x",
            speedup(timing),
            f"{1 / timing.high:.2f} to {1 / timing.low:.2f}",
            holds=1 / timing.ratio >= FASTER,
            is_ours=False,
        )
        yield Row(
            f"encoder 6x384, {mode} int8, word table included: size",
            f">= {SMALLER:g}x smaller",
            f"{ratio:.2f}x",
            holds=ratio >= SMALLER,
            is_ours=False,
        )
        apply(task, small, int8_policy(small, mode), trained)
        quantized = right_answers(trained, task)
        lost = difference([known], [quantized], setting.seed)
        yield Row(
            f"trained encoder 2x64 (digits as words), {mode} int8: accuracy lost, points",
            "",
            f"{100 * lost.value:.2f} ({percent(known)} to {percent(quantized)})",
            lost.interval,
            is_ours=False,
        )
    yield Row(
        f"the same static int8 file in OpenVINO, against its own fp32, {LENGTH} tokens: speed-up",
        f">= {FASTER:g}x",
        speedup(in_openvino),
        f"{1 / in_openvino.high:.2f} to {1 / in_openvino.low:.2f}",
        holds=1 / in_openvino.ratio >= FASTER,
        is_ours=False,
    )


BERT_INT8 = Claim(
    "bert-int8",
    "int8 makes a BERT-like encoder 3 times as fast and 4 times smaller on a CPU",
    "vendors' reports on int8 BERT; Zafrir et al. 2019, Q8BERT, for the size",
    _run,
)
