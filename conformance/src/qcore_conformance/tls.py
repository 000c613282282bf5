"""Files for TLS, and the contexts that the standard library makes of them."""

from __future__ import annotations

import ssl
from pathlib import Path

from attrs import frozen

__all__ = ["TlsFiles"]


@frozen(kw_only=True)
class TlsFiles:
    """A server's certificate and key, and the authority that signed them, as PEM files."""

    certificate: Path
    key: Path
    authority: Path

    def for_server(self) -> ssl.SSLContext:
        """Return a context for the listening side, as ``CountingProxy(tls=…)`` takes it."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context

    def for_client(self) -> ssl.SSLContext:
        """Return a context that trusts this authority alone and checks the host name."""
        return ssl.create_default_context(cafile=str(self.authority))
