"""The code blocks of README and the documentation, as the tests read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "Block", "blocks"]

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: Path of the page below the repository.
        line: Line of the fence, from 1.
        language: The word after the fence; empty for none.
        text: What is inside.
    """

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        """Return where it stands, as an editor opens it."""
        return f"{self.page}:{self.line}"


def _pages() -> list[Path]:
    below = (path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
    top = (ROOT / name for name in ("README.md", "CONTRIBUTING.md", "RELEASING.md", "SECURITY.md"))
    return [*top, *sorted(below)]


PAGES = _pages()


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of these languages on all pages."""
    found = []
    for path in PAGES:
        text = path.read_text("utf-8")
        for match in _FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            name, indent = path.relative_to(ROOT).as_posix(), match[1]
            inside = re.sub(f"^{indent}", "", match[3], flags=re.MULTILINE) if indent else match[3]
            found.append(Block(name, line, match[2].strip(), inside))
    return [block for block in found if block.language in languages]
