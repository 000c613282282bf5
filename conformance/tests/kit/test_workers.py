"""Workers play their acts in processes of their own, and are broken from outside."""

from __future__ import annotations

import signal
import uuid

import pytest

from qcore_conformance.colours import Colour
from qcore_conformance.servers import Server
from qcore_conformance.workers import Part, Worker, WorkerFailed


@pytest.fixture
def url(server: Server) -> str:
    """A namespace of the module's server."""
    return f"{server.unix.url('redis+list')}?namespace=t{uuid.uuid4().hex[:12]}"


def enqueue(part: Part, body: bytes) -> None:
    """Enqueue a job when told to."""
    queue = part.queue()
    part.await_go()
    part.say("id", str(queue.enqueue(body)))
    part.linger()


def fail(part: Part) -> None:
    """Go wrong."""
    raise LookupError(part.url)


@pytest.mark.parametrize("colour", Colour)
def test_a_worker_does_what_its_act_says_in_its_colour(url: str, colour: Colour) -> None:
    """It reaches the broker by its URL alone, and says what it has done."""
    with Worker(enqueue, url, colour, b"x") as worker:
        worker.ready().go()
        assert worker.heard("id")
        worker.kill()
        assert worker.ended() == -signal.SIGKILL


def test_a_worker_that_fails_tells_why(url: str) -> None:
    """Silence would look like slowness."""
    with Worker(fail, url, Colour.SYNC) as worker, pytest.raises(WorkerFailed, match="LookupError"):
        worker.heard("done")
