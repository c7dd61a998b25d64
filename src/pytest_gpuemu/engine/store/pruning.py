"""Pruning: what the store lets go of, so that it stays small.

The rule: of the passing results the newest KEPT_PASSED stay, of the campaigns the newest KEPT_CAMPAIGNS, of
the overrides of cases handed out the newest KEPT_ISSUED; the older ones go when the store is opened and every
PRUNE_EVERY writes. Failures and their results never go by themselves: only when their test passes them, when
a newer failure of the same case replaces them, or when someone says so. Baselines stay until their tag is
stored again or removed.
"""

from __future__ import annotations

import sqlite3

KEPT_PASSED = 10_000
KEPT_CAMPAIGNS = 2_000
KEPT_ISSUED = 10_000
PRUNE_EVERY = 1_000


def prune(connection: sqlite3.Connection) -> None:
    """Apply the rule. To be called inside a transaction."""
    connection.execute(
        "DELETE FROM results WHERE passed AND id NOT IN "
        "(SELECT id FROM results WHERE passed ORDER BY id DESC LIMIT ?)",
        (KEPT_PASSED,),
    )
    for table, kept in (("campaigns", KEPT_CAMPAIGNS), ("issued", KEPT_ISSUED)):
        connection.execute(
            f"DELETE FROM {table} WHERE id NOT IN (SELECT id FROM {table} ORDER BY id DESC LIMIT ?)", (kept,)
        )
