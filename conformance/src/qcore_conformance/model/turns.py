"""Whether tenants take turns: how many jobs of each other one a job has let pass.

Where it stands in which round nobody sees. What is promised can be counted: between two jobs of a
tenant that has another waiting each other tenant gets one at most, and before the first job of one
that had none waiting two.
"""

from __future__ import annotations

from collections.abc import Iterable

from .entries import Entry
from .ledger import check

__all__ = ["AFTER_ANOTHER", "ANEW", "count_turn", "disturb"]

AFTER_ANOTHER = 1
"""Jobs of each other tenant that a job lets pass after one of its own tenant was taken."""
ANEW = 2
"""Those that a job lets pass whose tenant may have had none waiting."""


def count_turn(taken: Entry, waiting: Iterable[Entry], must_come: Iterable[Entry]) -> None:
    """Hear that a job was taken, which others of its level had to wait for.

    Args:
        taken: The job, as it was before.
        waiting: The others that may be ready.
        must_come: Those of them that are.
    """
    rest = [one for one in waiting if one.priority == taken.priority]
    by_turn = taken.patience is not None and taken.ghost is None
    for one in rest:
        if one.patience is not None and taken.is_of(one.tenant):
            one.passed.clear()
            one.patience = AFTER_ANOTHER if by_turn else ANEW
    if by_turn:
        for one in must_come:
            if one in rest and one.tenant != taken.tenant and _is_first(one, rest):
                _let_pass(one, taken)


def _is_first(entry: Entry, rest: Iterable[Entry]) -> bool:
    """Whether a job has a turn, and surely none of its tenant before it."""
    return entry.patience is not None and all(
        one is entry
        or not one.is_of(entry.tenant)
        or (one.patience is not None and entry.rank.before(one.rank))
        for one in rest
    )


def _let_pass(entry: Entry, taken: Entry) -> None:
    entry.passed[taken.tenant] += 1
    passed, most = entry.passed[taken.tenant], entry.patience or 0
    check(
        passed <= most,
        f"{passed} jobs of tenant {taken.tenant!r} came before {entry} of {entry.tenant!r}, "
        f"the last of them {taken}; {most} may",
    )


def disturb(tenant: str, entries: Iterable[Entry]) -> None:
    """Hear that a job left the line of a tenant untaken; where the others move up is left open."""
    for entry in entries:
        if entry.tenant == tenant:
            entry.patience = None
