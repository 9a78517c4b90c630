"""What to try next: job specifications, trials, samplers, fronts, and the runners that put trials to work.

Importing it loads no sampler; the API process reads specifications and fronts without optuna.
"""
