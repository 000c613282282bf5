"""The log for asyncio: programs run over a port."""

from __future__ import annotations

from collections.abc import Sequence

from qcore.backend import LoggedJob, Span, Start
from qcore.capabilities import Capabilities
from qcore_redis.async_backends import AsyncStoredBackend
from qcore_redis.faults import Refused
from qcore_redis.log.backends import NEEDS_SCRIPTS
from qcore_redis.log.programs import LogPrograms
from qcore_redis.ports.aio import AsyncPort

__all__ = ["AsyncLogBackend"]


class AsyncLogBackend(AsyncStoredBackend):
    """A connection to logs, for asyncio."""

    def __init__(self, programs: LogPrograms, port: AsyncPort, best: Capabilities) -> None:
        super().__init__(programs, port, best)
        self._logs = programs

    async def open(self) -> Capabilities:
        """Probe the server."""
        found = await super().open()
        if not self._may_script:
            raise Refused(NEEDS_SCRIPTS)
        return found

    async def begin(self, line: str, start: Start) -> bool:
        """Make a group, unless there is one."""
        return await self._run(self._logs.begin(line, start))

    async def rewind(self, line: str, start: Start) -> bool:
        """Let a group begin anew."""
        return await self._run(self._logs.rewind(line, start))

    async def end(self, line: str) -> None:
        """Remove a group."""
        await self._run(self._logs.end(line))

    async def groups(self, queue: str) -> Sequence[str]:
        """The names of the groups."""
        return await self._run(self._logs.groups(queue))

    async def read(self, queue: str, span: Span) -> Sequence[LoggedJob] | None:
        """Entries in order."""
        return await self._run(self._logs.read(queue, span))

    async def find(self, queue: str, job_id: str) -> LoggedJob | None:
        """The entry of a job."""
        return await self._run(self._logs.find(queue, job_id))
