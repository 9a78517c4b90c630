"""The command line: ``tauten``."""

from service.cli.app import main

__all__ = ["main"]
