"""Programs that the suite runs in processes of their own; each finds its URL in ``QCORE_URL``."""

from __future__ import annotations

from pathlib import Path

__all__ = ["script"]


def script(name: str) -> Path:
    """The path of the program of that name."""
    return Path(__file__).with_name(f"{name}.py")
