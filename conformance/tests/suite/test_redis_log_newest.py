"""``redis+streams`` in log mode on the newest server, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.matrix import as_a_log

globals().update(as_a_log())
