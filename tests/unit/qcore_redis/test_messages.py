from __future__ import annotations

import pytest

from qcore_redis.faults import Refused, SocketLost
from qcore_redis.ports.messages import Inbox, Pulse

SUBSCRIBED = b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"


def message(payload: bytes, kind: bytes = b"message") -> bytes:
    """A message as a server sends it."""
    words = (kind, b"c", payload)
    return b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def confirmed(more: bytes = b"") -> Inbox:
    """An inbox whose subscription was confirmed in one piece with what followed."""
    inbox = Inbox()
    inbox.feed(SUBSCRIBED + more)
    assert inbox.confirmed()
    return inbox


class Watch:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_payloads_come_out_whole_however_the_bytes_are_cut(size: int) -> None:
    """The network cuts where it likes."""
    stream = SUBSCRIBED + message(b"a\r\nb") + message(b"", b"smessage") + message(bytes(500))
    inbox, is_confirmed, found = Inbox(), False, list[bytes]()

    for start in range(0, len(stream), size):
        inbox.feed(stream[start : start + size])
        is_confirmed = is_confirmed or inbox.confirmed()
        while is_confirmed and (payload := inbox.next()) is not None:
            found.append(payload)

    assert found == [b"a\r\nb", b"", bytes(500)]


def test_a_message_behind_the_confirmation_is_kept() -> None:
    """Both may arrive in one piece."""
    inbox = confirmed(message(b"x"))

    assert (inbox.next(), inbox.next()) == (b"x", None)


def test_no_confirmation_is_seen_in_half_of_one() -> None:
    """Half a reply is no reply."""
    inbox = Inbox()
    inbox.feed(SUBSCRIBED[:10])

    assert not inbox.confirmed()


def test_a_refused_subscription_says_why() -> None:
    """The server's own words reach the caller."""
    inbox = Inbox()
    inbox.feed(b"-NOPERM this user has no permissions to access one of the channels\r\n")

    with pytest.raises(Refused, match="NOPERM this user"):
        inbox.confirmed()


@pytest.mark.parametrize(
    "answer", [b"*2\r\n$4\r\npong\r\n$0\r\n\r\n", b"+PONG\r\n", b"-NOPERM\r\n"]
)
def test_answers_to_ping_are_no_messages(answer: bytes) -> None:
    """They only show that the link lives."""
    inbox = confirmed(answer + message(b"x"))

    assert (inbox.next(), inbox.next()) == (b"x", None)


@pytest.mark.parametrize("kind", [b"unsubscribe", b"sunsubscribe"])
def test_a_subscription_that_the_server_ends_is_lost(kind: bytes) -> None:
    """It does so when a channel's slot moves to another node."""
    inbox = confirmed(message(b"x") + b"*3\r\n$%d\r\n%b\r\n$1\r\nc\r\n:0\r\n" % (len(kind), kind))

    assert inbox.next() == b"x"
    with pytest.raises(SocketLost):
        inbox.next()


def test_an_end_and_another_language_are_lost_links() -> None:
    """Neither can ever bring a message again."""
    with pytest.raises(SocketLost):
        confirmed().feed(b"")

    inbox = confirmed(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(SocketLost):
        inbox.next()


def test_a_silent_link_is_asked_twice_and_then_given_up() -> None:
    """Silence alone proves nothing; silence as the answer does, if there was time to listen."""
    watch = Watch()
    pulse = Pulse(10.0, watch)

    watch.now = 9.9
    assert not pulse.should_ask()
    watch.now = 10.0
    assert pulse.should_ask()
    watch.now = 19.9
    assert not pulse.should_ask()
    watch.now = 2000.0
    assert pulse.should_ask()
    watch.now = 2009.9
    assert not pulse.should_ask()
    watch.now = 2010.0
    with pytest.raises(SocketLost, match="silent"):
        pulse.should_ask()


def test_a_link_is_young_only_at_first() -> None:
    """One that breaks while it is young is not made again in a tight loop."""
    watch = Watch()
    pulse = Pulse(10.0, watch)
    assert pulse.is_young()

    watch.now = 0.1
    assert not pulse.is_young()
    pulse.heard()
    assert not pulse.is_young()


def test_whatever_is_heard_proves_that_the_link_lives() -> None:
    """An answer resets the clock, and the next silence is asked again."""
    watch = Watch()
    pulse = Pulse(10.0, watch)

    for round_ in range(1, 4):
        watch.now += 10.0
        assert pulse.should_ask(), round_
        watch.now += 9.0
        pulse.heard()
        assert not pulse.should_ask()
