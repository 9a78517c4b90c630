"""Who proposes the next policy. The names are here, so that a job is checked without loading any sampler."""

from typing import Final

SAMPLERS: Final = ("nsga2", "random", "tpe")

__all__ = ["SAMPLERS"]
