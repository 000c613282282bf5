"""What a log leaves in the server is what ``qcore_redis.log.keys`` says, key by key."""

from __future__ import annotations

import re
from pathlib import Path

import qcore
import qcore_redis.log.keys
from qcore.backend import Flush, Settle, TakeRequest, Verb
from qcore_conformance.addresses import Unix
from qcore_conformance.client import RawClient

ROW = re.compile(r"^``qc:\{n/q\}:(\S+)``\s+(\w+)\s", re.MULTILINE)


def model() -> dict[str, str]:
    """The kinds of keys, each with its type, as the table of the module names them."""
    return dict(ROW.findall(qcore_redis.log.keys.__doc__ or ""))


def pattern(name: str) -> re.Pattern[str]:
    """What keys of a kind look like: words in capitals stand for something."""
    parts = (r"[\w.-]+" if part.isupper() else part for part in name.split(":"))
    return re.compile(":".join(parts))


def touch_everything(connection: qcore.Connection) -> None:
    """Leave every kind of key behind, those that come and go included."""
    queue = connection.queue("q")
    queue.enqueue_many([b"%d" % number for number in range(5)])
    queue.enqueue(b"named", id="order-1", dedup="dedup.1")
    group = queue.group("billing")
    group.subscribe()
    hands = group.reserve_many(3, timeout=0)
    hands[0].dead_letter("bad")
    hands[1].retry(1000, error="once")
    hands[2].release()
    backend = group.session.backend
    request = TakeRequest(2, 30_000, started=False)
    back, ahead = backend.take("q/billing", request, Flush("take.by-hand", 1)).jobs
    steps = [Settle(ahead.token, Verb.START), Settle(back.token, Verb.RELEASE)]
    assert backend.settle("q/billing", steps, Flush("settle.by-hand", 1)) == [True, True]
    group.pause()
    group.resume()


def test_every_key_is_in_the_model_and_of_its_type(tmp_path: Path) -> None:
    """Q-RES-01: nothing is stored that the model does not name, and all that it names exists."""
    url = f"redis+streams+embedded://{tmp_path}/server?mode=log&namespace=n"
    with qcore.connect(url) as connection, RawClient(Unix(tmp_path / "server/s.sock")) as raw:
        touch_everything(connection)
        keys = raw.call("KEYS", "*")
        assert isinstance(keys, list)
        named, seen = model(), set[str]()
        for key in keys:
            assert isinstance(key, bytes)
            name = key.decode().removeprefix("qc:{n/q}:")
            (match,) = [one for one in named if pattern(one).fullmatch(name)]
            assert raw.call("TYPE", key) in (named[match], named[match].encode()), name
            seen.add(match)
        assert seen == set(named)
