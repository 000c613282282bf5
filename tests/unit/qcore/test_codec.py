from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from qcore.codec import CODECS, decode_body, decode_envelope, encode_body, encode_envelope
from qcore.errors import Corrupt, InvalidInput
from qcore.job import Job

texts = st.text(st.characters(codec="utf-8"))
plain_values = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | texts
json_values = st.recursive(
    plain_values | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)
jobs = st.builds(
    Job,
    id=st.just("id"),
    queue=st.just("queue"),
    body=st.binary(),
    headers=st.dictionaries(texts, texts),
    enqueued_at=st.integers(0, 2**45).map(lambda millis: millis / 1000),
    codec=st.sampled_from(CODECS),
    priority=st.integers(-4, 4),
    extra=st.dictionaries(texts.map("x-".__add__), json_values),
)


def stored(header: object, body: bytes = b"body") -> bytes:
    """An envelope with a header made by hand."""
    return b"1" + json.dumps(header).encode() + b"\n" + body


@given(jobs)
def test_a_job_comes_back_from_its_envelope(job: Job) -> None:
    """Body, headers, time, codec, priority, and fields of a newer writer."""
    assert decode_envelope("id", "queue", encode_envelope(job)) == job


def test_the_stored_form_is_as_documented() -> None:
    """Other languages and the scripts of operators may rely on it."""
    job = Job("id", "queue", b'{"a":1}\n', {"k": "v"}, 1767225600.0, "json", 2)
    envelope = encode_envelope(job)

    assert envelope == b'1{"t":1767225600000,"h":{"k":"v"},"c":"json","p":2}\n{"a":1}\n'
    assert encode_envelope(Job("id", "queue", b"")) == b'1{"t":0}\n'


def test_fields_of_a_newer_writer_are_kept_and_written_again() -> None:
    """An old program that moves a job loses nothing."""
    envelope = stored({"t": 5, "next": {"deep": [1]}})
    job = decode_envelope("id", "queue", envelope)

    assert job.extra == {"next": {"deep": [1]}}
    assert decode_envelope("id", "queue", encode_envelope(job)) == job


@pytest.mark.parametrize(
    "envelope",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"1", id="version alone"),
        pytest.param(b"1{}", id="no body"),
        pytest.param(b"1\n", id="no header"),
        pytest.param(b'2{"t":1}\nbody', id="newer version"),
        pytest.param(b"{}\nbody", id="no version"),
        pytest.param(b"1null\nbody", id="header null"),
        pytest.param(b"1[]\nbody", id="header list"),
        pytest.param(b'1{"t":1\nbody', id="header cut"),
        pytest.param(b'1{"t":1} {}\nbody', id="two headers"),
        pytest.param(b'1{"a":"\xff"}\nbody', id="header not UTF-8"),
        pytest.param(b'1{"a":"\xed\xa0\x80"}\nbody', id="raw surrogate"),
        pytest.param(b'1{"a":"\\ud800"}\nbody', id="lone surrogate"),
        pytest.param(b'1{"t":' + b"[" * 100_000 + b"\nbody", id="header too deep"),
        pytest.param(stored({"t": "1"}), id="time as text"),
        pytest.param(stored({"t": True}), id="time as bool"),
        pytest.param(stored({"t": None}), id="time null"),
        pytest.param(stored({"t": 10**400}), id="time beyond floats"),
        pytest.param(stored({"h": []}), id="headers list"),
        pytest.param(stored({"h": None}), id="headers null"),
        pytest.param(stored({"h": {"a": 1}}), id="header a number"),
        pytest.param(stored({"c": 1}), id="codec a number"),
        pytest.param(stored({"p": "1"}), id="priority as text"),
        pytest.param(stored({"p": 1.5}), id="priority a fraction"),
        pytest.param(stored({"p": False}), id="priority as bool"),
    ],
)
def test_bytes_that_are_no_envelope_are_corrupt(envelope: bytes) -> None:
    """The error names job and queue, and is never one that reserve does not know."""
    with pytest.raises(Corrupt, match="job j1 of queue mail"):
        decode_envelope("j1", "mail", envelope)


