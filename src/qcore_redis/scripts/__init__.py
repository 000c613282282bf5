"""Loads the Lua scripts and binds their keys by name.

A script's header lists its KEYS; from that one line both the Lua locals (``key.leased``,
``key.ready[level]``) and the order in which Python passes them are made, so they cannot disagree.
Words in braces stand for what differs between adapters, ``--- include: store`` for how the
adapter keeps jobs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files

import attrs

from qcore_redis.keys import LEVELS, QueueKeys

__all__ = ["Script", "load"]

_INCLUDE = re.compile(r"^--- include: (\w+)$", re.MULTILINE)
_KEYS = re.compile(r"^-- KEYS: (.*?)(?: then .*)?$", re.MULTILINE)

_OF_WORK: Mapping[str, str] = {
    "{fair}": "fair rounds",
    "{gates}": "slots parked open windows rates",
    "{records}": "records results ends",
    "{outbox}": "outbox",
}
"""What queues for work have alike, and logs have not."""

_PLACES: Mapping[str, Mapping[str, str]] = {
    "list": {"{bell}": "", "{claims}": "waiters lapsed claim", "{lines}": "ready*", **_OF_WORK},
    "stream": {"{bell}": "bell", "{claims}": "", "{lines}": "new* again*", **_OF_WORK},
    "log": {
        "{bell}": "bell",
        "{claims}": "",
        "{lines}": "entries totals back",
        **dict.fromkeys(_OF_WORK, ""),
    },
}
"""What the words in braces mean for each store; a star is one key for each level."""


@attrs.frozen
class Script:
    """A script ready to be sent.

    Attributes:
        name: The file's name without its ending.
        text: The whole program.
        sha: Its SHA-1 in hexadecimal, as the server names it.
        names: Its declared keys in order; a star is one key for each level.
    """

    name: str
    text: str
    sha: str
    names: Sequence[str]

    def keys(self, keys: QueueKeys, flush: str | None = None) -> list[str]:
        """The declared keys of one queue, in order.

        Args:
            keys: The queue's keys.
            flush: The lane whose last answer is kept, for scripts that can be replayed.
        """
        bound: list[str] = []
        for name in self.names:
            if name.endswith("*"):
                bound.extend(keys.each_level(name[:-1]))
            elif name == "flush":
                bound.append(keys.flush(flush or ""))
            else:
                bound.append(keys.one(name))
        return bound


@cache
def load(name: str, store: str) -> Script:
    """Assemble a script for the ``list``, the ``stream`` or the ``log`` store."""
    source = _read(f"{name}.lua")
    names = _declared(source, _PLACES[store])
    text = _binding(names) + _INCLUDE.sub(lambda found: _included(found[1], store), source)
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), names)


def _read(path: str) -> str:
    return files(__name__).joinpath(path).read_text(encoding="utf-8")


def _included(name: str, store: str) -> str:
    if name != "store":
        return _read(f"lib/{name}.lua")
    below = _read("lib/log.lua") if store == "log" else ""
    return below + _read(f"lib/{store}_store.lua")


def _declared(source: str, places: Mapping[str, str]) -> list[str]:
    header = _KEYS.search(source)
    if header is None:
        raise ValueError("every script declares its KEYS")
    return [name for word in header[1].split() for name in places.get(word, word).split()]


def _binding(names: Sequence[str]) -> str:
    """Lua that names the declared keys, and says where further keys begin."""
    lines = ["local key = {}"]
    at = 1
    for name in names:
        if name.endswith("*"):
            slots = ", ".join(f"KEYS[{at + i}]" for i in range(len(LEVELS)))
            lines.append(f"key.{name[:-1]} = {{{slots}}}")
            at += len(LEVELS)
        else:
            lines.append(f"key.{name} = KEYS[{at}]")
            at += 1
    return "; ".join([*lines, f"local UNIQUE_KEYS = {at}"]) + "\n"
