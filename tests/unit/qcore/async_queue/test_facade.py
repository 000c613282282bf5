from __future__ import annotations

import pytest

import qcore
from qcore.errors import InvalidInput
from tests.unit.qcore.stubs import StubAdapter

pytestmark = pytest.mark.asyncio


async def test_a_job_with_its_options_is_enqueued_alone_as_among_many() -> None:
    """Its options are no part of the body, whatever the codec could write."""
    async with StubAdapter().connect_async() as connection:
        queue = connection.queue("q", codec="json")
        made = await queue.enqueue(qcore.NewJob({"a": 1}, id="mine", priority=2))
        delivery = await queue.reserve(timeout=0)
        assert delivery is not None
        assert (made, delivery.value, delivery.job.priority) == ("mine", {"a": 1}, 2)
        with pytest.raises(InvalidInput, match="in the NewJob"):
            await queue.enqueue(qcore.NewJob({"a": 1}), priority=2)
