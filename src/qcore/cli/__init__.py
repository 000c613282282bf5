"""The command ``qcore``: a noun, a verb, and the same guarantees as in Python.

click and rich come with the extra ``cli``; they are imported here and nowhere else, and only when
somebody types the command.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

__all__ = ["main"]

_NEEDED = ("click", "rich")
_UNMET = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: What stands after the command's name; by default that of the process.

    Returns:
        The exit code; ``qcore.cli.exits`` lists them.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        lack = f"qcore: the command line needs {' and '.join(missing)}"
        sys.stderr.write(f'{lack}, which are not installed: pip install "qcore-jobs[cli]"\n')
        return _UNMET
    from qcore.cli.app import run

    return run(sys.argv[1:] if argv is None else argv)
