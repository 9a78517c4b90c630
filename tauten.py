"""The Python API of Tauten in one small file; ``python -m tauten`` is the command line."""

from search.spec import JobSpec
from service.async_client import AsyncClient
from service.client import Client
from spaces import LayerPolicy, Policy, Prune, Recovery, SearchSpace, Student, TautenError

__all__ = [
    "AsyncClient",
    "Client",
    "JobSpec",
    "LayerPolicy",
    "Policy",
    "Prune",
    "Recovery",
    "SearchSpace",
    "Student",
    "TautenError",
]

if __name__ == "__main__":
    from service.cli import main

    main()
