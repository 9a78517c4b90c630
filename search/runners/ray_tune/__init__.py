"""The search for scripts that use Ray Tune themselves: who proposes, and who is stopped early."""

from search.runners.ray_tune.scheduler import MultiObjectiveASHA
from search.runners.ray_tune.searcher import TautenSearcher

__all__ = ["MultiObjectiveASHA", "TautenSearcher"]
