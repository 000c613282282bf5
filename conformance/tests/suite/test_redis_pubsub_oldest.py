"""``redis+pubsub`` on the oldest server, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.matrix import on_the_oldest

globals().update(on_the_oldest("pubsub"))
