"""``memory://`` in log mode, the reference of a log, held to the contract."""

from __future__ import annotations

from conformance.tests.suite.matrix import as_a_log_within_a_process

globals().update(as_a_log_within_a_process())
