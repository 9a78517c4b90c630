"""A job's trials on a Ray cluster: long-lived evaluators, handed one policy after the other."""

from search.runners.ray_cluster.benches import BenchOf
from search.runners.ray_cluster.cluster import connect, is_connected, leave, shortage
from search.runners.ray_cluster.crew import RayCrew
from search.runners.ray_cluster.evaluators import MakeEvaluating

__all__ = ["BenchOf", "MakeEvaluating", "RayCrew", "connect", "is_connected", "leave", "shortage"]
