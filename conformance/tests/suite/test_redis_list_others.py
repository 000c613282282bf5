"""``redis+list`` on the servers in between, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.matrix import on_other_servers

globals().update(on_other_servers("list"))
