"""What an adapter promises, as far as a history can show whether it is kept."""

from __future__ import annotations

from enum import StrEnum

from attrs import field, frozen, validators

from .events import FaultKind

__all__ = ["Delivery", "Durability", "Guarantees", "Minimum", "Order"]


class Delivery(StrEnum):
    """How often a job is delivered when things go wrong."""

    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


class Durability(StrEnum):
    """What stored jobs survive; each value includes those before it."""

    NONE = "none"
    PROCESS = "process"
    POWER = "power"
    REPLICATED = "replicated"


class Order(StrEnum):
    """The order of first deliveries within a queue and a level of priority."""

    NONE = "none"
    FIFO_SINGLE = "fifo_single"
    """First in, first out, if there is one producer and one consumer."""
    FIFO = "fifo"
    FIFO_KEY = "fifo_key"
    """Within a key, a job is delivered when all earlier ones are settled."""


_SURVIVED = {
    Durability.NONE: frozenset[FaultKind](),
    Durability.PROCESS: frozenset({FaultKind.RESTART_SERVER, FaultKind.KILL_SERVER}),
    Durability.POWER: frozenset(
        {FaultKind.RESTART_SERVER, FaultKind.KILL_SERVER, FaultKind.POWER_LOSS}
    ),
    Durability.REPLICATED: frozenset(FaultKind),
}
_LOSES_STATE = frozenset(
    {
        FaultKind.RESTART_SERVER,
        FaultKind.KILL_SERVER,
        FaultKind.POWER_LOSS,
        FaultKind.FAILOVER,
    }
)


@frozen(kw_only=True)
class Minimum:
    """What has to have happened for a run to prove anything.

    Args:
        calls: Calls that returned.
        kills: Times that a worker was killed while it held a job.
        redeliveries: Jobs delivered once more.
        faults: Faults of any kind.
    """

    calls: int = 1
    kills: int = 0
    redeliveries: int = 0
    faults: int = 0


@frozen(kw_only=True)
class Guarantees:
    """The promises that a history is held to; what is not promised is not judged.

    Args:
        delivery: At least once or at most once.
        durability: Which faults of the server a stored job survives.
        order: The promised order.
        priority: Whether a more urgent job is delivered before others that are ready.
        delays: Whether no job is delivered before its delay is over.
        attempts: Whether delivery numbers and attempts are counted as the contract says.
        fenced: Whether a settle is refused once the job was delivered to somebody else.
        idempotent: Whether enqueuing an id again adds nothing.
        lease: Seconds of a lease that a reserve does not tell itself; None: no leases.
        late: Seconds after which a job that is ready is found by any reserve.
        recovery: Seconds after the end of a lease within which the job is ready again.
        slack: Seconds by which the clocks of broker and history may seem to differ.
        duplicates: How many explained duplicates there may be; None: any number.
        stats_error: By how much the numbers of the statistics may be off.
        minimum: What has to have happened for the run to count.
    """

    delivery: Delivery = Delivery.AT_LEAST_ONCE
    durability: Durability = Durability.PROCESS
    order: Order = Order.NONE
    priority: bool = False
    delays: bool = False
    attempts: bool = False
    fenced: bool = False
    idempotent: bool = False
    lease: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    late: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    recovery: float | None = field(default=None, validator=validators.optional(validators.gt(0)))
    slack: float = field(default=0.05, validator=validators.ge(0))
    duplicates: int | None = None
    stats_error: int = field(default=0, validator=validators.ge(0))
    minimum: Minimum = field(factory=Minimum)

    @property
    def at_least_once(self) -> bool:
        """Whether each job is delivered until it is settled."""
        return self.delivery is Delivery.AT_LEAST_ONCE

    @property
    def horizon(self) -> float:
        """Seconds after which every job that nobody settled is ready again."""
        return (self.lease or 0.0) + (self.recovery or 0.0)

    def may_forget(self, fault: FaultKind) -> bool:
        """Whether the broker may come back from a fault with an older state."""
        return fault in _LOSES_STATE - _SURVIVED[self.durability]
