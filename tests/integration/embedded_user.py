"""A program that uses an embedded server as it is told on standard input, an answer a line.

Usage: ``python embedded_user.py DIRECTORY``. Words: ``open``, ``ensure``, ``close``, and
``fork-use`` or ``fork-idle``, which leave a child that asks for the socket's path, or does not,
and then waits to be killed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from qcore.errors import QcoreError
from qcore_redis.embedded import EmbeddedServer


def main(directory: Path) -> None:
    """Do what is told until standard input ends."""
    servers: list[EmbeddedServer] = []
    for line in sys.stdin:
        try:
            answer(do(line.strip(), servers, directory))
        except QcoreError as error:
            answer(f"{type(error).__name__}: {error}")


def do(word: str, servers: list[EmbeddedServer], directory: Path) -> str:
    """Do one thing and return what came of it."""
    if word == "open":
        servers.append(EmbeddedServer.open(directory))
        return servers[-1].socket_path
    if word == "ensure":
        return servers[-1].ensure()
    if word == "close":
        servers[-1].close()
        return "closed"
    return fork(servers[-1], use=word == "fork-use")


def fork(server: EmbeddedServer, *, use: bool) -> str:
    """Leave a child behind, and return its process id once it has done its part."""
    ear, mouth = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(mouth, server.socket_path.encode() if use else b"idle")
        while True:
            signal.pause()
    os.read(ear, 4096)
    return str(child)


def answer(text: str) -> None:
    """Write one line."""
    print(text.replace("\n", " | "), flush=True)  # noqa: T201 - this is how it answers


if __name__ == "__main__":
    main(Path(sys.argv[1]))
