"""Compiling the libraries."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path

from qcore_conformance.outcomes import NotRun

__all__ = ["preloaded"]


def preloaded(name: str, folder: Path) -> Mapping[str, str]:
    """Compile a library into a folder; the environment that loads it first.

    Raises:
        NotRun: If this machine cannot.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if sys.platform != "linux" or compiler is None:
        raise NotRun("needs Linux and a C compiler, to stand between a program and the system")
    library = folder / f"{name}.so"
    with as_file(files(__name__.rpartition(".")[0]).joinpath(f"{name}.c")) as source:
        words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
        run = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603  (no shell reads these words)
    if run.returncode:
        raise NotRun(f"the C compiler failed: {run.stderr.strip()[-300:]}")
    return {"LD_PRELOAD": str(library)}
