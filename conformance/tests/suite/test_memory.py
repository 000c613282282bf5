"""``memory://``, the reference, held to the contract."""

from __future__ import annotations

from qcore_conformance.harnesses import MemoryHarness
from qcore_conformance.suite import suite

globals().update(suite(lambda: MemoryHarness("memory://conformance")))
