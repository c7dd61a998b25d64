"""Baselines: what a kernel's artifact and its errors were at a good time, to compare later ones with.

Here: the data classes (data.py), the errors of a campaign and their comparison (numbers.py), the file that is
committed and reviewed (file.py), which baseline holds (loading.py). Elsewhere: the comparison of artifacts
(engine/artifacts/changes.py), the store's tables (engine/store/baselines.py).
"""
