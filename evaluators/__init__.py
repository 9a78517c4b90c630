"""What a policy scores: workloads, targets, accuracy, latency, size. Importing it loads no torch."""

from evaluators.children import Child
from evaluators.gate import CEILING, TIE, Gate
from evaluators.outcome import ArtifactRef, Outcome

__all__ = ["CEILING", "TIE", "ArtifactRef", "Child", "Gate", "Outcome"]
