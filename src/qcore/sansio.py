"""Operations written once and run in both colours.

A program is a generator. It yields steps (values that say what to do), is sent each step's reply,
and returns its result; an error of a step is thrown into it at the ``yield``. A timeout is an
error like any other. Programs neither do I/O nor log, and do not yield while closing. ``run`` and
``arun`` are the only two functions that know whether performing a step is awaited.

A step that is a program by itself (``Command``) keeps its type: ``reply = yield from command``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

__all__ = ["Program", "arun", "run"]

S = TypeVar("S")
T = TypeVar("T")

Program = Generator[S, Any, T]
"""A generator that yields steps of type ``S`` and returns a ``T``."""


def run(program: Program[S, T], perform: Callable[[S], Any]) -> T:
    """Run a program to its end, performing each step with a plain call."""
    try:
        step = next(program)
        while True:
            try:
                reply = perform(step)
            except BaseException as error:  # noqa: BLE001  (the program decides about it)
                step = program.throw(error)
            else:
                step = program.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        program.close()


async def arun(program: Program[S, T], perform: Callable[[S], Awaitable[Any]]) -> T:
    """Run a program to its end, performing each step with an awaited call."""
    try:
        step = next(program)
        while True:
            try:
                reply = await perform(step)
            except BaseException as error:  # noqa: BLE001  (the program decides about it)
                step = program.throw(error)
            else:
                step = program.send(reply)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        program.close()
