"""What a delivery knows and decides, whatever the colour of the code that holds it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qcore.backend import Settle, Taken, TakenJob, Verb
from qcore.capabilities import Capabilities
from qcore.codec import decode_body, decode_envelope
from qcore.consume.drafts import Drafter
from qcore.consume.effects import Effects
from qcore.errors import Corrupt, InvalidInput, LeaseLost, NotTracked
from qcore.job import EMPTY, Job, Receipt
from qcore.options import body_size, note_text, report_text
from qcore.policy import Abandon, RetryPolicy
from qcore.record import encode_result

__all__ = ["GOES_ON", "BaseDelivery", "intake"]

GOES_ON = (Verb.EXTEND, Verb.START, Verb.REPORT)
"""The verbs behind which a delivery is still in hand."""


def intake(
    queue: str, taken: Taken, policy: RetryPolicy
) -> tuple[list[tuple[Job, TakenJob]], list[Settle]]:
    """Sort what was taken.

    Returns:
        The jobs fit to be handed out, and steps that set the others aside: those that cannot be
        read, and those that have no attempt left after a crash.
    """
    jobs: list[tuple[Job, TakenJob]] = []
    unfit: list[Settle] = []
    most = policy.max_attempts
    for one in taken.jobs:
        if most is not None and one.attempt > most:
            reason = f"all of its {most} attempts failed, or its worker died"
            unfit.append(Settle(one.token, Verb.DEAD_LETTER, note=reason))
            continue
        try:
            jobs.append((decode_envelope(one.id, queue, one.envelope), one))
        except Corrupt as error:
            note = note_text("reason", str(error))
            unfit.append(Settle(one.token, Verb.DEAD_LETTER, note=note))
    return jobs, unfit


def _described(error: Exception) -> str:
    """An error as a note; also one that cannot say what it is."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001  (the job must be settled whatever went wrong in it)
        said = "(no message)"
    return note_text("error", f"{type(error).__name__}: {said}")


