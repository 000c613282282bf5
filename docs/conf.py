"""How the pages are built; `make docs` does it."""

import re
from importlib.metadata import version as installed_version

from sphinx.application import Sphinx

from qcore_conformance.contract import text as text_of_the_contract

project = "qcore"
author = "The qcore authors"
project_copyright = "2026, the qcore authors"
version = release = installed_version("qcore-jobs")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "conformance/extra"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
maximum_signature_line_length = 90
napoleon_numpy_docstring = False

html_theme = "furo"
html_extra_path = ["conformance/extra"]
html_title = f"qcore {release}"


def _write_contract(_app: Sphinx, page: str, source: list[str]) -> None:
    """Show the contract as the suite reads it, with an anchor for each invariant."""
    if page == "contract":
        anchored = r'- <a id="\1"></a>**\1**'
        source[0] = re.sub(
            r"^- \*\*(Q-\w+-\d+)\*\*", anchored, text_of_the_contract(), flags=re.MULTILINE
        )


def setup(app: Sphinx) -> None:
    """Register what makes pages."""
    app.connect("source-read", _write_contract)
