"""What becomes of jobs when processes are killed, frozen and cut off: ``python -m benchmarks.faults``."""
