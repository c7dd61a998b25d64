"""Hypothesis draws the same examples in each run, and without a deadline: a loaded machine says nothing
about the code. `--hypothesis-profile=default` searches anew.
"""

from hypothesis import settings

settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")
