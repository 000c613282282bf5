"""How the pages are built; `make docs` does it."""

from importlib.metadata import version as installed_version

project = "qcore"
author = "The qcore authors"
project_copyright = "2026, the qcore authors"
version = release = installed_version("qcore-jobs")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
maximum_signature_line_length = 90
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"qcore {release}"
