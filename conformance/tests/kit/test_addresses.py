"""Addresses, and the URLs that name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from qcore_conformance.addresses import Tcp, Unix, connect


def test_addresses_have_urls() -> None:
    """A unix socket is a suffix of the scheme."""
    assert Tcp(port=6379).url("redis+list") == "redis+list://127.0.0.1:6379"
    assert Unix(Path("/run/s")).url("redis+list") == "redis+list+unix:///run/s"


@pytest.mark.parametrize("address", [Tcp(port=1), Unix(Path("/nonexistent"))])
def test_an_address_where_nobody_listens_is_an_error(address: Tcp | Unix) -> None:
    """Of either kind."""
    with pytest.raises(OSError, match=r"refused|No such file"):
        connect(address, timeout=1)
