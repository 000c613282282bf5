"""The streams adapter in log mode: entries that stay, and any number of groups."""

from __future__ import annotations

__all__: list[str] = []
