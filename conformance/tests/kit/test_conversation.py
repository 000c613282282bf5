"""Which reply belongs to which request."""

from __future__ import annotations

import pytest

from qcore_conformance.conversation import Conversation, Request
from qcore_conformance.resp import encode


def asked(*requests: str) -> Conversation:
    """A conversation with requests that wait for their replies."""
    conversation = Conversation()
    for request in requests:
        conversation.ask(Request.read(encode(*request.split())))
    return conversation


def answers(conversation: Conversation, *messages: bytes) -> list[str]:
    """The commands that each message completes; empty if none."""
    found = [conversation.answer(message) for message in messages]
    return [request.command if request else "" for request in found]


def push(kind: bytes, *words: str) -> bytes:
    """An array (``*``) or a push (``>``)."""
    return kind + encode(*words)[1:]


def test_replies_come_in_the_order_of_the_requests() -> None:
    """One for each."""
    conversation = asked("SET a 1", "get a", "PING")
    assert answers(conversation, b"+OK\r\n", b"$1\r\n1\r\n", b"-ERR\r\n") == ["SET", "GET", "PING"]
    assert conversation.waiting == 0


def test_a_push_completes_nothing() -> None:
    """It was not asked for."""
    conversation = asked("GET a")
    invalidate = push(b">", "invalidate", "a")
    assert answers(conversation, invalidate, b"$-1\r\n") == ["", "GET"]


@pytest.mark.parametrize("kind", [b"*", b">"])
def test_a_subscription_takes_a_reply_for_each_channel(kind: bytes) -> None:
    """The last one completes it."""
    conversation = asked("SUBSCRIBE a b", "PING")
    confirm = [push(kind, "subscribe", name, "1") for name in ("a", "b")]
    assert answers(conversation, *confirm, b"+PONG\r\n") == ["", "SUBSCRIBE", "PING"]


@pytest.mark.parametrize("kind", [b"*", b">"])
def test_what_subscribers_hear_completes_nothing(kind: bytes) -> None:
    """Of neither protocol."""
    conversation = asked("SUBSCRIBE a")
    assert answers(conversation, push(kind, "subscribe", "a", "1")) == ["SUBSCRIBE"]
    conversation.ask(Request.read(encode("PING")))
    pong = push(b"*", "pong", "") if kind == b"*" else b"+PONG\r\n"
    assert answers(conversation, push(kind, "message", "a", "hello"), pong) == ["", "PING"]


@pytest.mark.parametrize("kind", [b"*", b">"])
def test_unsubscribing_from_all_takes_a_reply_for_each_channel(kind: bytes) -> None:
    """Or one if there is none."""
    conversation = asked("PSUBSCRIBE a b")
    answers(conversation, push(kind, "psubscribe", "a"), push(kind, "psubscribe", "b"))
    conversation.ask(Request.read(encode("PUNSUBSCRIBE")))
    conversation.ask(Request.read(encode("UNSUBSCRIBE")))
    left = [push(kind, "punsubscribe", name) for name in ("a", "b")]
    none = kind + b"3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"
    assert answers(conversation, *left, none) == ["", "PUNSUBSCRIBE", "UNSUBSCRIBE"]


def test_a_refused_subscription_is_complete_at_once() -> None:
    """However many channels it named."""
    assert answers(asked("SUBSCRIBE a b"), b"-NOPERM\r\n") == ["SUBSCRIBE"]


def test_an_ordinary_reply_may_look_like_a_message() -> None:
    """As long as nobody subscribed, it is a reply."""
    assert answers(asked("LRANGE a 0 -1"), push(b"*", "message", "a", "b")) == ["LRANGE"]


def test_being_unsubscribed_by_the_server_completes_nothing() -> None:
    """As happens when a slot moves."""
    conversation = asked("SSUBSCRIBE a")
    answers(conversation, push(b">", "ssubscribe", "a", "1"))
    conversation.ask(Request.read(encode("PING")))
    assert answers(conversation, push(b">", "sunsubscribe", "a", "0")) == [""]
    assert conversation.waiting == 1


def test_an_empty_line_gets_no_reply() -> None:
    """Servers ignore it."""
    conversation = Conversation()
    conversation.ask(Request.read(b"\r\n"))
    assert conversation.waiting == 0
    assert answers(conversation, b"+what\r\n") == [""]
