"""What a subscribed connection hears, without a colour: bytes in, payloads out.

A connection that subscribed is spoken to by the server alone: confirmations, messages and the
answers to PING come in the order in which they happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hiredis

from qcore_redis.faults import Refused, SocketLost

__all__ = ["CHUNK", "PING", "Inbox", "Pulse"]

CHUNK = 1 << 16
"""Bytes that are read at once: what is held back here at most, beside one message."""

PING = b"*1\r\n$4\r\nPING\r\n"

_PARTIAL: Any = object()
_QUESTIONS = 2
_YOUTH = 0.05
"""Seconds."""


class Inbox:
    """Cuts the bytes of one subscribed connection into payloads, as they are asked for."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(
            protocolError=SocketLost, replyError=Refused, notEnoughData=_PARTIAL
        )

    def feed(self, data: bytes) -> None:
        """Add what was read from the connection.

        Raises:
            SocketLost: If nothing was read, which is how a connection ends.
        """
        if not data:
            raise SocketLost("the server closed the connection")
        self._reader.feed(data)

    def confirmed(self) -> bool:
        """Whether the subscription is confirmed by now; asked until it is.

        Raises:
            Refused: If the server does not let this user listen there.
            SocketLost: If these bytes are no RESP.
        """
        reply = self._reader.gets()
        if isinstance(reply, Refused):
            raise reply
        return reply is not _PARTIAL

    def next(self) -> bytes | None:
        """The next payload that is complete, or ``None``.

        Raises:
            SocketLost: If the server ended the subscription, or these bytes are no RESP.
        """
        while (reply := self._reader.gets()) is not _PARTIAL:
            if isinstance(reply, bytes | Refused):
                # What answers PING may be a single word.
                continue
            if reply[0] in (b"message", b"smessage"):
                return bytes(reply[2])
            if reply[0] in (b"unsubscribe", b"sunsubscribe"):
                raise SocketLost("the server ended the subscription")
        return None


class Pulse:
    """Judges the silence of a link: whether to ask if it lives, and when to give it up.

    A link can die without a word, and a subscriber that never speaks would not find out. One
    unanswered question proves little, since it may be this program that had no time to listen.

    Args:
        patience: Seconds of silence before it is asked, asked once more, and given up.
        monotonic: Tells the time.
    """

    def __init__(self, patience: float, monotonic: Callable[[], float]) -> None:
        self._patience = patience
        self._monotonic = monotonic
        self._born = self._since = monotonic()
        self._asked = 0

    def is_young(self) -> bool:
        """Whether the link was made just now: one that breaks so soon may do so again."""
        return self._monotonic() - self._born < _YOUTH

    def heard(self) -> None:
        """Something came."""
        self._since = self._monotonic()
        self._asked = 0

    def should_ask(self) -> bool:
        """Whether it is time to ask; says so twice for each silence.

        Raises:
            SocketLost: If it said nothing then either.
        """
        if self._monotonic() - self._since < self._patience:
            return False
        if self._asked == _QUESTIONS:
            raise SocketLost("the link is silent")
        self._since = self._monotonic()
        self._asked += 1
        return True
