"""How Redis and Valkey servers of the suite's own are broken from the inside."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import chain

from .client import ServerError
from .faults import Faults, Weakness
from .outcomes import NotRun, Unknown
from .servers import Server
from .waiting import wait_until

__all__ = ["RedisFaults"]

_SLOW: Mapping[str, str | int] = {
    "key-load-delay": 1000,
    "loading-process-events-interval-bytes": 1024,
}
_KEYS = 4000


class RedisFaults(Faults):
    """Commands that only a server of one's own is given."""

    weaknesses: Mapping[str, Weakness] = {
        "forgetful": Weakness({"appendonly": "no"}, "durability:process"),
        "evicting jobs": Weakness({"maxmemory-policy": "allkeys-lru"}, "durability:process"),
        "evicting what expires": Weakness({"maxmemory-policy": "volatile-ttl"}, "dedup"),
    }

    power: Mapping[str, str] | None = {"appendonly": "yes", "appendfsync": "always"}

    def forget_scripts(self, server: Server) -> None:
        """Make it forget the programs that clients taught it."""
        server.cli("SCRIPT", "FLUSH")

    def disconnect(self, server: Server) -> None:
        """End the connections of all clients but the one that says so."""
        for kind in ("normal", "pubsub"):
            server.cli("CLIENT", "KILL", "TYPE", kind)

    def delete(self, server: Server, namespace: str, queue: str) -> None:
        """Remove every key of a queue."""
        if parts := self.parts(server, namespace, queue):
            server.cli("DEL", *parts)

    @contextmanager
    def full(self, server: Server) -> Generator[None]:
        """Let one byte be more than it may have."""
        server.cli("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.cli("CONFIG", "SET", "maxmemory", "1")
        try:
            yield
        finally:
            server.cli("CONFIG", "SET", "maxmemory", "0")

    @contextmanager
    def failing_disk(self, server: Server) -> Generator[None]:
        """Put a folder where the snapshot should go: not even the superuser can write there."""
        in_the_way = server.data / "dump.rdb"
        in_the_way.unlink(missing_ok=True)
        in_the_way.mkdir()
        server.cli("CONFIG", "SET", "save", "3600 1000000")
        try:
            _saved(server, "err")
            yield
        finally:
            in_the_way.rmdir()
            _saved(server, "ok")
            server.cli("CONFIG", "SET", "save", "")

    @contextmanager
    def demoted(self, server: Server) -> Generator[None]:
        """Make it the replica of a primary that nobody can reach, on a port that none has."""
        server.cli("REPLICAOF", "127.0.0.1", "1")
        try:
            yield
        finally:
            server.cli("REPLICAOF", "NO", "ONE")

    @contextmanager
    def loading(self, server: Server) -> Generator[None]:
        """Let it pause at each of the keys that it reads at its start, until told not to."""
        if any(not server.cli("CONFIG", "GET", name) for name in _SLOW):
            raise NotRun("this server serves nobody while it loads little")
        _fill(server)
        server.settings.update(_SLOW)
        server.kill()
        with ThreadPoolExecutor(1) as starter:
            starting = starter.submit(server.start)
            wait_until(lambda: _is_loading(server), within=20.0, what="the server loads")
            try:
                yield
                if not _is_loading(server):
                    raise Unknown("the server had loaded everything before the end of the test")
            finally:
                server.settings["key-load-delay"] = 0
                with suppress(OSError, ServerError):  # it may have ended, or refuse while it loads
                    server.cli("CONFIG", "SET", "key-load-delay", "0")
                starting.result()

    def parts(self, server: Server, namespace: str, queue: str) -> Sequence[str]:
        """The keys of a queue."""
        keys = server.cli("KEYS", f"qc:{{{namespace}/{queue}}}*")
        listed = keys if isinstance(keys, list) else []
        return sorted(key.decode() for key in listed if isinstance(key, bytes))

    def lasting(self, server: Server, namespace: str, queue: str) -> Sequence[str]:
        """The keys of a queue that have no time to live."""
        return [key for key in self.parts(server, namespace, queue) if server.cli("TTL", key) == -1]

    def spoil(self, server: Server, part: str) -> Callable[[], object]:
        """Lay the key aside, and something of another kind in its place."""
        is_text = server.cli("TYPE", part) == b"string"
        server.cli("RENAME", part, f"aside:{part}")
        server.cli("RPUSH" if is_text else "SET", part, "something else")

        def mend() -> None:
            server.cli("RENAME", f"aside:{part}", part)

        return mend

    def remove(self, server: Server, part: str) -> None:
        """Delete a key."""
        server.cli("DEL", part)


def _fill(server: Server) -> None:
    """Store keys that take their time to load, one by one, and not as commands to be repeated."""
    server.cli("MSET", *chain.from_iterable((f"filler:{n}", "x" * 32) for n in range(_KEYS)))
    server.cli("BGREWRITEAOF")
    wait_until(partial(_has, server, "aof_rewrite_in_progress:0"), within=20.0, what="it is saved")


def _has(server: Server, line: str) -> bool:
    info = server.cli("INFO", "persistence")
    return isinstance(info, bytes) and line.encode() in info.splitlines()


def _is_loading(server: Server) -> bool:
    try:
        server.cli("GET", "x", timeout=20.0)
    except ServerError as error:
        return str(error).startswith("LOADING")
    except OSError:
        pass
    return False


def _saved(server: Server, how: str) -> None:
    """Save in the background until it ends in this way."""

    def ended() -> bool:
        info = server.cli("INFO", "persistence")
        text = info if isinstance(info, bytes) else b""
        if b"rdb_bgsave_in_progress:0" in text and b"aof_rewrite_in_progress:0" in text:
            if f"rdb_last_bgsave_status:{how}".encode() in text:
                return True
            server.cli("BGSAVE")
        return False

    wait_until(ended, within=10.0, what=f"saving ends with {how!r}")
