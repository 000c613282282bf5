"""Which reply belongs to which request, for one connection that speaks RESP.

In go whole messages of both directions, in the order of the wire. Out come the requests
that a reply completes. Replies come in the order of the requests, with two exceptions: what
a server pushes unasked completes nothing, and a subscription to several channels takes one
reply for each. A connection that switches its replies off (``CLIENT REPLY``) cannot be followed.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field, frozen

from .resp import Value, decode, first_of

__all__ = ["Conversation", "Request"]

_SUBSCRIBES = frozenset({"SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"})
_UNSUBSCRIBES = frozenset({"UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE"})
_MESSAGES = frozenset({"MESSAGE", "PMESSAGE", "SMESSAGE"})


@frozen
class Request:
    """One request as the client sent it."""

    words: tuple[bytes, ...]

    @classmethod
    def read(cls, message: bytes) -> Request:
        """Read a request from its bytes.

        Raises:
            ValueError: The message is no RESP value.
        """
        value = decode(message)
        words = value if isinstance(value, list) else [value]
        return cls(tuple(word for word in words if isinstance(word, bytes)))

    @property
    def command(self) -> str:
        """The name of the command in capitals; empty for an empty line."""
        return _name(self.words[0]) if self.words else ""


@define
class _Pending:
    request: Request
    replies: int


@define
class Conversation:
    """Pairs the requests of one connection with their replies."""

    _pending: deque[_Pending] = field(factory=deque[_Pending], init=False)
    _channels: dict[str, set[Value]] = field(factory=dict[str, set[Value]], init=False)

    @property
    def waiting(self) -> int:
        """How many requests have no complete reply yet."""
        return len(self._pending)

    def ask(self, request: Request) -> None:
        """Note a request that was sent; an empty line gets no reply and is not noted."""
        if request.command:
            self._pending.append(_Pending(request, self._replies_to(request)))

    def answer(self, message: bytes) -> Request | None:
        """Note a message of the server.

        Returns:
            The request that is complete now, or None: a push, or one reply of several.

        Raises:
            ValueError: The message is no RESP value.
        """
        subject = self._subject(message)
        if subject in _SUBSCRIBES | _UNSUBSCRIBES:
            self._note_channel(subject, message)
        elif subject or message[:1] == b">":
            return None
        if not self._pending:
            return None
        return self._complete(self._pending[0], subject, failed=message[:1] in (b"-", b"!"))

    def _complete(self, head: _Pending, subject: str, *, failed: bool) -> Request | None:
        if subject and subject != head.request.command:
            return None
        head.replies -= 1
        if head.replies > 0 and not failed:
            return None
        self._pending.popleft()
        return head.request

    def _subject(self, message: bytes) -> str:
        """Return what a message of the subscription kind is about, or nothing for a reply."""
        if message[:1] not in (b"*", b">"):
            return ""
        command = self._pending[0].request.command if self._pending else ""
        if message[:1] == b"*" and not (self._channels or command in _SUBSCRIBES | _UNSUBSCRIBES):
            return ""
        first = first_of(message)
        name = _name(first) if isinstance(first, bytes) else ""
        return name if name in _SUBSCRIBES | _UNSUBSCRIBES | _MESSAGES else ""

    def _replies_to(self, request: Request) -> int:
        if request.command in _SUBSCRIBES:
            return len(request.words) - 1
        if request.command in _UNSUBSCRIBES:
            named = len(request.words) - 1
            return named or len(self._channels.get(_kind(request.command), ())) or 1
        return 1

    def _note_channel(self, subject: str, message: bytes) -> None:
        value = decode(message)
        channel = value[1] if isinstance(value, list) and len(value) > 1 else None
        if not isinstance(channel, bytes):
            return
        kind = _kind(subject)
        channels = self._channels.setdefault(kind, set())
        if subject in _SUBSCRIBES:
            channels.add(channel)
        else:
            channels.discard(channel)
        if not channels:
            del self._channels[kind]


def _kind(command: str) -> str:
    return command.replace("UNSUB", "SUB")


def _name(word: bytes) -> str:
    return word.decode(errors="replace").upper()
