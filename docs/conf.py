"""Sphinx: ``make docs`` builds the pages of this folder, with all warnings as errors.

The pages are Markdown that GitHub shows as well. The extension in ``_ext`` fills in what the code
says itself (the reference), and writes a Markdown twin of each page and ``llms.txt``.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import navigation

from jupyter_session_user import __version__

project = "jupyter-session-user"
author = "the jupyter-session-user contributors"
project_copyright = author
version = release = __version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinxcontrib.mermaid",
    "twins",
]
exclude_patterns = ["_build", "_ext"]
source_suffix = {".md": "markdown"}

# --------------------------------------------------------------------------------------- Markdown

myst_enable_extensions = ["attrs_inline", "html_image"]
myst_fence_as_directive = ["mermaid"]
# GitHub's anchors: a link to a heading works in both.
myst_heading_anchors = 4
suppress_warnings: list[str] = []

# ------------------------------------------------------------------------------------ the reference

autodoc_typehints = "none"  # the docstrings say the types, and the signature would repeat them
autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Names of this package must exist. Names of other projects cannot be looked up without a network.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!jupyter_session_user).*"),
    # Private parts that public docstrings mention.
    (r"py:.*", r"jupyter_session_user\.(core|kernel|server)\..*"),
]

# ---------------------------------------------------------------------------------------- the pages

templates_path = ["_templates"]
html_theme = "pydata_sphinx_theme"
html_title = project
html_static_path = ["_static"]
html_css_files = ["extra.css"]
html_copy_source = False  # the twins are written by the extension, with the reference filled in
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 8,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc", "twin"],
    **({"github_url": navigation.REPOSITORY} if navigation.REPOSITORY else {}),
}
html_context = {"default_mode": "auto"}
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
mermaid_init_config = {"startOnLoad": False, "theme": "neutral"}

# ------------------------------------------------------------------------------------------- links

linkcheck_timeout = 20  # seconds
linkcheck_retries = 2
linkcheck_ignore = [
    r"http://(127\.0\.0\.1|localhost)[:/].*",  # servers of the reader
    r"https://schema\.jupyter\.org/.*",  # names, not pages
]
