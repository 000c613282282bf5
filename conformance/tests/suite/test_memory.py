"""``memory://``, the reference, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.matrix import within_a_process

globals().update(within_a_process())
