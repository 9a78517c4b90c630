"""The workloads: which names exist (without loading any), and how one is loaded."""

from evaluators.workloads.loading import WorkloadInfo, list_workloads, load_workload
from evaluators.workloads.naming import is_file_reference

__all__ = ["WorkloadInfo", "is_file_reference", "list_workloads", "load_workload"]
