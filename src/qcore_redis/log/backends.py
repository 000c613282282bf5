"""The log for callers that block: programs run over a port."""

from __future__ import annotations

from collections.abc import Sequence

from qcore.backend import LoggedJob, Span, Start
from qcore.capabilities import Capabilities
from qcore_redis.backends import StoredBackend
from qcore_redis.faults import Refused
from qcore_redis.log.programs import LogPrograms
from qcore_redis.ports.sync import SyncPort

__all__ = ["NEEDS_SCRIPTS", "LogBackend"]

NEEDS_SCRIPTS = "NOPERM a log needs a user who may run scripts (EVAL, EVALSHA)"


class LogBackend(StoredBackend):
    """A connection to logs, for callers that block."""

    def __init__(self, programs: LogPrograms, port: SyncPort, best: Capabilities) -> None:
        super().__init__(programs, port, best)
        self._logs = programs

    def open(self) -> Capabilities:
        """Probe the server."""
        found = super().open()
        if not self._may_script:
            raise Refused(NEEDS_SCRIPTS)
        return found

    def begin(self, line: str, start: Start) -> bool:
        """Make a group, unless there is one."""
        return self._run(self._logs.begin(line, start))

    def rewind(self, line: str, start: Start) -> bool:
        """Let a group begin anew."""
        return self._run(self._logs.rewind(line, start))

    def end(self, line: str) -> None:
        """Remove a group."""
        self._run(self._logs.end(line))

    def groups(self, queue: str) -> Sequence[str]:
        """The names of the groups."""
        return self._run(self._logs.groups(queue))

    def read(self, queue: str, span: Span) -> Sequence[LoggedJob] | None:
        """Entries in order."""
        return self._run(self._logs.read(queue, span))

    def find(self, queue: str, job_id: str) -> LoggedJob | None:
        """The entry of a job."""
        return self._run(self._logs.find(queue, job_id))
