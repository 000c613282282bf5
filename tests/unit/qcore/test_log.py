from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from qcore import log
from qcore.log import Logger
from tests.unit.qcore.logs import captured


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter, in which nobody configured logging."""
    return subprocess.run(  # noqa: S603  (this very interpreter)
        [sys.executable, "-Werror", "-c", code], capture_output=True, text=True, check=True
    )


def test_nothing_is_written_to_the_output_of_the_program() -> None:
    """A warning goes where warnings of a library go: to the error output, or nowhere."""
    done = run("from qcore.log import *; Logger(adapter='a').warning(BROKER_LOST, tries=2)")
    assert done.stdout == ""
    assert "broker.lost" in done.stderr
    assert "tries=2" in done.stderr
    assert "adapter='a'" in done.stderr


def test_news_are_silent_unless_somebody_listens() -> None:
    """As with every library that uses the standard logging."""
    done = run("from qcore.log import *; Logger().info(BROKER_BACK)")
    assert (done.stdout, done.stderr) == ("", "")


def test_structlog_is_imported_only_when_something_is_said() -> None:
    """Start-up does not pay for it."""
    done = run(
        "import sys, qcore; qcore.connect('memory://x').close(); print('structlog' in sys.modules)"
    )
    assert done.stdout == "False\n"


def test_the_standard_logging_gets_event_and_facts(caplog: pytest.LogCaptureFixture) -> None:
    """Under the name ``qcore``."""
    with caplog.at_level(logging.INFO, "qcore"):
        Logger(queue="mail").bind(attempt=2).info(log.LEASE_LOST, job_id="j")
    (record,) = caplog.records
    assert record.name == "qcore"
    for part in ("lease.lost", "queue='mail'", "attempt=2", "job_id='j'"):
        assert part in record.getMessage()


def test_a_host_that_configured_structlog_gets_the_events_there() -> None:
    """With its own processors."""
    logger = Logger(queue="mail")
    with captured() as entries:
        logger.warning(log.JOB_UNFIT, count=1)
    assert entries == [{"event": "job.unfit", "log_level": "warning", "queue": "mail", "count": 1}]


def test_every_event_is_a_constant_of_its_own() -> None:
    """A search finds who emits what."""
    names = [name for name in log.__all__ if name.isupper()]
    assert len({getattr(log, name) for name in names}) == len(names)
