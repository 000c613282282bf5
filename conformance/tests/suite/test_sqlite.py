"""``sqlite://``, the example of somebody else's adapter, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.private import PrivateSqlite
from qcore_conformance.suite import suite

globals().update(suite(PrivateSqlite))
