"""The Python API of Tauten in one small file; ``python -m tauten`` is the command line."""
