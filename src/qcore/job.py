"""Jobs and receipts: the values that travel through every layer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

import attrs

__all__ = ["EMPTY", "Job", "JobId", "Receipt"]

EMPTY: Mapping[str, Any] = MappingProxyType({})
"""The default of parameters; a value keeps a mapping of its own, which can be pickled."""


@attrs.frozen
class Job:
    """One unit of work as it was enqueued.

    Attributes:
        id: 32 hexadecimal digits, or the id that the caller chose.
        queue: The queue that it was enqueued to.
        body: The bytes of the caller.
        headers: Text by text, as the caller gave them.
        enqueued_at: The producer's clock at the call, in seconds since the Unix epoch.
        codec: How the body was encoded: ``bytes``, ``json`` or ``msgpack``.
        priority: -4 … 4, larger is more urgent.
        tracked: Whether a record of it is kept.
        extra: Fields of a newer writer that this version does not know.
    """

    id: str
    queue: str
    body: bytes
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    enqueued_at: float = 0.0
    codec: str = "bytes"
    priority: int = 0
    tracked: bool = False
    extra: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


class JobId(str):
    """The id of an enqueued job, which also says what the enqueue did.

    Attributes:
        created: ``False`` if the id or the dedup key was known and nothing was stored.
        receivers: How many subscribers heard it at once; ``None`` where the queue stores.
    """

    __slots__ = ("created", "receivers")
    created: bool
    receivers: int | None

    def __new__(cls, value: str, *, created: bool = True, receivers: int | None = None) -> Self:
        """Make an id that carries the outcome of its enqueue."""
        self = super().__new__(cls, value)
        self.created = created
        self.receivers = receivers
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        """Keep the outcome when pickled or copied."""
        return (str(self),), {"created": self.created, "receivers": self.receivers}


@attrs.frozen
class Receipt:
    """Proof of one delivery of one job; every settle needs it.

    Attributes:
        queue: The queue that handed it out.
        token: Opaque text of the adapter: the job, the delivery number and the owner's nonce.
    """

    queue: str
    token: str
