"""Hypothesis without a deadline: a loaded machine says nothing about the code."""

from hypothesis import settings

settings.register_profile("engine", deadline=None)
settings.load_profile("engine")
