"""A digest of a kernel's code that comments, spacing and debug information do not change.

Here: what counts as code: the kernel, each function that it reaches, and the variables that they use.
Elsewhere: the text that is digested (render.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from pytest_gpuemu.engine.artifacts.ptx.render import item_lines
from pytest_gpuemu.engine.artifacts.ptx.tree import (
    Block,
    File,
    Function,
    Label,
    Loc,
    Module,
    Section,
    Targets,
    Variable,
)
from pytest_gpuemu.engine.artifacts.ptx.walk import reached_functions, statements, used_names


def kernel_digest(module: Module, kernel: Function) -> str:
    """64 bits of SHA-256, in hexadecimal, over the code of one kernel."""
    functions = reached_functions(module, kernel)
    used = frozenset().union(*map(used_names, functions))
    digest = hashlib.sha256()
    for item in module.items:
        if isinstance(item, Variable) and any(declarator.name in used for declarator in item.declarators):
            digest.update("\n".join(item_lines(item)).encode())
    for function in functions:
        bare = _without_debug(function)
        digest.update("\n".join(item_lines(bare)).encode())
    return digest.hexdigest()[:16]


def _without_debug(function: Function) -> Function:
    """The function without locations, and without the labels that only they use."""
    assert function.body is not None
    targets = used_names(function) | frozenset(_branch_targets(function.body))
    return Function(
        kind=function.kind,
        name=function.name,
        returns=function.returns,
        params=function.params,
        has_params=function.has_params,
        linkage=function.linkage,
        attributes=function.attributes,
        directives=function.directives,
        body=_bare(function.body, targets),
    )


def _branch_targets(body: Block) -> Iterator[str]:
    for statement in statements(body):
        if isinstance(statement, Targets):
            yield from statement.names


def _bare(block: Block, targets: frozenset[str]) -> Block:
    kept = []
    for statement in block.statements:
        if isinstance(statement, (File, Loc, Section)):
            continue
        if isinstance(statement, Label) and statement.name not in targets:
            continue
        kept.append(_bare(statement, targets) if isinstance(statement, Block) else statement)
    return Block(statements=tuple(kept))
