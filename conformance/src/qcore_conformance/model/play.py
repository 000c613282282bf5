"""Runs a machine, counts its steps, and tells the shortest sequence that failed.

Hypothesis makes up the sequences and shortens one that fails. Since broken adapters may be slow,
the shortening ends after a while; what is told is the shortest failing sequence seen until then,
with every answer.
"""

from __future__ import annotations

import functools
import time
import uuid
from collections.abc import Callable
from concurrent.futures import wait
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar, cast

import hypothesis
from hypothesis import Phase
from hypothesis.errors import UnsatisfiedAssumption
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from hypothesis.strategies import SearchStrategy

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.generated import settings_of
from qcore_conformance.waiting import scaled

from .ledger import check

__all__ = ["Machine", "play", "step"]

P = ParamSpec("P")
M = TypeVar("M", bound="Machine")

_rule = cast("Callable[..., Callable[..., Any]]", rule)
_STEPS = 40
_PHASES = (Phase.generate, Phase.shrink)
"""Not the one that explains, which traces every line and whose words nobody sees."""


class Game:
    """What is known over all sequences of one run.

    Args:
        bed: The test bed.
        shortening: Seconds after the first failure in which a shorter one is looked for.
    """

    def __init__(self, bed: Bed, shortening: float) -> None:
        self.bed = bed
        self._shortening = scaled(shortening)
        self.name = f"m{uuid.uuid4().hex[:8]}"
        self.sequences = 0
        self.calls = 0
        self.shortest: list[str] | None = None
        self.error: Exception | None = None
        self._enough: float | None = None

    def failed(self, told: list[str], error: Exception) -> None:
        """Note a sequence that failed."""
        if self._enough is None:
            self._enough = time.monotonic() + self._shortening
        if self.shortest is None or len(told) <= len(self.shortest):
            self.shortest, self.error = list(told), error

    @property
    def over(self) -> bool:
        """Whether enough time was spent on a failure."""
        return self._enough is not None and time.monotonic() > self._enough


class Machine(RuleBasedStateMachine):
    """What machines have in common: a game, and a record of what was done in this sequence."""

    game: ClassVar[Game]

    def __init__(self) -> None:
        super().__init__()
        self.bed = self.game.bed
        self.number = self.game.sequences
        self.game.sequences += 1
        self.told: list[str] = []
        self.broken = False
        self.guarded(self.begin)

    def begin(self) -> None:
        """Open what the sequence needs."""

    def look(self) -> None:
        """See after each step whether all is as it should be."""

    def end(self) -> None:
        """See after the last step that nothing is missing."""

    def leave(self) -> None:
        """Close what was opened."""

    def tell(self, *words: object) -> None:
        """Write down what is done."""
        self.game.calls += 1
        self.told.append(" ".join(map(str, words)))

    def answer(self, answer: object) -> None:
        """Write down what came of it."""
        self.told[-1] += f" -> {answer}"

    def next_of(self, consumer: qcore.Consumer) -> qcore.Delivery:
        """What must come out of a consumer, though it would wait for it for ever."""
        coming = self.bed.start(lambda: next(consumer))
        wait([coming], scaled(10.0))
        check(coming.done(), "nothing came out of a consumer, though there are jobs")
        return coming.result()

    def guarded(self, act: Callable[[], None]) -> None:
        """Do something, and keep the record if it fails."""
        if self.game.over:
            hypothesis.reject()
        try:
            act()
        except UnsatisfiedAssumption:
            raise
        except Exception as error:
            self.broken = True
            self.game.failed(self.told, error)
            raise

    def teardown(self) -> None:
        """End the sequence."""
        try:
            if not self.broken and not self.game.over:
                self.guarded(self.end)
        finally:
            self.leave()


def step(
    **drawn: SearchStrategy[Any],
) -> Callable[[Callable[Concatenate[M, P], None]], Callable[Concatenate[M, P], None]]:
    """Make a rule of a method; what it is given is drawn from these."""

    def decorate(act: Callable[Concatenate[M, P], None]) -> Callable[Concatenate[M, P], None]:
        @functools.wraps(act)
        def run(self: M, /, *args: P.args, **kwargs: P.kwargs) -> None:
            def both() -> None:
                act(self, *args, **kwargs)
                self.look()

            self.guarded(both)

        made: Callable[Concatenate[M, P], None] = _rule(**drawn)(run)
        return made

    return decorate


def play(bed: Bed, machine: type[Machine], sequences: int, *, shortening: float = 15.0) -> None:
    """Play so many sequences.

    Args:
        bed: The test bed.
        machine: What makes them up.
        sequences: How many.
        shortening: Seconds after the first failure in which a shorter one is looked for.

    Raises:
        AssertionError: If one fails; tells the shortest that was found.
    """
    seed, game = bed.seed, Game(bed, shortening)
    bed.figure("seed", seed, "")
    made = type(machine.__name__, (machine,), {"game": game})
    try:
        run_state_machine_as_test(
            hypothesis.seed(seed)(made),
            settings=hypothesis.settings(
                settings_of(sequences, _STEPS),
                verbosity=hypothesis.Verbosity.quiet,
                phases=_PHASES,
            ),
        )
    except BaseException:
        if game.shortest is None or game.error is None:
            raise
        raise AssertionError(_story(game.shortest, game.error, seed)) from game.error
    finally:
        bed.figure("sequences", game.sequences, "")
        bed.figure("calls", game.calls, "")


def _story(told: list[str], error: Exception, seed: int) -> str:
    lines = [f"{type(error).__name__}: {error}", f"after (--qcore-seed={seed} makes it again):"]
    return "\n".join([*lines, *(f"  {number}. {line}" for number, line in enumerate(told, 1))])
