"""Definitions of agents: the file, its errors all at once, and what turns are taken by.

Importing it is cheap; what needs pydantic is in `compile` and `schema`.
"""
