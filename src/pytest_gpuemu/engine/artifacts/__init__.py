"""Compiled artifacts: what the compiler made of a kernel, read without a GPU.

Here: the data classes that others build on (data.py), PTX (ptx/), and what is measured and judged on it.
    lint(ptx, kernel=None, *, archs=None, limits=Limits()) -> list[LintReport]    one per kernel and arch
    compare(baseline, current, policies) -> ArtifactComparison                   of two KernelMetrics
Elsewhere: the items of pytest, the wire's messages, the store of baselines.
"""
