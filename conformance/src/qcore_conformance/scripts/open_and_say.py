"""Opens a connection and says which adapter it found, or which error."""

from __future__ import annotations

import os
import sys

import qcore


def main() -> None:
    """Do it."""
    try:
        with qcore.connect(os.environ["QCORE_URL"]) as connection:
            sys.stdout.write(f"adapter {connection.capabilities.adapter}\n")
    except qcore.QcoreError as error:
        sys.stdout.write(f"failed {type(error).__name__} {error}\n")


if __name__ == "__main__":
    main()
