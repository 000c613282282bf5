"""The alarm: it is heard, even if Python was busy tidying up when it rang first."""

from __future__ import annotations

import signal
import sys
import threading
import time
import weakref

import pytest

from qcore_conformance.alarms import Alarm, RangError, alarm
from qcore_conformance.outcomes import NotRun


class _Tidying:
    """Still in its finalizer when the alarm rings."""

    def __init__(self, alarm: Alarm) -> None:
        self._alarm = alarm

    def __del__(self) -> None:
        self._alarm.ring_after(0.0)
        time.sleep(10.0)


def _tidy_and_wait(alarm: Alarm) -> None:
    _Tidying(alarm)
    threading.Event().wait(10.0)


def test_an_alarm_ends_what_blocks() -> None:
    """At once."""
    with alarm() as bell:
        bell.ring_after(0.01)
        with pytest.raises(RangError):
            threading.Event().wait(10.0)
    assert time.monotonic() - bell.rang_at < 1.0


def test_an_alarm_that_only_ended_a_finalizer_rings_again() -> None:
    """Python reports the first exception and goes on."""
    with alarm() as bell, pytest.raises(RangError):
        _tidy_and_wait(bell)


def test_an_alarm_that_rings_while_an_earlier_one_is_reported_rings_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is raised where Python reports something comes to nothing either."""
    asked: list[float] = []

    def slow(bell: Alarm, seconds: float) -> None:
        ask(bell, seconds)
        asked.append(seconds)
        if len(asked) <= 2:  # in the finalizer, and in the report of its end
            time.sleep(0.05)

    ask = Alarm.ring_after
    monkeypatch.setattr(Alarm, "ring_after", slow)

    with alarm() as bell, pytest.raises(RangError):
        _tidy_and_wait(bell)

    assert len(asked) > 2, "it never rang in the report"


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_other_trouble_of_finalizers_is_reported_as_before() -> None:
    """Only the alarm's own exception is taken out."""
    reported: list[object] = []
    before, sys.unraisablehook = sys.unraisablehook, reported.append

    class Clumsy:
        def __del__(self) -> None:
            raise ValueError("clumsy")

    try:
        with alarm():
            Clumsy()
    finally:
        sys.unraisablehook = before
    assert len(reported) == 1


def test_handlers_are_put_back() -> None:
    """That of the signal and that of what cannot be raised."""
    before = signal.getsignal(signal.SIGUSR1), sys.unraisablehook
    with alarm():
        pass
    assert (signal.getsignal(signal.SIGUSR1), sys.unraisablehook) == before


def test_an_alarm_says_that_other_threads_cannot_hear_it() -> None:
    """Before anything is set."""
    raised: list[BaseException] = []

    def elsewhere() -> None:
        try:
            with alarm():
                pass
        except NotRun as error:
            raised.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(raised) == 1


def test_what_an_exception_left_behind_is_gone_with_the_alarm() -> None:
    """A socket that nobody closed is complained of here, and not in a later test."""

    class Ring:
        def __init__(self) -> None:
            self.itself = self

    with alarm():
        left = weakref.ref(Ring())
        assert left() is not None
    assert left() is None
