"""``memory+pubsub://``, topics within a process, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.matrix import topics_within_a_process

globals().update(topics_within_a_process())
