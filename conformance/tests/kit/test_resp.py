"""RESP, cut into messages and read."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from qcore_conformance.resp import (
    ProtocolError,
    ReplyError,
    Splitter,
    Value,
    decode,
    encode,
    first_of,
)

SAMPLES: list[tuple[bytes, Value]] = [
    (b"+OK\r\n", b"OK"),
    (b"-WRONGTYPE no\r\n", ReplyError("WRONGTYPE no")),
    (b":-7\r\n", -7),
    (b"$3\r\na\r\n\r\n", b"a\r\n"),
    (b"$0\r\n\r\n", b""),
    (b"$-1\r\n", None),
    (b"*-1\r\n", None),
    (b"*0\r\n", []),
    (b"*2\r\n:1\r\n*1\r\n$1\r\na\r\n", [1, [b"a"]]),
    (b"_\r\n", None),
    (b"#t\r\n", True),
    (b"#f\r\n", False),
    (b",1.5\r\n", 1.5),
    (b"(12345678901234567890\r\n", 12345678901234567890),
    (b"!5\r\nERR x\r\n", ReplyError("ERR x")),
    (b"=7\r\ntxt:abc\r\n", b"abc"),
    (b"%1\r\n+k\r\n:1\r\n", [b"k", 1]),
    (b"~2\r\n:1\r\n:2\r\n", [1, 2]),
    (b">2\r\n+message\r\n+x\r\n", [b"message", b"x"]),
    (b"|1\r\n+ttl\r\n:3\r\n*1\r\n+a\r\n", [b"a"]),
    (b"*2\r\n|1\r\n+k\r\n*0\r\n:1\r\n:2\r\n", [1, 2]),
]

words = st.lists(st.binary(max_size=20), min_size=1, max_size=5)


@pytest.mark.parametrize(("raw", "value"), SAMPLES)
def test_each_kind_of_value_is_read(raw: bytes, value: Value) -> None:
    """Of RESP2 and of RESP3."""
    assert decode(raw) == value


@given(st.lists(st.sampled_from([raw for raw, _ in SAMPLES]), max_size=6), st.data())
def test_messages_are_found_however_the_bytes_arrive(
    whole: list[bytes], data: st.DataObject
) -> None:
    """Several at once, or one byte at a time."""
    stream = b"".join(whole)
    splitter = Splitter()
    found: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += splitter.feed(stream[:size])
        stream = stream[size:]
    assert found == whole
    assert splitter.rest == b""


@given(words)
def test_a_request_is_read_as_it_was_written(request: list[bytes]) -> None:
    """Whatever bytes its words are made of."""
    assert decode(encode(*request)) == request
    assert Splitter(inline=True).feed(encode(*request)) == [encode(*request)]


def test_numbers_and_text_are_written_as_words() -> None:
    """As the servers read them."""
    assert (
        encode("SET", "ü", 1, 2.5)
        == b"*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xbc\r\n$1\r\n1\r\n$3\r\n2.5\r\n"
    )


@pytest.mark.parametrize(("raw", "_"), SAMPLES)
def test_an_unfinished_message_is_not_there_yet(raw: bytes, _: Value) -> None:
    """Not even if one byte is missing."""
    for size in range(len(raw)):
        splitter = Splitter()
        assert splitter.feed(raw[:size]) == []
        assert splitter.rest == raw[:size]


def test_plain_lines_are_requests_too() -> None:
    """Where they are allowed."""
    splitter = Splitter(inline=True)
    assert splitter.feed(b"PING\r\nSET a") == [b"PING\r\n"]
    (line,) = splitter.feed(b" 1\n")
    assert decode(line) == [b"SET", b"a", b"1"]
    with pytest.raises(ProtocolError):
        Splitter().feed(b"PING\r\n")


@pytest.mark.parametrize("raw", [b"\x16\x03\x01\x02\x00\r\n", b"$abc\r\n", b"*x\r\n"])
def test_foreign_bytes_are_refused(raw: bytes) -> None:
    """A connection that speaks something else cannot be followed."""
    with pytest.raises(ProtocolError):
        Splitter().feed(raw)


@pytest.mark.parametrize("raw", [b"", b":1\r\n:2\r\n", b"$5\r\nab\r\n", b":x\r\n"])
def test_only_a_whole_single_message_has_a_value(raw: bytes) -> None:
    """Anything else is a mistake of the caller."""
    with pytest.raises(ValueError, match=r"."):
        decode(raw)


@pytest.mark.parametrize(
    ("raw", "first"),
    [
        (b">2\r\n+subscribe\r\n*-1\r\n", b"subscribe"),
        (b"|1\r\n+a\r\n+b\r\n*1\r\n:5\r\n", 5),
        (b"*0\r\n", None),
        (b":5\r\n", 5),
    ],
)
def test_the_first_element_is_read_alone(raw: bytes, first: Value) -> None:
    """A large reply is not read in full to learn what it is about."""
    assert first_of(raw) == first
