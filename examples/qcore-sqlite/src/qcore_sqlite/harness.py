"""How the conformance suite reaches this adapter. Needs the package ``qcore-conformance``."""

from __future__ import annotations

from qcore_conformance.harness import UrlHarness

__all__ = ["SqliteHarness"]


class SqliteHarness(UrlHarness):
    """A file that the processes of this machine share; there is no server to stop."""

    exclusive = True

    def url(self, namespace: str) -> str:
        """The file with a namespace of its own and a short lease."""
        return f"{super().url(namespace)}&lease=2s"
