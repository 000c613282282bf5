"""``redis+pubsub`` on a private server, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.private import PrivateRedis
from qcore_conformance.suite import suite

globals().update(suite(lambda: PrivateRedis("redis+pubsub")))
