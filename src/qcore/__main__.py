"""``python -m qcore`` is the command ``qcore``."""

from __future__ import annotations

import sys

from qcore.cli import main

sys.exit(main())
