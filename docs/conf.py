"""Builds the pages without a network: `sphinx-build -W -b html docs FOLDER`."""

from importlib.metadata import version as installed

project = "pytest-starcoder"
author = "the pytest-starcoder developers"
copyright = author
version = release = installed("pytest-starcoder")

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
suppress_warnings = ["misc.highlighting_failure"]  # a screen is not code

html_theme = "furo"
html_title = project
html_static_path = ["_static"]
html_css_files = ["wide.css"]
html_theme_options = {
    "source_repository": "https://github.com/pytest-starcoder/pytest-starcoder",
    "source_branch": "main",
    "source_directory": "docs/",
}
