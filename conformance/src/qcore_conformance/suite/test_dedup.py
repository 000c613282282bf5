"""Dedup: the same key, or the same id of the caller's, makes one job as long as it is known."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.marks import invariant
from qcore_conformance.outcomes import NotApplicable
from qcore_conformance.scenes import LONG, at_once, drained, lined_up, pass_time, quiet, taken
from qcore_conformance.waiting import scaled


def _words(bed: Bed, kind: str, word: str) -> dict[str, Any]:
    """The option that makes a job unique."""
    if not bed.claims("idempotent_id" if kind == "id" else "dedup"):
        raise NotApplicable(f"{bed.capabilities.adapter} does not know '{kind}' again")
    return {kind: word}


@invariant("Q-DEDUP-01")
@pytest.mark.parametrize("kind", ["dedup", "id"])
def test_the_same_word_twice_makes_one_job(bed: Bed, kind: str) -> None:
    """The second call gets the first id, says so, and changes nothing."""
    queue, options = bed.queue(), _words(bed, kind, "word")

    first = queue.enqueue(b"first", **options)
    second = bed.connect().queue("q").enqueue(b"second", **options)

    assert (first.created, second.created, second) == (True, False, first)
    assert [delivery.job.body for delivery in drained(queue)] == [b"first"]


@invariant("Q-DEDUP-01")
@pytest.mark.parametrize("kind", ["dedup", "id"])
def test_fifty_at_once_with_one_word_make_one_job(bed: Bed, kind: str) -> None:
    """Over connections of their own, and over one that they share."""
    queues = [bed.queue(), *(bed.connect().queue("q") for _ in range(4))]
    options = _words(bed, kind, "word")

    ids = at_once(*(partial(queues[n % 5].enqueue, b"%d" % n, **options) for n in range(50)))

    created = [one for one in ids if one.created]
    found = drained(bed.queue())
    assert len(created) == len(found) == 1
    assert set(ids) == {created[0]} == {found[0].job.id}


@invariant("Q-DEDUP-02")
@pytest.mark.parametrize("kind", ["dedup", "id"])
def test_a_word_is_free_again_behind_its_window(bed: Bed, kind: str) -> None:
    """And then stands for the new job."""
    options, window = _words(bed, kind, "word"), scaled(0.5)
    queue = bed.connect(bed.told(bed.url, "dedup_window", window)).queue("q")
    first = queue.enqueue(b"first", **options)
    taken(queue).ack()
    pass_time(time.monotonic() + window + bed.slack)

    second, third = queue.enqueue(b"second", **options), queue.enqueue(b"third", **options)

    assert (first.created, second.created, third.created) == (True, True, False)
    assert third == second
    assert [delivery.job.body for delivery in drained(queue)] == [b"second"]


@invariant("Q-DEDUP-01")
@pytest.mark.parametrize("kind", ["dedup", "id"])
def test_a_word_is_known_whatever_became_of_its_job(bed: Bed, kind: str) -> None:
    """While it waits, while it is in hand, and when it is done."""
    queue, options = bed.queue(), _words(bed, kind, "word")
    first = queue.enqueue(b"", **options)

    waiting = queue.enqueue(b"", **options)
    delivery = taken(queue, LONG if bed.claims("lease") else None)
    in_hand = queue.enqueue(b"", **options)
    delivery.ack()
    done = queue.enqueue(b"", **options)

    assert [(one, one.created) for one in (waiting, in_hand, done)] == [(first, False)] * 3
    assert quiet(queue)


@invariant("Q-DEDUP-01")
@pytest.mark.parametrize("kind", ["dedup", "id"])
def test_a_word_counts_within_its_queue_and_its_batch(bed: Bed, kind: str) -> None:
    """Twice in one batch is once; in another queue, or another word, it is another job."""
    here, there = bed.queue("here"), bed.queue("there")
    same, other = _words(bed, kind, "word"), _words(bed, kind, "Word")
    batch = [qcore.NewJob(b"1", **same), qcore.NewJob(b"2", **other), qcore.NewJob(b"3", **same)]

    sent = here.enqueue_many([*batch, b"4", b"4"])
    elsewhere = there.enqueue(b"5", **same)

    assert [one.created for one in sent] == [True, True, False, True, True]
    assert sent[2] == sent[0]
    assert elsewhere.created
    found = [delivery.job.body for delivery in drained(here)]
    assert lined_up(bed, found) == [b"1", b"2", b"4", b"4"]
    assert [delivery.job.body for delivery in drained(there)] == [b"5"]


@invariant("Q-DEDUP-01")
def test_an_id_and_a_key_of_the_same_text_are_two_words(bed: Bed) -> None:
    """A job may have both, and either makes it known."""
    queue = bed.queue()
    both = {**_words(bed, "id", "one"), **_words(bed, "dedup", "two")}
    first = queue.enqueue(b"first", **both)

    swapped = queue.enqueue(b"swapped", id="two", dedup="one")
    by_id, by_key = queue.enqueue(b"", id="one"), queue.enqueue(b"", dedup="two")

    assert (first, swapped, swapped.created) == ("one", "two", True)
    assert [(one, one.created) for one in (by_id, by_key)] == [("one", False)] * 2
    assert len(drained(queue)) == 2


@invariant("Q-DEDUP-03")
@pytest.mark.parametrize("kind", ["dedup", "id"])
def test_no_word_is_forgotten_for_the_number_of_words(bed: Bed, kind: str) -> None:
    """Only time makes a word unknown, since no number is declared."""
    total, queue = bed.many(3000), bed.queue()
    jobs = [qcore.NewJob(b"", **_words(bed, kind, f"word-{n}")) for n in range(total)]
    parts = [jobs[start : start + 500] for start in range(0, total, 500)]

    first = [one for part in parts for one in queue.enqueue_many(part)]
    again = [one for part in parts for one in queue.enqueue_many(part)]

    bed.figure("words known at once", total, "")
    assert all(one.created for one in first)
    assert [(one, one.created) for one in again] == [(one, False) for one in first]
