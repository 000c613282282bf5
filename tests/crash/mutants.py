"""Adapters that are broken on purpose, to see that the scenarios which guard against it notice.

Each breaks the adapter in the process that it is called in, and nowhere else.
"""

from __future__ import annotations

import unittest.mock
from collections.abc import Callable, Mapping
from typing import Any

from qcore.backend import Flush, Taken, TakeRequest
from qcore.sansio import Program
from qcore_redis import scripts
from qcore_redis.programs import StoredPrograms, Words
from tests.crash.workers import Part

__all__ = ["MUTANTS", "broken"]


def _rewrite(path: str, old: str, new: str) -> None:
    """Let a script say something else."""
    read: Callable[[str], str] = vars(scripts)["_read"]  # all scripts pass through it

    def changed(name: str) -> str:
        text = read(name)
        if name != path:
            return text
        assert text.count(old) == 1, f"{path} no longer says {old!r}"
        return text.replace(old, new)

    unittest.mock.patch.object(scripts, "_read", changed).start()


def pop_then_record() -> None:
    """Take a job off its list, and write down who has it in a second step."""
    take = StoredPrograms.take

    def popping(
        self: StoredPrograms, queue: str, request: TakeRequest, flush: Flush
    ) -> Program[Words, Taken]:
        line = f"{self.keys(queue).tag}:ready:0"
        element: Any = yield ("RPOP", line)
        if element is not None:
            yield ("RPUSH", line, element)
        return (yield from take(self, queue, request, flush))

    unittest.mock.patch.object(StoredPrograms, "take", popping).start()


def unfenced() -> None:
    """Let anybody settle a delivery who once had it."""
    _rewrite(
        "settle.lua",
        "if not job or ends <= now or given_back[token] then",
        "if not job or given_back[token] then",
    )


def group_at_the_end() -> None:
    """Let the group begin with whatever comes after it was made."""
    _rewrite(
        "lib/stream_store.lua",
        "redis.call('XGROUP', 'CREATE', key.new[level], GROUP, last)",
        "redis.call('XGROUP', 'CREATE', key.new[level], GROUP, '$')",
    )


MUTANTS: Mapping[str, Callable[[], None]] = {
    "pop-then-record": pop_then_record,
    "unfenced": unfenced,
    "group-at-the-end": group_at_the_end,
}


def broken(part: Part, mutant: str, act: Callable[[Part], None]) -> None:
    """Play an act with a broken adapter; an unknown name breaks nothing."""
    MUTANTS.get(mutant, lambda: None)()
    act(part)
