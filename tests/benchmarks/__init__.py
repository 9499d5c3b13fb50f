"""Benchmarks: what they measure is in each module's docstring, how they are run in `run.py`."""
