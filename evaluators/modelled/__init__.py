"""Latency and energy computed from a target's figures, and fitted to samples that were measured there."""
