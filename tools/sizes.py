"""Hold the code to its sizes, so that a room stays one that fits in the head.

Nine functions in ten have at most 25 lines and nine modules in ten at most 300; nothing has more
than 500. A docstring does not count as lines of its function. The shares are taken over what is
installed, the cap holds for everything, Lua and tests included.

Usage: ``python tools/sizes.py [ROOT]``; exits with 1 and names the largest when a size is exceeded.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import NamedTuple

INSTALLED = ("src", "conformance/src", "examples")
EVERYTHING = ("src", "conformance", "examples", "tests", "tools", "bench")
FUNCTION_LINES = 25
MODULE_LINES = 300
CAP = 500


class Size(NamedTuple):
    """How many lines something has."""

    lines: int
    place: str


def ninth_of_ten(sizes: Sequence[Size]) -> int:
    """Return the number of lines that nine in ten do not exceed; 0 when there are none."""
    return sorted(size.lines for size in sizes)[ceil(0.9 * len(sizes)) - 1] if sizes else 0


def source_files(root: Path, folders: Iterable[str], suffixes: Sequence[str]) -> Iterator[Path]:
    """Yield the files of the given folders, without those of hidden folders such as caches."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
            if path.suffix in suffixes and not hidden:
                yield path


def module_size(root: Path, path: Path) -> Size:
    """Count the lines of a file."""
    return Size(len(path.read_text(encoding="utf-8").splitlines()), str(path.relative_to(root)))


def function_sizes(root: Path, path: Path) -> Iterator[Size]:
    """Count the lines of each function of a module, decorators and docstring left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = _lines(node) - (_lines(node.body[0]) if ast.get_docstring(node) else 0)
            yield Size(lines, f"{path.relative_to(root)}:{node.lineno} {node.name}")


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def complaints(
    functions: Sequence[Size], modules: Sequence[Size], files: Sequence[Size]
) -> Iterator[str]:
    """Say in one line each what is too large."""
    for what, sizes, limit in (
        ("functions", functions, FUNCTION_LINES),
        ("modules", modules, MODULE_LINES),
    ):
        if ninth_of_ten(sizes) > limit:
            largest = ", ".join(f"{place} ({lines})" for lines, place in sorted(sizes)[:-11:-1])
            yield f"More than one in ten {what} exceeds {limit} lines. The largest: {largest}"
    for lines, place in files:
        if lines > CAP:
            yield f"{place} has {lines} lines; a file may have {CAP}. Split it along its reasons."


def main(root: Path) -> int:
    """Print the sizes of the tree and what is too large in it; return the exit code."""
    python = list(source_files(root, INSTALLED, [".py"]))
    functions = [size for path in python for size in function_sizes(root, path)]
    modules = [module_size(root, path) for path in python]
    files = [module_size(root, path) for path in source_files(root, EVERYTHING, [".py", ".lua"])]
    print(
        f"Nine in ten of {len(functions)} functions have at most {ninth_of_ten(functions)} lines, "
        f"of {len(modules)} modules at most {ninth_of_ten(modules)}; "
        f"the largest of {len(files)} files has {max(files, default=Size(0, '')).lines}."
    )
    found = list(complaints(functions, modules, files))
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()))
