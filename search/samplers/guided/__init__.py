"""The guided sampler, part by part; `search.samplers.GuidedSampler` is its name outside."""

from search.samplers.guided.problem import Branch, Problem
from search.samplers.guided.sampler import GuidedSampler, Switches

__all__ = ["Branch", "GuidedSampler", "Problem", "Switches"]
