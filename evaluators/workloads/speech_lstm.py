"""``speech-lstm``: a recurrent network that tells who speaks, for targets where recurrence counts."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from evaluators.cache import cached, code_digest
from evaluators.workloads import arrays, japanese_vowels, training
from evaluators.workloads.japanese_vowels import COEFFICIENTS, JapaneseVowels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from compression import Batch

STATES: Final = 96
SPEAKERS: Final = 9
EPOCHS: Final = 60
BATCH_SIZE: Final = 30
PEAK: Final = 5e-3
DROPOUT: Final = 0.4
NOISE: Final = 0.2
"""Standard deviation of what is added to each coefficient in train; they themselves have 1."""


class SpeechNet(nn.Module):
    """Two layers of LSTM between linear ones; the last step's state decides."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(COEFFICIENTS, STATES)
        self.lstm = nn.LSTM(STATES, STATES, num_layers=2, batch_first=True, dropout=DROPOUT)
        self.hidden = nn.Linear(STATES, STATES)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(STATES, SPEAKERS)

    def forward(self, x: Tensor) -> Tensor:
        """``n x 29 x 12`` coefficients to ``n x 9`` logits."""
        states: Tensor = self.lstm(F.relu(self.embed(x)))[0]
        hidden = F.relu(self.hidden(states[:, -1]))
        return self.head(self.dropout(hidden))  # type: ignore[no-any-return]


class SpeechLstm:
    """The workload: 160 thousand parameters.

    Args:
        seed: of the splits, the initialisation and the training.
    """

    name = "speech-lstm"
    task = "speaker-identification"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._data = JapaneseVowels(seed)

    def model(self) -> nn.Module:
        """The trained reference, from the cache if code, data and versions are the same.

        Raises:
            WorkloadError: the data is missing.
        """
        sources = (__file__, japanese_vowels.__file__, arrays.__file__, training.__file__)
        key = {
            "code": code_digest(*map(str, sources)),
            "data": self._data.digest,
            "seed": self.seed,
            "torch": torch.__version__,
        }
        path = cached(f"{self.name}.safetensors", key, self._train)
        model = SpeechNet()
        model.load_state_dict(load_file(path))
        return model.eval()

    def example_inputs(self) -> tuple[Tensor, ...]:
        """One utterance, ``1 x 29 x 12``."""
        return self._data.splits.example_inputs()

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Batches ``((n x 29 x 12,), n)``; train is shuffled, and noise added to it, by `seed`.

        Raises:
            UnknownName: there is no such split.
            WorkloadError: the data is missing.
        """
        generator = torch.Generator().manual_seed(seed)
        for (values,), speakers in self._data.splits.batches(split, batch_size, limit=limit, seed=seed):
            if split != "train":
                yield (values,), speakers
                continue
            noise = torch.randn(values.shape, generator=generator) * NOISE
            yield (values + noise * (values != 0),), speakers  # what is filled up stays zero

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy, a little smoothed."""
        return F.cross_entropy(outputs, targets, label_smoothing=0.05)

    def metric(self, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
        """Share of utterances whose largest logit is the right speaker's."""
        return float((outputs.argmax(axis=1) == targets).mean())

    def _train(self, path: Path) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = SpeechNet()
            steps = EPOCHS * -(-len(self._data.splits["train"]) // BATCH_SIZE)
            optimizer = torch.optim.AdamW(model.parameters(), PEAK, weight_decay=0.01)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=steps)
            epochs = (self.batches("train", BATCH_SIZE, seed=self.seed + epoch) for epoch in range(EPOCHS))
            progress = training.Progress(self.name, steps)
            batches = itertools.chain.from_iterable(epochs)
            training.fit(model, batches, self.loss, optimizer, schedule, progress, gradient_norm=1.0)
        save_file(model.state_dict(), path)
