from __future__ import annotations

from qcore.memory.ledger import Ledger
from qcore.memory.store import Entry
from qcore.record import Record
from qcore.states import Event

FOR_EVER = (-1, -1, -1)


def begun(keep_ms: tuple[int, int, int] = FOR_EVER) -> tuple[Ledger, Entry]:
    """A ledger at the time 100 with one job in it."""
    ledger, entry = Ledger(), Entry("a", b"", 0)
    ledger.tell(100.0)
    ledger.begin(entry, keep_ms)
    return ledger, entry


def happened(ledger: Ledger, entry: Entry, *events: Event) -> Record | None:
    """Let this happen to a job, one thing a second; its record then."""
    for event in events:
        ledger.tell(ledger.now + 1)
        entry.move(event)
        entry.number += event is Event.TAKE
        ledger.note(entry, event, "me" if event is Event.TAKE else "")
    (record,) = ledger.records([entry.id])
    return record


def test_a_job_that_was_not_begun_has_no_record() -> None:
    """Whatever happens to it."""
    ledger, entry = Ledger(), Entry("plain", b"", 0)
    assert happened(ledger, entry, Event.TAKE, Event.ACK) is None
    ledger.amend("plain", result=b"result")
    assert ledger.records(["plain"]) == [None]
    assert not ledger.ended


def test_a_delivery_that_ends_is_one_of_the_tries() -> None:
    """With what ended it and when; five of them are enough."""
    ledger, entry = begun()
    record = happened(ledger, entry, *[Event.TAKE, Event.RELEASE] * 7)
    assert record is not None
    assert [(one.number, one.taken_at, one.ended_at) for one in record.tries] == [
        (number, 99.0 + 2 * number, 100.0 + 2 * number) for number in range(3, 8)
    ]
    assert {one.outcome for one in record.tries} == {"release"}


def test_an_end_is_told_once() -> None:
    """So that whoever waits is woken by it, and by nothing else."""
    ledger, entry = begun()
    told = [ledger.ended]
    happened(ledger, entry, Event.TAKE)
    told.append(ledger.ended)
    record = happened(ledger, entry, Event.ACK)
    assert [*told, ledger.ended] == [False, False, True]
    assert record is not None
    assert (record.ended_at, record.worker) == (102.0, "me")


def test_a_record_goes_when_its_time_is_over() -> None:
    """Not before, and of each end there is a time of its own."""
    ledger, entry = begun((2000, 0, -1))
    happened(ledger, entry, Event.TAKE, Event.ACK)
    ledger.tell(103.9)
    assert ledger.records(["a"]) != [None]
    ledger.tell(104.0)
    assert ledger.records(["a"]) == [None]


def test_a_record_that_is_not_wanted_goes_at_once() -> None:
    """And its end is told all the same."""
    ledger, entry = begun((-1, 0, -1))
    assert happened(ledger, entry, Event.TAKE, Event.DEAD_LETTER) is None
    assert ledger.ended


def test_what_is_redriven_has_no_end() -> None:
    """The time of its record is over for nobody."""
    ledger, entry = begun((-1, 1500, -1))
    record = happened(ledger, entry, Event.TAKE, Event.DEAD_LETTER, Event.REDRIVE)
    assert record is not None
    assert record.ended_at is None
    ledger.tell(1000.0)
    assert ledger.records(["a"]) == [record]


def test_a_clock_that_goes_back_takes_no_record_with_it() -> None:
    """Times of one record never run backwards."""
    ledger, entry = begun()
    ledger.tell(50.0)
    record = happened(ledger, entry, Event.TAKE)
    assert record is not None
    assert (record.enqueued_at, record.changed_at, record.taken_at) == (100.0, 100.0, 100.0)
