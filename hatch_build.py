"""Metadata that depends on the repository's address: links that work on PyPI, and Project-URLs.

The address stands once, in pyproject.toml. Without it, links stay relative, for a checkout.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

__all__ = ["RepositoryHook", "absolute", "urls"]

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\((?![a-z]+:|#)([^)]+)\)")


class RepositoryHook(MetadataHookInterface):
    """Writes the description and the Project-URLs."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in ``readme`` and ``urls``."""
        repository = self.config.get("repository", "")
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        if repository:
            text = absolute(text, repository, f"v{metadata['version']}")
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = urls(repository, self.config.get("documentation", ""))


def absolute(text: str, repository: str, version: str) -> str:
    """Return Markdown in which links and pictures lead to the files of one version.

    Args:
        text: Markdown with links relative to the repository's root.
        repository: Address of the repository, without a slash at the end.
        version: Name of a tag.
    """

    def link(match: re.Match[str]) -> str:
        mark, words, target = match[1], match[2], match[3]
        kind = "raw" if mark else "blob"
        return f"{mark}[{_LINK.sub(link, words)}]({repository}/{kind}/{version}/{target})"

    return _LINK.sub(link, text)


def urls(repository: str, documentation: str) -> dict[str, str]:
    """Return the links of PyPI's page; none that leads nowhere."""
    found = {"Documentation": documentation} if documentation else {}
    if repository:
        found |= {
            "Source": repository,
            "Changelog": f"{repository}/blob/HEAD/CHANGELOG.md",
            "Issues": f"{repository}/issues",
        }
    return found
