"""``redis+list`` on the newest server, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.matrix import on_the_newest

globals().update(on_the_newest("list"))
