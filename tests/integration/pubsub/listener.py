"""Listens in a process of its own, takes one job and holds it until the process is killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import qcore

URL = os.environ["QCORE_URL"]


def say(*words: object) -> None:
    """Tell the test."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")


def listen() -> None:
    """As code that blocks."""
    with qcore.connect(URL) as connection:
        queue = connection.queue("work")
        queue.subscribe()
        say("listening")
        delivery = queue.reserve()
        say("holding", delivery.job.body.decode())
        signal.pause()


async def listen_async() -> None:
    """As a task."""
    async with qcore.connect_async(URL) as connection:
        queue = connection.queue("work")
        await queue.subscribe()
        say("listening")
        delivery = await queue.reserve()
        say("holding", delivery.job.body.decode())
        await asyncio.Event().wait()


if sys.argv[1] == "async":
    asyncio.run(listen_async())
else:
    listen()
