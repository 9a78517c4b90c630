"""How many threads PyTorch computes with, for a while."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """PyTorch has one pool for the whole process, so its size is put back.

    Args:
        threads: inside, at least 1.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
