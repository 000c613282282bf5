"""Adapters that are sound but for one thing, made by wrapping a sound one at the seam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import attrs

from qcore.backend import Adapter, AsyncBackend, Backend, Setup
from qcore.bridges import lift_inline
from qcore.capabilities import Capabilities
from qcore.url import Parameter

__all__ = ["BrokenAdapter", "Wrapper"]

Lift: TypeAlias = Callable[[Backend], AsyncBackend]


class Wrapper:
    """A backend that leaves everything to a sound one; a mutant overrides what it breaks.

    Attributes:
        inner: The sound backend.
        setup: What both were opened with.
    """

    def __init__(self, inner: Any, setup: Setup, scheme: str) -> None:
        self.inner = inner
        self.setup = setup
        self._scheme = scheme

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def open(self) -> Capabilities:
        """Promise what the sound one promises, under another name."""
        promised: Capabilities = self.inner.open()
        return attrs.evolve(promised, adapter=self._scheme)


class BrokenAdapter:
    """What an entry point of a mutant points at.

    Args:
        scheme: The scheme of its URLs.
        sound: The adapter that it is made of.
        wrapper: What breaks it.
        lift: Makes an asynchronous backend of one that blocks.
    """

    def __init__(
        self,
        scheme: str,
        sound: Adapter,
        wrapper: type[Wrapper] = Wrapper,
        lift: Lift = lift_inline,
    ) -> None:
        self.scheme = scheme
        self.parameters: Sequence[Parameter] = sound.parameters
        self._sound = sound
        self._wrapper = wrapper
        self._lift = lift

    def promises(self) -> Capabilities:
        """What the sound one promises, under another name."""
        return attrs.evolve(self._sound.promises(), adapter=self.scheme)

    def backend(self, setup: Setup) -> Backend:
        """A broken connection."""
        made = self._wrapper(self._sound.backend(setup), setup, self.scheme)
        return cast("Backend", made)

    def async_backend(self, setup: Setup) -> AsyncBackend:
        """The same for asyncio."""
        return self._lift(self.backend(setup))
