"""The reasons of ``IdentityUnavailable`` are the same in code, texts and documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_session_user import (
    AccessTokenUnavailable,
    DatabaseUnavailable,
    IdentityTokenUnavailable,
    IdentityUnavailable,
    InvalidIdentityToken,
)
from jupyter_session_user.kernel.diagnose import unavailable

ROOT = Path(__file__).parents[2]
RAISED = re.compile(r"""\b(?:reason=|unavailable\()["']([a-z_]+)["']""")


def plain(text: str) -> str:
    """Return Markdown without links and code marks."""
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text).replace("`", "")


def raised() -> set[str]:
    """Return every reason that the package's code gives as a literal."""
    files = (ROOT / "jupyter_session_user").rglob("*.py")
    return {reason for file in files for reason in RAISED.findall(file.read_text("utf-8"))}


def test_what_is_raised_is_listed_and_what_is_listed_is_raised():
    """A program that reads ``error.reason`` can rely on the list."""
    listed = set(IdentityUnavailable.REASONS)
    of_databases = set(DatabaseUnavailable.REASONS)
    of_tokens = {*IdentityTokenUnavailable.REASONS, *InvalidIdentityToken.REASONS}
    of_access = set(AccessTokenUnavailable.REASONS)
    assert raised() <= listed | of_tokens | of_databases | of_access
    assert of_access <= raised()
    assert of_databases <= raised()
    assert of_tokens - raised() == {"malformed"}  # the default
    for reason in listed - raised():  # in a conditional expression: there is a text for it
        assert str(unavailable(reason))


def test_the_documentation_says_the_same():
    """The page has one row for each reason, with the same words."""
    text = (ROOT / "docs" / "notebook.md").read_text("utf-8")
    table = text[text.index("| reason | what it means") : text.index("## How far the current user")]
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", table, re.MULTILINE))
    assert {reason: plain(row) for reason, row in rows.items()} == IdentityUnavailable.REASONS


@pytest.mark.parametrize("reason", ["no_context", "forked_process", "voila_not_enabled"])
def test_a_text_ends_with_the_fix(reason):
    """The error has the reason, and its text is a sentence."""
    error = unavailable(reason)
    assert (error.reason, error.code) == (reason, f"identity_unavailable.{reason}")
    assert str(error).endswith(".")


@pytest.mark.parametrize("reason", IdentityUnavailable.REASONS)
def test_each_reason_is_seen_by_a_test(reason):
    """Each reason is expected by a test outside of this folder."""
    files = (file for file in (ROOT / "tests").rglob("*.py") if file.parent.name != "architecture")
    word = re.compile(rf"\b{reason}\b")
    assert any(word.search(file.read_text("utf-8")) for file in files)
