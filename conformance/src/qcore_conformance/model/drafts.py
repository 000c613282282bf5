"""Jobs that are made up: what is drawn, and what becomes of it where an adapter has less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import hypothesis.strategies as st

import qcore
from qcore_conformance.bed import Bed

__all__ = ["JOBS", "SOON", "WAITS", "Draft", "Drafting", "JobPlan", "Traits"]

SOON = 0.05
"""Seconds of a delay that is waited for."""
FAR = 600.0
"""Seconds of a lease or a delay that does not end during a sequence."""
WAITS = st.sampled_from((0.0, 0.0, SOON, FAR))

_GATES = (qcore.Gate("one", concurrency=1), qcore.Gate("two", concurrency=2))
_KEEPS = (qcore.Keep(), qcore.Keep(done=0, dropped=0))


@attrs.frozen
class Traits:
    """What a job has beside its place and its name.

    Attributes:
        tenant: On whose behalf.
        gate: How many of its kind may be in hand.
        keep: How long its record stays behind an end.
    """

    tenant: str | None = None
    gate: qcore.Gate | None = None
    keep: qcore.Keep | None = None


_PLAIN = Traits()
_TRAITS = (
    _PLAIN,
    _PLAIN,
    Traits(keep=_KEEPS[0]),
    Traits(keep=_KEEPS[1]),
    Traits(tenant="a"),
    Traits(tenant="b"),
    Traits("b", keep=_KEEPS[0]),
    Traits("a", gate=_GATES[1]),
    Traits(gate=_GATES[0]),
    Traits(gate=_GATES[1], keep=_KEEPS[0]),
)

JobPlan = tuple[int, float, str, int, Traits]
"""Priority, delay, how it is named, a choice among names, and what else it has."""

_levels = st.sampled_from((0, 0, 0, 1, -1, 4, -4))
_namings = st.sampled_from(("none", "none", "id", "known id", "key", "join"))
JOBS = st.tuples(_levels, WAITS, _namings, st.integers(0, 7), st.sampled_from(_TRAITS))


@attrs.frozen
class Draft:
    """A job that is to be enqueued."""

    body: bytes
    priority: int = 0
    delay: float = 0.0
    id: str | None = None
    dedup: str | None = None
    join: qcore.Join | None = None
    tenant: str = ""
    gate: qcore.Gate | None = None
    keep: qcore.Keep | None = None

    def __str__(self) -> str:
        """All that is not as always."""
        said = {
            "priority": self.priority,
            "delay": self.delay,
            "id": self.id,
            "key": self.dedup,
            "member": self.join and f"{self.join.member} of {self.join.of}",
            "tenant": self.tenant,
            "gate": self.gate and self.gate.key,
            "keep": self.keep and f"{self.keep.done} s",
        }
        words = ", ".join(f"{name} {value}" for name, value in said.items() if value)
        return f"job {self.body.decode()}" + (f" ({words})" if words else "")

    @property
    def job(self) -> qcore.NewJob:
        """What is asked of the adapter."""
        return qcore.NewJob(
            self.body,
            id=self.id,
            dedup=self.dedup,
            delay=self.delay,
            priority=self.priority,
            tenant=self.tenant or None,
            gate=self.gate,
            keep=self.keep,
            join=self.join,
        )


@attrs.frozen
class Drafting:
    """Brings down what was drawn to what there is.

    Args:
        bed: The test bed.
        numbers: A new number for each job.
    """

    bed: Bed
    numbers: Iterator[int]

    def draft(self, plan: JobPlan, known: Sequence[str], *, plain: bool, named: bool) -> Draft:
        """A job, as far as the adapter has such jobs.

        Args:
            plan: What was drawn.
            known: Names that the queue knows.
            plain: Whether it may have neither a tenant nor a gate.
            named: Whether it has an id of the caller's in any case.
        """
        priority, delay, naming, choice, traits = plan
        number, claims = next(self.numbers), self.bed.claims
        made = Draft(
            b"%d" % number,
            priority if claims("priority") else 0,
            delay if claims("delay") else 0.0,
            tenant=traits.tenant or "" if claims("fair") and not plain else "",
            gate=traits.gate if claims("concurrency") and not plain else None,
            keep=traits.keep if claims("records") else None,
        )
        if naming == "join" and claims("join"):
            join = qcore.Join(2 + choice % 2, f"m{number % 3}")
            return attrs.evolve(made, id=f"join{choice % 2}", join=join)
        if claims("idempotent_id") and (named or naming in ("id", "known id")):
            again = naming == "known id" and known
            return attrs.evolve(made, id=known[choice % len(known)] if again else f"j{number}")
        if claims("dedup") and naming == "key":
            return attrs.evolve(made, dedup=f"d{choice % 3}")
        return made
