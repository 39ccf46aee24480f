"""The order of the pages, and the one address that the documentation needs to know."""

from __future__ import annotations

import re
import sys
from pathlib import Path

__all__ = ["DOCS", "REPOSITORY", "ROOT", "SECTIONS", "pages", "title"]

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

#: The public repository, from pyproject.toml; empty as long as there is none.
REPOSITORY: str = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"][
    "metadata"
]["hooks"]["custom"]["repository"]

#: The page of each section, and the pages in it. A page that is not named here comes last in the
#: section of its folder.
_SECTIONS: dict[str, list[str]] = {
    "tutorials/index": [
        "tutorials/voila_for_two",
        "tutorials/sign_in_again",
        "tutorials/jupyterhub",
    ],
    "use": ["notebook", "who_ran_cells", "login", "banner", "testing", "troubleshooting"],
    "hosts/index": ["hosts/what_works"],
    "administer": [
        "server",
        "jupyterhub",
        "proxies",
        "identity_from_cookie",
        "audit",
        "identity_tokens",
        "access_tokens",
        "database",
        "row_level_data",
        "cli",
    ],
    "providers/index": [
        "providers/generic_oidc",
        "providers/jupyterhub",
        "providers/keycloak",
        "providers/entra_id",
        "providers/okta",
        "providers/google",
    ],
    "reference/index": [
        "reference/api",
        "reference/errors",
        "reference/settings",
        "reference/rest",
        "reference/events",
        "reference/cli",
    ],
    "understand": [
        "life_of_a_login",
        "architecture",
        "trust",
        "performance",
        "comparison",
        "upstream",
    ],
    "project": ["upgrading", "changelog", "security", "contributing", "releasing"],
}


def pages() -> list[str]:
    """Return the names of all pages, without the start page."""
    found = (path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))
    return sorted(name for name in found if not name.startswith("_") and name != "index")


def sections() -> dict[str, list[str]]:
    """Return the pages of each section; new pages come last."""
    known = {name for names in _SECTIONS.values() for name in names}
    result = {section: list(names) for section, names in _SECTIONS.items()}
    for name in pages():
        if name not in known and name not in result:
            folder = name.rpartition("/")[0]
            result[f"{folder}/index" if folder else "administer"].append(name)
    return result


SECTIONS = sections()


def title(name: str) -> str:
    """Return the title of a page, as plain text."""
    text = (DOCS / f"{name}.md").read_text("utf-8")
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    if heading is None:
        raise ValueError(f"docs/{name}.md has no title; begin it with a line '# ...'")
    return re.sub(r"[`*]", "", heading[1])
