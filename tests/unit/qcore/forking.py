"""Run a function in a child made by fork, and bring back what it says."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable

__all__ = ["in_child"]


def in_child(work: Callable[[], str]) -> str:
    """Fork, run ``work`` in the child, and give its text, or its traceback.

    The child ends without any clean-up of the test run that it was copied from. One that hangs
    is ended by its own alarm.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        try:
            said = work()
        except BaseException:  # noqa: BLE001  (nothing may escape into the copy of the test run)
            said = traceback.format_exc()
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said
