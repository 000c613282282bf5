"""Small libraries that stand between a program and the system, for faults that need no root.

In go a folder to work in; out comes an environment for a process of the suite's own, in which the
dynamic linker puts one of the libraries first. Where there is no C compiler, or no Linux, building
one raises ``NotRun``.
"""

from .clock import Clock
from .disk import Disk

__all__ = ["Clock", "Disk"]
