"""The Sphinx extension: fills in the reference, and writes Markdown twins and ``llms.txt``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import navigation
import reference
from navigation import DOCS, REPOSITORY, ROOT, SECTIONS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

__all__ = ["filled", "llms", "setup", "twin"]

_MARK = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
_LINK = re.compile(r"(!?\[[^\]]*\])\(([^)#\s]+)(#[^)\s]*)?\)")
_ABOUT = (
    "> The user of the request that runs a line of code, in Jupyter kernels and in Python web "
    "apps: get_current_user() returns that user or raises, and never names a different user."
)


def filled(name: str, text: str, *, twin: bool = False) -> str:
    """Return a page with the generated parts.

    Args:
        name: The page.
        text: Its text.
        twin: Whether it is not for Sphinx.

    Raises:
        KeyError: The page asks for a part that does not exist.
    """

    def part(match: re.Match[str]) -> str:
        if match[1] == "pages":
            return _list_of(name)
        make: Callable[[], str] = reference.GENERATED[match[1]]
        return reference.api_twin() if twin and match[1] == "api" else make()

    return _MARK.sub(part, text)


def _outside(name: str, text: str) -> str:
    """Point links to files of the repository at it; without its address they are downloads.

    A directory cannot be downloaded, and has no link then.
    """
    folder = (DOCS / f"{name}.md").parent

    def link(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        path = Path(os.path.normpath(folder / target))
        if ":" in target or not path.exists() or path.is_relative_to(DOCS):
            return match[0]
        wrapper = DOCS / path.name.lower()  # CHANGELOG.md and others have a page of their own
        if path.parent == ROOT and wrapper.exists():
            return f"{words}({os.path.relpath(wrapper, folder)}{anchor})"
        if REPOSITORY:
            kind = "tree" if path.is_dir() else "blob"
            return f"{words}({REPOSITORY}/{kind}/HEAD/{path.relative_to(ROOT)}{anchor})"
        return words[1:-1] if path.is_dir() or path.suffix == ".md" else match[0]

    return _LINK.sub(link, text)


def _list_of(section: str) -> str:
    """Return the links to the pages of a section."""
    folder = Path(section).parent
    return "\n".join(
        f"- [{navigation.title(name)}]({os.path.relpath(name, folder)}.md)"
        for name in SECTIONS[section]
    )


def _toctree(name: str) -> str:
    """Return the hidden table of contents of the start page, or of a section's page."""
    names = list(SECTIONS) if name == "index" else SECTIONS.get(name, [])
    lines = "\n".join(f"/{one}" for one in names)
    return f"\n```{{toctree}}\n:hidden:\n\n{lines}\n```\n" if names else ""


def _read(_app: Sphinx, name: str, source: list[str]) -> None:
    """Change a page's text before it is parsed."""
    source[0] = _outside(name, filled(name, source[0])) + _toctree(name)


def twin(name: str) -> str:
    """Return a page as Markdown that needs no Sphinx."""
    return filled(name, (DOCS / f"{name}.md").read_text("utf-8"), twin=True)


def llms() -> str:
    """Return the list of all pages for programs, after https://llmstxt.org."""
    lines = ["# jupyter-session-user", "", _ABOUT, "", "- [Start](index.html.md)"]
    for section, names in SECTIONS.items():
        lines += ["", f"## {navigation.title(section)}", ""]
        lines += [f"- [{navigation.title(section)}: all pages]({section}.html.md)"]
        lines += [f"- [{navigation.title(name)}]({name}.html.md)" for name in names]
    return "\n".join(lines) + "\n"


def _write(app: Sphinx, exception: Exception | None) -> None:
    """Write the twins beside the pages: ``page.html.md``, and ``llms.txt``."""
    if exception is not None or app.builder.name != "html":
        return
    out = Path(app.outdir)
    for name in ("index", *navigation.pages()):
        path = out / f"{name}.html.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Twins link to each other.
        path.write_text(re.sub(r"(\]\([^):]+)\.md([#)])", r"\1.html.md\2", twin(name)), "utf-8")
    (out / "llms.txt").write_text(llms(), "utf-8")


def _examples(*event: Any) -> None:
    """Mark the indented examples of docstrings as code, which plain docstrings need not do."""
    lines: list[str] = event[-1]
    result: list[str] = []
    for line in lines:
        begins = line.startswith("    ") and result and not result[-1]
        before = next((text for text in reversed(result) if text), "")
        if begins and before and not before.startswith((" ", "..", "-")):
            result += [".. code-block:: python", ""]
        result.append(line)
    lines[:] = result


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the functions to Sphinx's events."""
    app.connect("source-read", _read)
    app.connect("build-finished", _write)
    app.connect("autodoc-process-docstring", _examples, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
