"""What a server can promise: probed at open by commands, never by version strings.

The program asks; ``judged`` decides, as a pure function of the answers. A user who may not ask
gets fewer promises, not an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from qcore.capabilities import Capabilities
from qcore.sansio import Program
from qcore_redis.faults import Refused
from qcore_redis.promises import FAILOVER, in_cluster, without_scripts

__all__ = ["Facts", "judged", "probing", "scripting", "shown", "weakest"]

Words = tuple[Any, ...]

_SETTINGS = ("appendonly", "appendfsync", "maxmemory-policy")


@attrs.frozen
class Facts:
    """What the server said of itself.

    Attributes:
        info: The fields of INFO; empty if this user may not ask.
        settings: Those of CONFIG GET; empty if this user may not ask.
        commands: Which of the asked commands it has; ``None`` if this user may not ask.
        may_script: Whether this user may run scripts.
    """

    info: Mapping[str, str]
    settings: Mapping[str, str]
    commands: frozenset[str] | None
    may_script: bool = True

    def has(self, command: str) -> bool:
        """Whether the server has a command, as far as it can be known."""
        return self.commands is None or command in self.commands


def probing(*commands: str) -> Program[Words, Facts]:
    """Ask the server for what it is, and whether it has these commands."""
    yield ("PING",)
    info: dict[str, str] = {}
    settings: dict[str, str] = {}
    for section in ("server", "persistence", "memory", "replication"):
        text = yield from _allowed(("INFO", section))
        info |= _fields(text) if text else {}
    for name in _SETTINGS:
        reply = yield from _allowed(("CONFIG", "GET", name))
        if reply:
            settings[name] = reply[1].decode()
    known = yield from _allowed(("COMMAND", "INFO", *commands))
    has = None if known is None else frozenset(row[0].decode() for row in known if row)
    return Facts(info, settings, has)


def scripting() -> Program[Words, bool]:
    """Ask whether this user may run scripts, by one that no server knows."""
    try:
        yield ("EVALSHA", "0" * 40, 0)
    except Refused as error:
        return not any(code in str(error) for code in ("NOPERM", "unknown command"))
    return True


def _allowed(words: Words) -> Program[Words, Any]:
    """The reply, or ``None`` if the server refuses this user or does not know the command."""
    try:
        return (yield words)
    except Refused:
        return None


def _fields(text: bytes) -> dict[str, str]:
    lines = text.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def judged(best: Capabilities, facts: Facts) -> Capabilities:
    """The promises that hold on this server."""
    found = attrs.evolve(best, facts=shown(facts))
    if not facts.may_script:
        found = without_scripts(found)
    if facts.info.get("redis_mode") == "cluster":
        found = in_cluster(found)
    if best.value("durability") not in (None, "none"):
        found = found.lowered("durability", *_durability(facts))
    policy = facts.settings.get("maxmemory-policy") or facts.info.get("maxmemory_policy", "")
    if policy.startswith("volatile"):
        why = f"the server may evict keys that expire (maxmemory-policy {policy}); set noeviction"
        for name in ("idempotent_id", "dedup", "replay"):
            found = found.lowered(name, value=False, why=why) if name in found else found
    return found


def weakest(found: Sequence[Capabilities]) -> Capabilities:
    """What holds on every node; the facts are those of the first."""
    held, *others = found
    for other in others:
        for name in list(held):
            value = other.value(name)
            if value is None:
                held = held.lowered(name, value=False, why=other.refusals.get(name, ""))
            elif f"{name}:{held.value(name)}" not in other:
                held = held.lowered(name, value, other.claims[name].why)
    return held


def _durability(facts: Facts) -> tuple[str, str]:
    policy = facts.settings.get("maxmemory-policy") or facts.info.get("maxmemory_policy", "")
    if policy.startswith("allkeys"):
        return "none", f"the server may evict jobs (maxmemory-policy {policy}); set noeviction"
    if facts.info.get("redis_mode") == "cluster" and facts.info.get("connected_slaves", "0") != "0":
        return "none", FAILOVER
    aof = facts.settings.get("appendonly") or {"1": "yes", "0": "no"}.get(
        facts.info.get("aof_enabled", ""), ""
    )
    if not aof:
        return "none", "unknown: this user may neither ask INFO nor CONFIG"
    if aof != "yes":
        return "none", "the server keeps no append-only file; set appendonly yes"
    if facts.settings.get("appendfsync") == "always":
        return "power", ""
    return "process", "a power loss may cost the last second; set appendfsync always for more"


def shown(facts: Facts) -> dict[str, str]:
    """What to tell of a server: its kind, version and settings."""
    info, names = facts.info, ("redis_version", "valkey_version", "server_name", "role")
    return {name: info[name] for name in names if name in info} | dict(facts.settings)
