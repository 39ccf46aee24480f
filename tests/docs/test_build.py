"""``make docs``: no warning, no broken link, the reference is filled in, and twins."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
from blocks import ROOT

pytestmark = pytest.mark.slow

_NEEDS = ("sphinx", "myst_parser", "pydata_sphinx_theme", "sphinx_copybutton", "sphinxcontrib")
_IDS = re.compile(r'\bid="([^"]+)"')
_HREF = re.compile(r'<a\b[^>]*\bhref="([^"]+)"')


@pytest.fixture(scope="module")
def built(need, tmp_path_factory):
    """Build the pages as ``make docs`` does, and return their folder."""
    for module in _NEEDS:
        need(importlib.util.find_spec(module), f"{module} is missing: pip install -e '.[docs]'")
    out = tmp_path_factory.mktemp("docs")
    command = (
        *(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--nitpicky"),
        *("--builder", "html", "--doctree-dir", str(out / "doctrees"), "docs", str(out / "html")),
    )
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return out / "html"


def page(built: Path, name: str) -> str:
    """Return a page."""
    return (built / f"{name}.html").read_text("utf-8")


def test_every_public_name_has_an_anchor(built):
    """A link to a name of Python lands on it."""
    import jupyter_session_user

    found = set(_IDS.findall(page(built, "reference/api")))
    assert {f"jupyter_session_user.{name}" for name in jupyter_session_user.__all__} <= found


def test_the_reference_is_filled_in(built):
    """Settings, routes, events and commands are on the built pages."""
    assert "c.JupyterSessionUser.max_sessions" in page(built, "reference/settings")
    assert "GET /api/session-user/me" in page(built, "reference/rest")
    assert "signed_out" in page(built, "reference/events")
    assert "usage: jupyter session-user" in page(built, "reference/cli")
    assert "generated:" not in page(built, "reference/errors").partition("<article")[2]


def test_every_error_code_is_an_anchor(built):
    """``troubleshooting.html#CODE`` lands on the section of the code."""
    import reference

    assert set(reference.codes()) <= set(_IDS.findall(page(built, "troubleshooting")))


def test_every_link_between_pages_leads_somewhere(built):
    """Each relative link of the built pages has its file, and each anchor its element."""
    texts = {path: path.read_text("utf-8") for path in built.rglob("*.html")}
    anchors = {path: {unquote(i) for i in _IDS.findall(text)} for path, text in texts.items()}
    broken, followed = [], 0
    for path, text in texts.items():
        article = text.partition("<article")[2].partition("</article>")[0]
        for href in _HREF.findall(article):
            target, _, anchor = unquote(href).replace("&amp;", "&").partition("#")
            if ":" in target:
                continue
            followed += 1
            file = (path.parent / target).resolve() if target else path
            # Autodoc's own source links and downloads have no elements to look for.
            if not file.exists() or (anchor and file in anchors and anchor not in anchors[file]):
                broken.append(f"{path.relative_to(built)}: {href}")
    assert followed > 100
    assert broken == []


def test_each_page_has_a_twin(built):
    """Beside each page is its Markdown, with the reference filled in, and a link to it."""
    import navigation

    for name in ("index", *navigation.pages()):
        twin = (built / f"{name}.html.md").read_text("utf-8")
        assert twin.startswith("# "), name
        assert "<!-- generated" not in twin
        assert f'href="{name.rpartition("/")[2]}.html.md"' in page(built, name)
    assert "get_current_user(default" in (built / "reference/api.html.md").read_text("utf-8")


def test_llms_txt_lists_every_page(built):
    """Programs find the twin of each page, and each link has its file."""
    import navigation

    text = (built / "llms.txt").read_text("utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert {f"{name}.html.md" for name in ("index", *navigation.pages())} == set(links)
    assert all((built / link).exists() for link in links)
