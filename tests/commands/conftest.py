"""What the tests of commands share; the rows of their stores are in command_rows.py."""

from command_rows import gpuemu, project, store

__all__ = ["gpuemu", "project", "store"]
