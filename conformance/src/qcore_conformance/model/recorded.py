"""What the records of jobs may say."""

from __future__ import annotations

from collections.abc import Mapping

import qcore

from .entries import Entry, Place, Span, Terms
from .ledger import Ledger, check

__all__ = ["recorded"]

_TRIES = 5


def recorded(ledger: Ledger, records: Mapping[str, qcore.Record | None], span: Span) -> None:
    """Hear what is kept of jobs; of those that are not tracked it is nothing."""
    ledger.watch(span)
    for job_id, record in records.items():
        entry = ledger.jobs[job_id]
        states = _states(entry, span, ledger.terms)
        if record is None:
            check(any(_kept(entry, state) == 0 for state in states), f"{entry} has no record")
            continue
        allowed = sorted(state for state in states if _kept(entry, state) != 0)
        state = str(record.state)
        check(state in allowed, f"the record of {entry} says {state}, not {' or '.join(allowed)}")
        if len(states) == 1 and ledger.terms.attempts and entry.counts:
            _see_story(entry, record)


def _states(entry: Entry, span: Span, terms: Terms) -> set[str]:
    """What a record may say of where a job is."""
    gone = "done" if entry.done else "dropped"
    return {gone if one is Place.GONE else str(one) for one in entry.places(span, terms)}


def _kept(entry: Entry, state: str) -> float | None:
    """For how long a record is kept of a job there."""
    keep = entry.draft.keep
    if keep is None:
        return 0
    stays = {"done": keep.done, "dead": keep.dead, "dropped": keep.dropped}
    return stays.get(state)


def _see_story(entry: Entry, record: qcore.Record) -> None:
    """See whether a record tells the deliveries of a job as they were, and its result."""
    check(record.result == entry.result, f"the result of {entry} is {record.result!r}")
    number, least, most = record.number, entry.least, entry.most
    check(least <= number <= most, f"the record of {entry} says {number}, not {least} to {most}")
    counts = record.attempt, record.crashes
    check(counts in entry.counts, f"the record of {entry} says attempt and crashes {counts}")
    last = number - (record.state == "held")
    told = [(one.number, one.outcome) for one in record.tries]
    # A delivery of which nobody heard was taken ahead and given back.
    expected = [(one, entry.outcomes.get(one, "release")) for one in range(1, last + 1)]
    check(told == expected[-_TRIES:], f"the record of {entry} tells {told}, not {expected}")
