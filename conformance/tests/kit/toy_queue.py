"""A toy queue in two versions: one takes a job in one step, the other pops it and then leases it.

Run as a script it is a worker that takes one job and acks it, and writes its history.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from qcore_conformance.addresses import Tcp
from qcore_conformance.client import RawClient
from qcore_conformance.history import History

LEASE = 0.15
NOW = "local t = redis.call('TIME') local now = t[1] + t[2] / 1000000 "
TAKE = f"""{NOW}
local job = redis.call('LPOP', 'ready')
if job then redis.call('ZADD', 'leased', now + {LEASE}, job) end
return job
"""
RECOVER = f"""{NOW}
for _, job in ipairs(redis.call('ZRANGEBYSCORE', 'leased', '-inf', now)) do
    redis.call('ZREM', 'leased', job)
    redis.call('RPUSH', 'ready', job)
end
"""


def take_in_one_step(client: RawClient) -> str | None:
    """Pop and lease in one script."""
    job = client.call("EVAL", TAKE, 0)
    return job.decode() if isinstance(job, bytes) else None


def pop_then_lease(client: RawClient) -> str | None:
    """Pop, and write the lease afterwards: between the two the job is nowhere."""
    job = client.call("LPOP", "ready")
    if not isinstance(job, bytes):
        return None
    client.call("ZADD", "leased", time.time() + LEASE, job)
    return job.decode()


TAKES = {"one-step": take_in_one_step, "pop-then-lease": pop_then_lease}


def work(history: History, client: RawClient, version: str, *, verb: str = "reserve") -> bool:
    """Take a job and ack it; return whether there was one."""
    with history.call(verb, queue="toy", lease=LEASE) as call:
        job = TAKES[version](client)
        if job is None:
            call.empty()
            return False
        call.ok(job=job)
    with history.call("ack", queue="toy", job=job) as call:
        client.call("ZREM", "leased", job)
        call.ok()
    return True


def main(version: str, folder: Path) -> None:
    """Work once, through whatever stands between here and the server."""
    host, _, port = os.environ["QCORE_URL"].partition(":")
    with (
        History(folder, os.environ["QCORE_PROCESS"]) as history,
        RawClient(Tcp(host, int(port))) as client,
    ):
        work(history, client, version)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
