"""Nothing public is undocumented: names, settings, routes, events, error codes, commands."""

from __future__ import annotations

import argparse
import inspect
import re

import pytest

import jupyter_session_user
from jupyter_session_user.server.web.api import ROUTES

# The reference is made from these functions: docs/_ext, beside Sphinx's configuration.
reference = pytest.importorskip("reference")

ROOT = reference.ROOT
DOCS = ROOT / "docs"
TROUBLESHOOTING = (DOCS / "troubleshooting.md").read_text("utf-8")
SERVER = (DOCS / "server.md").read_text("utf-8")
CLI = (DOCS / "cli.md").read_text("utf-8")

#: The section of a code has an anchor of the same name, and answers three questions.
_SECTION = re.compile(
    r'^<a id="([^"]+)"></a>\n### ([^\n]+)\n(.*?)(?=^<a id|^## |\Z)', re.MULTILINE | re.DOTALL
)
_QUESTIONS = ("**Meaning.**", "**Cause.**", "**Fix.**")


def prose(text: str) -> str:
    """Return a text with single spaces."""
    return " ".join((text or "").split())


def test_every_public_name_is_in_the_reference():
    """The page has each name of ``__all__`` once, and no other."""
    names = [name for section in reference.API.values() for name in section]
    assert sorted(names) == sorted(jupyter_session_user.__all__)


@pytest.mark.parametrize("name", jupyter_session_user.__all__)
def test_every_public_name_has_a_text(name):
    """Each function and class has a docstring, and so has each public member."""
    value = getattr(jupyter_session_user, name)
    silent = [
        member
        for member, found in reference.members(value)
        if not prose(found.fget.__doc__ if isinstance(found, property) else found.__doc__)
    ]
    assert inspect.getdoc(value)
    assert silent == []


@pytest.mark.parametrize("name", reference.traits())
def test_every_setting_has_a_text(name):
    """Each trait has a help text, is in the reference, and stands in the administrators' table."""
    assert len(prose(reference.traits()[name].help)) > 20
    assert f"\n## {name}\n" in f"\n{reference.settings()}"
    assert re.search(rf"`(c\.JupyterSessionUser)?\.{name}`", SERVER), "docs/server.md lacks it"


def test_the_reference_of_settings_has_the_defaults():
    """The default and the kind of a setting are those that a server uses."""
    text = prose(reference.settings())
    assert "`c.JupyterSessionUser.max_sessions`: Int. Default: `10000`" in text
    assert "`c.JupyterSessionUser.idle_timeout`: Float, or `None`. Default: `None`" in text
    assert "Default: `['jwt', 'signed_cookie']`" in text
    assert "Default: `'quarantine'`" in text


def test_every_route_is_in_the_reference():
    """Each route that the server answers is described, and introduced for administrators."""
    served = {re.sub(r"\(.*?\)", "{id}", path) for path, _ in ROUTES if not path.endswith(".*")}
    described = {path.lstrip("/") for _, path, _ in reference.operations()}
    assert served == described
    text = reference.rest()
    for method, path, operation in reference.operations():
        assert f"### {method} {path}\n\n{operation['summary']}" in text
        assert f"`{method} {path.lstrip('/').replace('{id}', '<id>')}`" in SERVER


def test_every_object_of_the_api_is_in_the_reference():
    """Links between the objects lead to a section each."""
    text = reference.rest()
    headings = {h.lower() for h in re.findall(r"^### (\w+)$", text, re.MULTILINE)}
    assert {name.lower() for name in reference.openapi()["components"]["schemas"]} <= headings
    assert set(re.findall(r"\]\(#(\w+)\)", text)) <= headings


def test_every_field_of_an_event_is_in_the_reference():
    """Each field has a text; each action is explained."""
    text = reference.events()
    schemas = reference.event_schemas()
    assert set(schemas) == {"session", "execution"}
    for schema in schemas.values():
        for name, field in schema["properties"].items():
            assert prose(field.get("description", "")), f"{name} has no description"
            assert f"### {name}\n" in text
    actions = schemas["session"]["properties"]["action"]["enum"]
    for action in (*actions, *schemas["execution"]["properties"]["kind"]["enum"]):
        assert re.search(rf"^\d+\. {action}$", text, re.MULTILINE), action


def test_every_error_code_has_a_section():
    """The page has a section for each code, under the code as its anchor, and for no other."""
    sections = {anchor: (title, body) for anchor, title, body in _SECTION.findall(TROUBLESHOOTING)}
    assert set(sections) - {"SharedResultWarning"} == set(reference.codes())
    for anchor, (title, body) in sections.items():
        assert title == anchor
        assert all(question in body for question in _QUESTIONS), anchor


def test_the_codes_are_those_of_real_errors():
    """The list of codes is what errors carry: none is missing, and none is invented."""
    errors = reference.errors
    for code, name in reference.codes().items():
        kind = getattr(errors, name)
        takes_reason = "reason" in reference.signature(kind)
        made = kind("text", reason=_reason(code)) if takes_reason else kind("text")
        assert made.code == code
    raised = re.compile(
        r"""_refusal\(name, "([a-z_]+)"|CookieUnavailable\([^)]*reason="([a-z_]+)"""
    )
    source = (ROOT / "jupyter_session_user" / "core" / "cookies.py").read_text("utf-8")
    found = {reason for pair in raised.findall(source) for reason in pair if reason}
    assert found <= set(reference.COOKIE_REASONS)


def _reason(code: str) -> str:
    return code.partition(".")[2] or code.partition("cookie_")[2]


def test_every_command_is_in_the_reference():
    """Each command and option has a help text, and the page of the command line has them."""
    for name, command in reference.actions().items():
        assert f"## {name}\n" in reference.cli()
        assert re.search(rf"jupyter session-user {name}\b", CLI), name
        for action in command._actions:
            assert action.help and action.help is not argparse.SUPPRESS, (name, action.dest)
            if action.option_strings and action.dest != "help":
                assert action.option_strings[-1] in CLI, (name, action.option_strings)


def test_the_help_is_the_same_in_any_terminal(monkeypatch):
    """The width of the builder's terminal is not in the page."""
    monkeypatch.setenv("COLUMNS", "40")
    narrow = reference.cli()
    monkeypatch.setenv("COLUMNS", "200")
    assert reference.cli() == narrow


@pytest.mark.parametrize("name", ["api", "errors", "settings", "rest", "events", "cli"])
def test_each_part_is_on_a_page(name):
    """What is made from the code is shown on the page of its name."""
    text = (DOCS / "reference" / f"{name}.md").read_text("utf-8")
    assert f"<!-- generated: {name} -->" in text
    assert reference.GENERATED[name]().strip()
