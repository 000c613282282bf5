"""What a look into a queue may show, and what it gives away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import qcore

from .entries import Entry, Place, Span
from .ledger import Ledger, check

__all__ = ["LOOKS", "counted", "looked"]

LOOKS = (Place.DELAYED, Place.HELD, Place.READY, Place.DEAD)
"""The order in which states are looked at, so that what moves meanwhile is seen at least once."""


def looked(ledger: Ledger, seen: Mapping[Place, Sequence[qcore.InspectedJob]], span: Span) -> None:
    """Hear what all states looked like, one after the other."""
    ledger.watch(span)
    found = {job.id: (place, job) for place in LOOKS for job in seen[place]}
    strangers = sorted(found.keys() - ledger.jobs.keys())
    check(not strangers, f"{strangers} are there, and were never enqueued here")
    for entry in ledger.entries():
        allowed = entry.places(span, ledger.terms)
        place, job = found.get(entry.id, (Place.GONE, None))
        check(place in allowed, f"{entry} is {place}, not {' or '.join(sorted(allowed))}")
        _move(ledger, entry, place)
        if job is not None:
            _show(ledger, entry, job)
    line = [ledger.jobs[job.id] for job in seen[Place.READY]]
    # What waits at a gate is shown beside the line.
    for first, second in combinations([one for one in line if one.gate is None], 2):
        check(not ledger.before(second, first), f"{first} is shown before {second}")


def _move(ledger: Ledger, entry: Entry, place: Place) -> None:
    """Take note of where a job is."""
    entry.doubtful = False
    if place is entry.place:
        return
    if place is Place.READY and entry.mark is not None:
        entry.rank = ledger.returning(entry, ledger.line.back_since(entry.mark))
        entry.flow = None if entry.place is Place.HELD else entry.due_flow
    entry.turned(place, ledger.terms)


def _show(ledger: Ledger, entry: Entry, job: qcore.InspectedJob) -> None:
    """See whether a job is what it should be where it is."""
    same = job.job is not None and job.job.body == entry.body
    check(same, f"{entry} shows {job.raw!r}")
    if entry.place is Place.DEAD and entry.note is not None:
        check(job.note == entry.note, f"{entry} shows the note {job.note!r}")
    if not ledger.terms.attempts:
        return
    least, most = entry.least, entry.most
    good = least <= job.number <= most
    check(good, f"{entry} shows the number {job.number}, not {least} to {most}")
    ledger.narrow(entry, job.attempt, job.crashes)
    if entry.place is Place.READY:
        if entry.ghost is not None and job.number > least:
            entry.rank, entry.flow, entry.patience = entry.ghost, None, None
        entry.ghost, entry.least, entry.most = None, job.number, job.number


def counted(ledger: Ledger, stats: qcore.QueueStats, span: Span) -> None:
    """Hear the counts."""
    there = stats.ready + stats.delayed + stats.held + stats.dead
    balance = there + stats.acked + stats.dropped
    check(stats.enqueued == balance, f"{stats.enqueued} enqueued, {balance} there or gone")
    exact = {"enqueued": len(ledger.jobs), "acked": ledger.acked, "dropped": ledger.dropped}
    for name, count in exact.items():
        found = int(getattr(stats, name))
        check(found == count, f"{found} {name}, not {count}")
    check(stats.paused == ledger.paused, f"paused is {stats.paused}, not {ledger.paused}")
    may = [entry.places(span, ledger.terms) for entry in ledger.entries()]
    for place in LOOKS:
        least = sum(found == {place} for found in may)
        most = sum(place in found for found in may)
        count = int(getattr(stats, place))
        check(least <= count <= most, f"{count} {place}, not {least} to {most}")
