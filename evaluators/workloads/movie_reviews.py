"""Movie review snippets, each rated by 15 people or more (Hutto and Gilbert 2014, after Pang and Lee 2004).

Finds, reads and splits them; knows nothing of tokens. Downloads nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.model_selection import train_test_split

from evaluators.cache import cache_root, use
from spaces import UnknownName, WorkloadError, digest_bytes

VARIABLE: Final = "TAUTEN_MOVIE_REVIEWS"
FILE: Final = "movieReviewSnippets_GroundTruth.txt"

_HELD_OUT: Final = {"test": 0.15, "validation": 0.10, "calibration": 0.05}
"""Shares of all snippets; the rest is the train split."""

LEAST_RATING: Final = 0.5
"""Of -4 to 4: what people on average rate closer to zero has no sentiment to tell."""


@dataclass(frozen=True, slots=True)
class Snippet:
    """A sentence or two of a review.

    Attributes:
        text: as published.
        is_positive: the mean rating is above zero.
    """

    text: str
    is_positive: bool


class MovieReviews:
    """The splits, stratified by sentiment; read at first use.

    Args:
        seed: of the splits.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    @property
    def digest(self) -> str:
        """Of the file.

        Raises:
            WorkloadError: it is missing.
        """
        return digest_bytes(find_movie_reviews().read_bytes())

    def split(self, name: str) -> tuple[Snippet, ...]:
        """The snippets of a split.

        Raises:
            UnknownName: there is no such split.
            WorkloadError: the file is missing or damaged.
        """
        if name not in self._splits:
            raise UnknownName("split", name, tuple(self._splits))
        return self._splits[name]

    @cached_property
    def _splits(self) -> dict[str, tuple[Snippet, ...]]:
        snippets = read_movie_reviews(find_movie_reviews())
        labels = np.array([snippet.is_positive for snippet in snippets])
        rest = np.arange(len(snippets))
        chosen = {}
        for name, share in _HELD_OUT.items():
            rest, chosen[name] = train_test_split(
                rest, test_size=int(share * len(snippets)), stratify=labels[rest], random_state=self._seed
            )
        chosen["train"] = np.sort(rest)
        return {name: tuple(snippets[index] for index in indices) for name, indices in chosen.items()}


def find_movie_reviews() -> Path:
    """The file, in ``$TAUTEN_MOVIE_REVIEWS`` if set, else where ``make data`` puts it.

    Raises:
        WorkloadError: it is missing; the message has the remedies.
    """
    directory = Path(os.environ.get(VARIABLE) or cache_root() / "movie-reviews")
    if not (directory / FILE).is_file():
        raise WorkloadError(
            f"movie reviews: {directory / FILE} is missing; run `make data`,"
            f" or set {VARIABLE} to the directory that holds {FILE}"
        )
    return use(directory / FILE)


def read_movie_reviews(path: Path) -> list[Snippet]:
    """The snippets of a file of lines ``id TAB mean rating TAB text``, in its order.

    A snippet whose mean rating is nearer to zero than `LEAST_RATING` is left out, as is the second of two
    equal texts: it could stand in two splits.

    Raises:
        WorkloadError: the file is not of that form.
    """
    found: dict[str, Snippet] = {}
    try:
        for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n"):
            _, rating, text = line.split("\t")
            if abs(float(rating)) >= LEAST_RATING:
                found.setdefault(text, Snippet(text, float(rating) > 0))
    except ValueError as error:
        raise WorkloadError(
            f"{path} is no file of lines 'id TAB rating TAB text' in UTF-8: {error};"
            " fetch it again with `make data`"
        ) from error
    return list(found.values())
