"""Where a socket is: what a URL of a topology must say."""

from __future__ import annotations

import pytest

from qcore.clock import SystemClock
from qcore.consume.opening import opening
from qcore.errors import InvalidUrl
from qcore_redis.locators import locator_for


def setup_of(url: str) -> object:
    """What the locator is asked with."""
    return locator_for(opening(url, (), SystemClock()).setup())


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("rediss+list+unix:///run/redis.sock", "TLS"),
        ("rediss+streams+embedded:///var/lib/jobs", "TLS"),
        ("redis+list+unix://", "absolute path"),
        ("redis+list+unix://host/run/redis.sock", "absolute path"),
    ],
)
def test_a_socket_takes_a_path_and_no_tls(url: str, word: str) -> None:
    """What cannot be kept is refused before any I/O, with the form that is meant."""
    with pytest.raises(InvalidUrl, match=word):
        setup_of(url)


def test_tcp_needs_no_locator() -> None:
    """A host and a port are all that TCP takes."""
    assert setup_of("redis+list://localhost") is None