@given(st.binary() | st.binary().map(b"1{".__add__) | st.binary().map(b'1{"t":1,"h":{"'.__add__))
def test_any_bytes_are_read_or_corrupt(envelope: bytes) -> None:
    """Whatever somebody wrote into the broker."""
    try:
        job = decode_envelope("id", "queue", envelope)
    except Corrupt:
        return
    assert decode_envelope("id", "queue", encode_envelope(job)) == job


@pytest.mark.parametrize("body", [b"\x00\xff", bytearray(b"\x00\xff"), memoryview(b"\x00\xff")])
def test_bytes_pass_as_they_are(body: Any) -> None:
    """The default codec copies, so that a caller may go on with its buffer."""
    encoded = encode_body("bytes", body)
    assert encoded == b"\x00\xff"
    assert type(encoded) is bytes
    assert decode_body("bytes", encoded) == b"\x00\xff"


@given(json_values)
def test_values_come_back_from_json(value: Any) -> None:
    """What JSON can hold."""
    assert decode_body("json", encode_body("json", value)) == value


@given(json_values | st.binary() | st.dictionaries(st.integers(0, 9), st.binary()))
def test_values_come_back_from_msgpack(value: Any) -> None:
    """What MessagePack can hold, bytes and keys of other types included."""
    assert decode_body("msgpack", encode_body("msgpack", value)) == value


def endless_list() -> list[Any]:
    """A list that contains itself."""
    endless: list[Any] = []
    endless.append(endless)
    return endless


UNWRITABLE: dict[str, tuple[str, object]] = {
    "text as bytes": ("bytes", "text"),
    "nothing as bytes": ("bytes", None),
    "number as bytes": ("bytes", 1),
    "object": ("json", object()),
    "tuple as key": ("json", {(1, 2): 3}),
    "surrogate": ("json", "\ud800"),
    "surrogate as key": ("json", {"\ud800": 1}),
    "endless": ("json", endless_list()),
    "thousands of digits": ("json", 10**5000),
    "object in msgpack": ("msgpack", object()),
    "surrogate in msgpack": ("msgpack", "\ud800"),
    "beyond 64 bits": ("msgpack", 1 << 70),
    "endless in msgpack": ("msgpack", endless_list()),
}


@pytest.mark.parametrize(("codec", "value"), UNWRITABLE.values(), ids=UNWRITABLE)
def test_values_that_a_codec_cannot_write_are_refused(codec: str, value: object) -> None:
    """Before anything is sent, with the codec's name."""
    with pytest.raises(InvalidInput, match="codec" if codec == "bytes" else codec):
        encode_body(codec, value)


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        ("pickle", b"anything"),
        ("", b"anything"),
        ("json", b""),
        ("json", b"{"),
        ("json", b'"\xff"'),
        pytest.param("json", b"[" * 100_000, id="deep json"),
        ("json", b"1e999"),
        ("msgpack", b""),
        ("msgpack", b"\xc1"),
        ("msgpack", b"\xa1\xff"),
        pytest.param("msgpack", b"\x91" * 100_000, id="deep msgpack"),
    ],
)
def test_bodies_that_are_not_what_the_codec_writes_are_corrupt(codec: str, body: bytes) -> None:
    """A codec that a newer writer brought is named as well."""
    with pytest.raises(Corrupt, match="codec" if codec not in CODECS else codec):
        decode_body(codec, body)


@given(st.sampled_from(CODECS), st.binary())
def test_any_body_is_read_or_corrupt(codec: str, body: bytes) -> None:
    """No bytes lead to an error outside the tree."""
    try:
        decode_body(codec, body)
    except Corrupt:
        return


def test_a_timestamp_beyond_the_calendar_is_corrupt() -> None:
    """MessagePack can write moments that Python has no datetime for."""
    body = msgspec.msgpack.encode(msgspec.msgpack.Ext(-1, b"\x00" * 4 + b"\x7f" + b"\xff" * 7))
    with pytest.raises(Corrupt, match="msgpack"):
        decode_body("msgpack", body)