class BaseDelivery:
    """A job in somebody's hands.

    Attributes:
        job: The job as it was enqueued.
        number: The delivery number: grows at every take, never reset.
        attempt: How often the job was tried and failed, plus one.
        crashes: How often its worker died.
        receipt: Proof of this very delivery.
        lease: Seconds that the lease was taken or last extended for.
        until: When it runs out, in seconds of the monotonic clock.
        ahead: Whether it was taken ahead of work on it, so that the broker is told of the start.
        effects: What its ack does beside ending it; see ``then``, ``tell`` and ``set_result``.
        alone: Whether nothing else should be worked on beside it: it may have killed a worker.
    """

    def __init__(
        self,
        job: Job,
        taken: TakenJob,
        *,
        lease: float,
        asked_at: float,
        ahead: bool,
        capabilities: Capabilities,
        monotonic: Callable[[], float],
        drafter: Callable[[str, str], Drafter],
    ) -> None:
        self.job = job
        self.number = taken.number
        self.attempt = taken.attempt
        self.crashes = taken.crashes
        self.alone = taken.alone
        self.receipt = Receipt(job.queue, taken.token)
        self.lease = lease
        self.until = asked_at + lease
        self.ahead = ahead
        self._capabilities = capabilities
        self._monotonic = monotonic
        self._refused = False
        self._settled = False
        self._pid = os.getpid()
        self.effects = Effects(job.codec, capabilities, drafter)

    def __repr__(self) -> str:
        """The delivery without its body."""
        return f"<{type(self).__name__} {self.job.queue}/{self.job.id} attempt {self.attempt}>"

    @property
    def value(self) -> Any:
        """The body, decoded as the codec of its job says.

        Raises:
            Corrupt: If the body is not what its codec writes.
        """
        return decode_body(self.job.codec, self.job.body)

    @property
    def lost(self) -> bool:
        """Whether somebody else may hold the job now: refused by the broker, or out of time."""
        if self._refused:
            return True
        return "lease" in self._capabilities and self._monotonic() >= self.until

    @property
    def can_be_kept(self) -> bool:
        """Whether there is a lease that can be extended."""
        return "extend" in self._capabilities

    @property
    def settled(self) -> bool:
        """Whether this program has ended the delivery."""
        return self._settled

    def set_result(self, value: object) -> None:
        """Give the result of the work; the ack puts it into the record of the job.

        Args:
            value: Whatever the codec of the job's body can write.

        Raises:
            NotTracked: If no record is kept of the job.
            InvalidInput: If the codec cannot write the value.
            LimitExceeded: If it is larger than a body may be.
        """
        self._check_tracked()
        stored = encode_result(self.job.codec, value)
        self.effects.result = body_size(stored, self._capabilities.limits)

    def then(self, queue: str, *jobs: object) -> None:
        """Let the ack of this job enqueue further jobs, in the same step: all of them or none.

        May be called several times before the ack. Nothing is enqueued if the lease was lost, or
        the job ends in another way. To other queues the jobs are brought a moment later, by this
        program or, if it dies, by whoever takes from this queue next; each is there once.

        Args:
            queue: The queue that gets them.
            jobs: ``NewJob`` values, or bodies without options, in the codec of this job's body.

        Raises:
            InvalidInput: If an argument is wrong, or this program has ended the delivery.
            LimitExceeded: If they are too many for one ack.
            UnsupportedCapability: If the adapter does not offer it.
        """
        self._check_open("then")
        self.effects.then(queue, jobs)

    def tell(self, topic: str, body: object, headers: Mapping[str, str] = EMPTY) -> None:
        """Let the ack of this job tell whoever listens to a topic, in the same step.

        Whoever listens at that moment hears it once, whoever does not never will. A topic is a
        queue of an adapter that keeps nothing, in the same place and namespace: with
        ``redis+list://…`` that of ``redis+pubsub://…``, with ``memory://…`` that of
        ``memory+pubsub://…``. May be called several times before the ack; nothing is told if the
        lease was lost, or the job ends in another way.

        Args:
            topic: The name of the queue where it is heard.
            body: Bytes or a value, in the codec of this job's body.
            headers: Text by text.

        Raises:
            InvalidInput: If an argument is wrong, or this program has ended the delivery.
            LimitExceeded: If there is too much to tell.
            UnsupportedCapability: If the adapter does not offer it.
        """
        self._check_open("tell")
        self.effects.tell(topic, body, headers)

    def _check_open(self, capability: str) -> None:
        """Refuse what the ack should do if that is over."""
        self._capabilities.need(capability)
        if self._settled:
            raise InvalidInput(f"{self!r} has ended; say what its ack shall do before that")

    def _check_tracked(self) -> None:
        if not self.job.tracked:
            raise NotTracked(
                f"no record is kept of {self!r}: enqueue it with keep=Keep(), or from a queue that "
                "has it"
            )

    def lose(self) -> None:
        """Note that the broker gave the job to somebody else."""
        self._refused = True

    def renewed(self, lease: float, asked_at: float) -> None:
        """Note that the lease was extended for ``lease`` seconds from ``asked_at``."""
        self.lease = lease
        self.until = asked_at + lease

    @property
    def _explicit(self) -> bool:
        return self._capabilities.value("settlement") == "explicit"

    def _step(self, verb: Verb, millis: int = 0, note: str = "") -> Settle | None:
        """The step to send, or ``None`` where taking the job has ended it already.

        Raises:
            UnsupportedCapability: If the adapter never does this.
            LeaseLost: If this process only inherited the delivery from its parent.
        """
        if verb is Verb.ACK and not self._explicit:
            return None
        if verb is not Verb.ACK:
            self._capabilities.need("records" if verb is Verb.REPORT else verb.value)
        self.check_own()
        if verb is not Verb.ACK:
            return Settle(self.receipt.token, verb, millis, note)
        return self.effects.of_ack(self.receipt.token)

    def _report(self, progress: object, meta: object) -> str:
        """What to put into the record.

        Raises:
            NotTracked: If no record is kept of the job.
            InvalidInput: If an argument is wrong.
        """
        self._check_tracked()
        return report_text(progress, meta, self._capabilities.limits)

    def check_own(self) -> None:
        """Refuse what only the process that reserved the job may do.

        Raises:
            LeaseLost: If this process inherited the delivery from its parent.
        """
        if self._pid != os.getpid():
            raise LeaseLost(f"{self!r} belongs to the parent process; reserve in the child")

    def noted(self, verb: Verb, *, held: bool) -> None:
        """Remember what the broker said of a step."""
        if not held:
            self._refused = True
        elif verb not in GOES_ON:
            self._settled = True

    def _note_outcome(self, verb: Verb, held: Sequence[bool]) -> None:
        """Remember what the broker said of a step.

        Raises:
            LeaseLost: If the delivery was no longer held.
        """
        self.noted(verb, held=held[0])
        if not held[0]:
            raise LeaseLost(
                f"could not {verb.value} {self!r}: it was settled before, or its lease ran out "
                "and somebody else may hold it; extend the lease while working"
            )

    def _verdict(self, error: BaseException | None, policy: RetryPolicy) -> tuple[Verb, int, str]:
        """How a ``with`` block ends this delivery: the verb, its delay in ms and the note."""
        if error is None:
            return Verb.ACK, 0, ""
        if not isinstance(error, Exception):
            return Verb.RELEASE, 0, ""
        note = _described(error)
        decision = policy.after_failure(self.attempt)
        if isinstance(decision, Abandon):
            return Verb.DEAD_LETTER, 0, note_text("reason", f"{decision.reason}: {note}")
        return Verb.RETRY, round(decision.delay * 1000), note
