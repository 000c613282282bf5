"""RESP, the protocol of Redis and Valkey, as pure functions over bytes.

In go the bytes of one direction of a connection, in pieces of any size. Out come whole
messages (``Splitter``) and their values (``decode``); ``encode`` writes a request. RESP2,
RESP3 and inline requests are understood, except for streamed RESP3 values, which no server
sends. Nothing here waits: a message that has not arrived in full is simply not there yet.
"""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

__all__ = ["ProtocolError", "ReplyError", "Splitter", "Value", "decode", "encode", "first_of"]

_LINES = b"+-:_#,("
_BULKS = b"$!="
_LISTS = b"*~>"
_MAPS = b"%|"


class ProtocolError(ValueError):
    """The bytes are not RESP; the connection cannot be followed any further."""


@frozen
class ReplyError:
    """An error that the server replied, such as ``WRONGTYPE …``."""

    message: str


Value: TypeAlias = "bool | int | float | bytes | ReplyError | list[Value] | None"
"""A decoded reply. Maps and sets are flat lists, as in RESP2; all strings are bytes."""


def encode(*words: str | bytes | float) -> bytes:
    """Write one request: an array of bulk strings."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        raw = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


def decode(message: bytes) -> Value:
    """Read the value of one whole message; an inline request is a list of its words.

    Raises:
        ValueError: The message is not exactly one RESP value.
    """
    if _is_inline(message):
        return list[Value](message.split())
    value, end = _value(message, 0)
    if end != len(message):
        raise ProtocolError(f"the value takes {end} bytes, the message has {len(message)}")
    return value


def first_of(message: bytes) -> Value:
    """Read only the first element of an aggregate, or the value of anything else."""
    while message[:1] == b"|":
        message = message[_skip(message, 0) :]
    if message[:1] not in (b"*", b"~", b">"):
        return decode(message)
    count, end = _number(message, 0)
    return _value(message, end)[0] if count > 0 else None


class Splitter:
    """Cuts the bytes of one direction into whole messages.

    Args:
        inline: Whether plain lines are messages too, as servers allow for requests.
    """

    def __init__(self, *, inline: bool = False) -> None:
        self._inline = inline
        self._buffer = bytearray()
        self._at = 0
        self._missing: list[int] = []

    @property
    def rest(self) -> bytes:
        """The bytes of a message that has not arrived in full."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the messages that are whole now.

        Raises:
            ProtocolError: The bytes are not RESP.
        """
        self._buffer += data
        messages: list[bytes] = []
        while self._step():
            if not self._missing:
                messages.append(bytes(self._buffer[: self._at]))
                del self._buffer[: self._at]
                self._at = 0
        return messages

    def _step(self) -> bool:
        """Move past the header (and the bytes, if any) of one element, if it is there."""
        line = self._buffer.find(b"\r\n", self._at)
        if self._inline and not self._missing and _is_inline(self._buffer):
            return self._step_inline()
        if line < 0:
            return False
        kind = self._buffer[self._at]
        end = line + 2
        inner = 0
        if kind in _BULKS:
            size, _ = _number(self._buffer, self._at)
            end += size + 2 if size >= 0 else 0
        elif kind in _LISTS or kind in _MAPS:
            inner = _elements(self._buffer, self._at)
        elif kind not in _LINES:
            raise ProtocolError(f"no RESP value begins with {bytes([kind])!r}")
        if end > len(self._buffer):
            return False
        self._at = end
        self._account(inner)
        return True

    def _step_inline(self) -> bool:
        end = self._buffer.find(b"\n")
        self._at = end + 1
        return end >= 0

    def _account(self, inner: int) -> None:
        if inner:
            self._missing.append(inner)
            return
        while self._missing:
            self._missing[-1] -= 1
            if self._missing[-1]:
                return
            self._missing.pop()


def _is_inline(data: bytes | bytearray) -> bool:
    return bool(data) and data[0] not in _LINES + _BULKS + _LISTS + _MAPS


def _number(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Read the number in the header at ``at``; return it and where the header ends."""
    line = data.find(b"\r\n", at)
    try:
        return int(data[at + 1 : line]), line + 2
    except ValueError:
        header = bytes(data[at:line])[:40]
        raise ProtocolError(f"no number in the header {header!r}") from None


def _elements(data: bytes | bytearray, at: int) -> int:
    """Count the elements below the header at ``at``; an attribute also carries what it is of."""
    count = max(0, _number(data, at)[0])
    kind = data[at]
    if kind in _LISTS:
        return count
    return 2 * count + (1 if kind == ord("|") else 0)


def _skip(data: bytes, at: int) -> int:
    """Return where the attribute at ``at`` ends and the value it describes begins."""
    count, at = _number(data, at)
    for _ in range(2 * count):
        at = _value(data, at)[1]
    return at


def _value(data: bytes, at: int) -> tuple[Value, int]:
    """Read the value at ``at``; return it and where it ends."""
    kind = data[at : at + 1]
    if kind == b"|":
        return _value(data, _skip(data, at))
    if kind and kind in _LINES:
        line = data.find(b"\r\n", at)
        return _line(kind, data[at + 1 : line]), line + 2
    if kind and kind in _BULKS:
        size, at = _number(data, at)
        if size < 0:
            return None, at
        return _bulk(kind, data[at : at + size]), at + size + 2
    return _aggregate(data, at)


def _aggregate(data: bytes, at: int) -> tuple[Value, int]:
    count, end = _number(data, at)
    if count < 0:
        return None, end
    values: list[Value] = []
    for _ in range(_elements(data, at)):
        value, end = _value(data, end)
        values.append(value)
    return values, end


def _line(kind: bytes, text: bytes) -> Value:
    match kind:
        case b"-":
            return ReplyError(text.decode(errors="replace"))
        case b":" | b"(":
            return int(text)
        case b",":
            return float(text)
        case b"#":
            return text == b"t"
        case b"_":
            return None
        case _:
            return text


def _bulk(kind: bytes, raw: bytes) -> Value:
    if kind == b"!":
        return ReplyError(raw.decode(errors="replace"))
    return raw[4:] if kind == b"=" else raw
