"""Acts: what workers do while the suite kills, freezes or cuts them off.

Each is a function of a module, is given its ``Part``, and is played by a process of its own, in
either colour. A queue is called ``q`` unless an act says otherwise.
"""

from __future__ import annotations

from . import holding, leaving, passing, poison, settling, sleeping, stepping

__all__ = ["holding", "leaving", "passing", "poison", "settling", "sleeping", "stepping"]
