"""``sqlite://``, the example of somebody else's adapter, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.matrix import on_a_file

globals().update(on_a_file())
