"""The workloads: which names exist (without loading any), and how one is loaded."""

from evaluators.workloads.loading import WorkloadInfo, is_file_reference, list_workloads, load_workload

__all__ = ["WorkloadInfo", "is_file_reference", "list_workloads", "load_workload"]
