"""Pages as GitHub and PyPI show them: links, anchors, titles, and the README."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from blocks import PAGES, ROOT

sys.path.insert(0, str(ROOT))
hatch_build = pytest.importorskip("hatch_build")
reference = pytest.importorskip("reference")

_LINK = re.compile(r"\]\((?!<)([^)\s]+)\)")
_CODE = re.compile(r"^( *)```.*?^ *```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_ID = re.compile(r'<a id="([^"]+)">')


def prose(path: Path) -> str:
    """Return a page without code."""
    return _CODE.sub("", path.read_text("utf-8"))


def slugs(path: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings, and those that it has itself."""
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set(_ID.findall(text))
    for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).strip().lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def generated(path: Path) -> set[str]:
    """Return the anchors of the parts that the build fills in."""
    parts = re.findall(r"<!-- generated: (\w+) -->", path.read_text("utf-8"))
    text = "\n".join(reference.GENERATED[part]() for part in parts if part != "pages")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere_on_github(path):
    """Each relative link has its file, and each anchor its heading, without a build."""
    broken = []
    for link in _LINK.findall(prose(path)):
        target, _, anchor = link.partition("#")
        if ":" in target:
            continue
        file = Path(os.path.normpath(path.parent / target)) if target else path
        if (
            not file.exists()
            or not file.is_relative_to(ROOT)
            or (anchor and file.suffix == ".md" and anchor not in slugs(file) | generated(file))
        ):
            broken.append(link)
    assert broken == []


def test_the_check_finds_a_broken_link(tmp_path):
    """The check of anchors reports a heading that does not exist."""
    page = tmp_path / "page.md"
    page.write_text("# A `title`, with *marks*\n\n## `code_name`\n\n```\n# no heading\n```\n")
    assert slugs(page) == {"a-title-with-marks", "code_name"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_each_page_has_one_title(path):
    """A page begins with its title, and has no other heading of that level."""
    text = re.sub(r"^ *```.*?^ *```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert text.startswith("# ")
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1


def test_the_readme_works_on_pypi():
    """With the repository's address, every link and picture of the description is absolute."""
    readme = (ROOT / "README.md").read_text("utf-8")
    text = hatch_build.absolute(readme, "https://example.org/our/project", "v1.2.3")
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) == len(re.findall(r"\]\(([^)\s]+)\)", readme)) > 20
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []
    assert "](https://example.org/our/project/blob/v1.2.3/docs/notebook.md)" in text
    picture = re.search(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert picture is not None
    assert picture[1].startswith("https://example.org/our/project/raw/v1.2.3/docs/images/")


def test_a_picture_inside_a_link_becomes_absolute():
    """Both addresses of a picture that is a link are changed, and other addresses stay."""
    text = "[![demo](a.png)](b.md) [c](https://example.org) [d](#top)"
    assert hatch_build.absolute(text, "R", "v1") == (
        "[![demo](R/raw/v1/a.png)](R/blob/v1/b.md) [c](https://example.org) [d](#top)"
    )


def test_no_link_of_the_project_leads_nowhere():
    """PyPI's page has no link while there is no address."""
    assert hatch_build.urls("", "") == {}
    assert set(hatch_build.urls("https://example.org/p", "")) == {"Source", "Changelog", "Issues"}


def test_the_first_screen_of_the_readme():
    """It shows the picture, the installation and the first call, and answers the first question."""
    first = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:40])
    assert "docs/images/two-people.png" in first
    assert "pip install jupyter-session-user" in first
    assert "get_current_user().username" in first
    assert "getpass.getuser()" in first
    assert "make demo" in first
