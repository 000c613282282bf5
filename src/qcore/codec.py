r"""The stored form of a job, and the codecs of its body.

The envelope is made here and opaque to every adapter: one version byte, a JSON header on one
line, a newline, then the body as raw bytes::

    1{"t":1767225600000,"h":{"k":"v"},"c":"json"}\n{"any":"bytes"}

Header fields: ``t`` producer's time in unix milliseconds, ``h`` headers, ``c`` codec, ``p``
priority, ``r`` whether a record is kept. Absent means empty, ``bytes``, 0 and no. Fields that this
version does not know are kept in ``Job.extra`` and written again by ``encode_envelope``. A job's
mutable state (attempts, crashes, deliveries) is never in here.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from qcore.errors import Corrupt, InvalidInput
from qcore.job import Job

__all__ = ["CODECS", "decode_body", "decode_envelope", "encode_body", "encode_envelope"]

CODECS: tuple[str, ...] = ("bytes", "json", "msgpack")
"""The names that a queue accepts as ``codec``."""

_VERSION = b"1"
_END_OF_TIME = 1 << 60
"""Milliseconds since the epoch that no clock will show."""
_json_encoder = msgspec.json.Encoder()
_json_decoder = msgspec.json.Decoder(dict[str, Any])


def encode_envelope(job: Job) -> bytes:
    """Write a job as it is stored; id and queue are the adapter's business."""
    header: dict[str, Any] = {"t": round(job.enqueued_at * 1000)}
    if job.headers:
        header["h"] = dict(job.headers)
    if job.codec != "bytes":
        header["c"] = job.codec
    if job.priority:
        header["p"] = job.priority
    if job.tracked:
        header["r"] = True
    if job.extra:
        header = {**job.extra, **header}
    return b"%b%b\n%b" % (_VERSION, _json_encoder.encode(header), job.body)


def decode_envelope(job_id: str, queue: str, stored: bytes) -> Job:
    """Read a stored job.

    Raises:
        Corrupt: If the bytes are no envelope of a version that this library reads.
    """
    header, body = _split(job_id, queue, stored)
    headers, at = header.pop("h", {}), header.pop("t", 0)
    codec, priority = header.pop("c", "bytes"), header.pop("p", 0)
    tracked = header.pop("r", False)
    well_formed = (
        _is_text_by_text(headers)
        and isinstance(codec, str)
        and type(priority) is int
        and type(tracked) is bool
        and type(at) in (int, float)
        and abs(at) < _END_OF_TIME
    )
    if not well_formed:
        raise Corrupt(f"job {job_id} of queue {queue}: a field of its header has the wrong type")
    return Job(job_id, queue, body, headers, at / 1000, codec, priority, tracked, header)


def _is_text_by_text(value: object) -> bool:
    if not isinstance(value, dict):
        return False
    values = cast("dict[str, object]", value).values()
    return all(isinstance(item, str) for item in values)


def _split(job_id: str, queue: str, stored: bytes) -> tuple[dict[str, Any], bytes]:
    where = f"job {job_id} of queue {queue}"
    if stored[:1] != _VERSION:
        raise Corrupt(f"{where}: unknown envelope version {stored[:1]!r}; upgrade this program")
    line, newline, body = stored[1:].partition(b"\n")
    if not newline:
        raise Corrupt(f"{where}: the envelope has no body")
    try:
        return _json_decoder.decode(line), body
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"{where}: the header is not JSON ({error})") from error


def encode_body(codec: str, value: object) -> bytes:
    """Turn a value into the bytes of a body.

    Args:
        codec: One of ``CODECS``.
        value: Bytes for ``bytes``; anything that msgspec can write for the others.

    Raises:
        InvalidInput: If the codec cannot write the value.
    """
    if codec == "bytes":
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(cast("bytes | bytearray | memoryview", value))
        raise InvalidInput(
            f"a body must be bytes, not {type(value).__name__}; "
            "give the queue a codec ('json' or 'msgpack') to enqueue other values"
        )
    encode = _json_encoder.encode if codec == "json" else msgspec.msgpack.encode
    try:
        return encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidInput(f"the value cannot be written as {codec}: {error}") from error


def decode_body(codec: str, body: bytes) -> Any:
    """Turn the bytes of a body back into a value.

    Raises:
        Corrupt: If the codec is unknown or the bytes are not what it writes.
    """
    if codec == "bytes":
        return body
    if codec not in CODECS:
        raise Corrupt(f"the body was written by an unknown codec {codec!r}; upgrade this program")
    decode = msgspec.json.decode if codec == "json" else msgspec.msgpack.decode
    try:
        return decode(body)
    except (ValueError, OverflowError, RecursionError) as error:
        raise Corrupt(f"the body is not {codec}: {error}") from error
