"""The parts of the reference that the code says itself, as Markdown.

A page holds ``<!-- generated: NAME -->``, and gets the text of that function here.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from navigation import ROOT

import jupyter_session_user
from jupyter_session_user import errors
from jupyter_session_user.cli.main import _parser
from jupyter_session_user.server.settings import Settings

__all__ = ["API", "GENERATED", "actions", "api_twin", "codes", "operations", "traits"]

PACKAGE = ROOT / "jupyter_session_user"

#: The public names of Python, by what people look for. A test keeps it complete.
API: dict[str, tuple[str, ...]] = {
    "The current user": ("get_current_user", "get_session", "get_cookies"),
    "Runs of cells": ("last_run", "LastRun"),
    "Threads, processes, updates": ("bind_current_user", "on_session_change"),
    "Access": ("require_user",),
    "Other services": (
        "connect_as_user",
        "get_access_token",
        "get_identity_token",
        "verify_identity_token",
        "IdentityClaims",
    ),
    "Values": ("User", "Session", "Actor", "Cookies"),
    "Apps": (
        "SessionUserMiddleware",
        "SessionUserWSGIMiddleware",
        "identity_from_cookie",
        "SessionBanner",
    ),
    "Errors": (
        "SessionUserError",
        "IdentityUnavailable",
        "SessionExpired",
        "SessionRevoked",
        "AccessDenied",
        "AccessTokenUnavailable",
        "ConsentRequired",
        "CookieError",
        "CookieUnavailable",
        "DatabaseUnavailable",
        "IdentityTokenUnavailable",
        "InvalidIdentityToken",
        "ConfigurationError",
        "RequestTimeout",
        "ProtocolError",
        "LocalProtocolError",
        "WrongArgument",
        "RemoteProtocolError",
        "SharedResultWarning",
    ),
}
#: Members that the package itself calls.
INTERNAL = (
    "from_wire",
    "now",
    "of",
    "own_access_token",
    "own_cookies",
    "own_database_login",
    "own_identity_token",
    "public_model",
    "to_wire",
)
_WITH_REASONS = frozenset(
    {
        errors.AccessTokenUnavailable,
        errors.DatabaseUnavailable,
        errors.IdentityUnavailable,
        errors.IdentityTokenUnavailable,
    }
)
#: The reasons of a ``CookieError``, as its docstring lists them.
COOKIE_REASONS = ("ambiguous", "too_large", "too_many", "undecodable", "withheld")


def _table(head: str, rows: Iterator[tuple[str, ...]] | list[tuple[str, ...]]) -> str:
    """Return a table of Markdown; ``head`` names the columns."""
    names = head.split(" | ")
    cells = [names, ["---"] * len(names), *([cell.replace("|", "\\|") for cell in r] for r in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


# ------------------------------------------------------------------------------------------- Python


def api() -> str:
    """Return directives of Sphinx for all public names."""
    parts = []
    for section, names in API.items():
        parts.append(f"## {section}\n\n```{{eval-rst}}\n.. currentmodule:: jupyter_session_user\n")
        for name in names:
            value = getattr(jupyter_session_user, name)
            if not isinstance(value, type):
                parts.append(f".. autofunction:: {name}\n")
                continue
            kind = "exception" if issubclass(value, BaseException) else "class"
            hidden = f"   :exclude-members: {', '.join(INTERNAL)}\n"
            options = "" if kind == "exception" else f"   :members:\n{hidden}"
            parts.append(f".. auto{kind}:: {name}\n{options}")
        parts.append("```\n")
    return "\n".join(parts)


def api_twin() -> str:
    """Return the same without Sphinx: signatures and docstrings."""
    parts = []
    for section, names in API.items():
        parts.append(f"## {section}\n")
        for name in names:
            value = getattr(jupyter_session_user, name)
            parts.append(f"### {name}{signature(value)}\n\n{_doc(value)}\n")
            parts += [f"#### {name}.{m}{signature(v)}\n\n{_doc(v)}\n" for m, v in members(value)]
    return "\n".join(parts)


def _doc(value: object) -> str:
    return f"```text\n{inspect.getdoc(value) or ''}\n```"


def signature(value: Any) -> str:
    """Return the arguments; empty for what has none."""
    try:
        return "" if isinstance(value, property) else str(inspect.signature(value))
    except ValueError:
        return ""


def members(value: object) -> list[tuple[str, Any]]:
    """Return the public methods and properties of a class of ours, errors excepted."""
    if not isinstance(value, type) or issubclass(value, BaseException | Warning):
        return []
    found = sorted((name, inspect.getattr_static(value, name)) for name in dir(value))
    return [
        (name, member.__func__ if isinstance(member, classmethod | staticmethod) else member)
        for name, member in found
        if not name.startswith("_")
        and name not in INTERNAL
        and isinstance(member, property | classmethod | staticmethod | type(api))
    ]


# ------------------------------------------------------------------------------------------- errors


def codes() -> dict[str, str]:
    """Return each stable code of an error, and the name of its class."""
    found = {}
    for name in errors.__all__:
        kind = getattr(errors, name)
        if not issubclass(kind, errors.SessionUserError):
            continue
        if kind in _WITH_REASONS:
            found |= {kind("", reason=r).code: name for r in kind.REASONS}
        elif kind is errors.CookieError:
            found |= {f"cookie_{reason}": name for reason in COOKIE_REASONS}
        elif "code" in vars(kind):
            found[kind.code] = name
    return found


def error_table() -> str:
    """Return the tree of classes, and a table of codes with links to their sections."""
    tree = (errors.__doc__ or "").split("\n\n")
    tree_text = "\n\n".join(tree[1:-1])
    rows = []
    for code, name in codes().items():
        kind = getattr(errors, name)
        reason = code.partition(".")[2]
        about = kind.REASONS[reason] if reason else (inspect.getdoc(kind) or "").splitlines()[0]
        link = f"[`{code}`](../troubleshooting.md#{code.replace('.', '')})"
        rows.append((link, f"`{name}`", about))
    return f"```text\n{tree_text}\n```\n\n" + _table("code | class | meaning, and the fix", rows)


# ----------------------------------------------------------------------------------------- settings


def traits() -> dict[str, Any]:
    """Return the settings, in the order of the source."""
    source = (PACKAGE / "server" / "settings.py").read_text("utf-8")
    (settings,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == Settings.__name__
    )
    order = [ast.unparse(s).split("=")[0].split(":")[0].strip() for s in settings.body]
    found = Settings.class_own_traits(config=True)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0])))


def settings() -> str:
    """Return a section for each setting."""
    parts = []
    for name, trait in traits().items():
        kind = type(trait).__name__
        if kind == "Enum":
            kind = " or ".join(f'`"{value}"`' for value in trait.values)
        help_text = " ".join(trait.help.split())
        none = ", or `None`" if trait.allow_none and kind != "Enum" else ""
        parts.append(
            f"## {name}\n\n`c.JupyterSessionUser.{name}`: {kind}{none}. "
            f"Default: `{_default(trait)}`\n\n{help_text}\n"
        )
    return "\n".join(parts)


def _default(trait: Any) -> str:
    value = trait.make_dynamic_default() if hasattr(trait, "make_dynamic_default") else None
    return repr(trait.default_value if value is None and not trait.allow_none else value)


# --------------------------------------------------------------------------------------------- REST


def openapi() -> dict[str, Any]:
    """Return the description of the REST API."""
    path = PACKAGE / "server" / "web" / "openapi.json"
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path and description of each route."""
    return [
        (method.upper(), path, operation)
        for path, methods in openapi()["paths"].items()
        for method, operation in methods.items()
    ]


def rest() -> str:
    """Return a section for each route, and one for each kind of object."""
    document = openapi()
    parts = [document["info"]["description"], "\n## Routes\n"]
    for method, path, operation in operations():
        parts.append(f"### {method} {path}\n\n{operation['summary']}\n")
        if "requestBody" in operation:
            media, schema = _body(operation["requestBody"])
            parts.append(f"The body, as {media}:\n\n{_fields(schema)}\n")
        rows = []
        for status, answer in operation["responses"].items():
            shared = answer.get("$ref", "").rpartition("/")[2]
            full = document["components"]["responses"][shared] if shared else answer
            rows.append((status, "see [Error](#error)" if shared else full["description"]))
            if not shared and "content" in full:
                rows[-1] = (status, f"{full['description']} {_kind(_content(full))}")
        parts.append(_table("status | answer", rows) + "\n")
    parts.append("## Objects\n")
    for name, schema in document["components"]["schemas"].items():
        text = document["components"]["responses"].get(name, {}).get("description", "")
        parts.append(f"### {name}\n\n{text}\n\n{_fields(schema)}\n")
    return "\n".join(parts)


def _content(answer: Mapping[str, Any]) -> dict[str, Any]:
    return _body(answer)[1]


def _body(answer: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the media type and the schema; each body has one of each."""
    [(media, content)] = answer["content"].items()
    return "JSON" if media == "application/json" else f"`{media}`", content["schema"]


def _kind(schema: Mapping[str, Any]) -> str:
    """Return the type of a value, with a link to an object's section."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kinds = schema.get("type", "object")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "items" in schema:
        return f"array of {_kind(schema['items'])}"
    if "properties" in schema:
        return "`{" + ", ".join(f'"{name}": …' for name in schema["properties"]) + "}`"
    if schema.get("format"):
        kinds = [f"{kind} ({schema['format']})" if kind == "string" else kind for kind in kinds]
    return " or ".join(kinds)


def _fields(schema: Mapping[str, Any]) -> str:
    """Return the fields of an object, with those that it shares with another one."""
    parents = [part for part in schema.get("allOf", ()) if "$ref" in part]
    intro = "".join(f"The fields of {_kind(parent)}, and\n\n" for parent in parents)
    rows = [
        (f"`{name}`", _kind(field), field.get("description", ""))
        for name, field in schema.get("properties", {}).items()
    ]
    return intro + _table("field | type | meaning", rows)


# ------------------------------------------------------------------------------------------- events


def event_schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of the events, by name."""
    folder = PACKAGE / "server" / "web" / "event_schemas"
    return {
        path.parent.name: yaml.safe_load(path.read_text("utf-8"))
        for path in sorted(folder.glob("*/v1.yaml"), reverse=True)
    }


def events() -> str:
    """Return the fields of each event."""
    parts = []
    for name, schema in event_schemas().items():
        about = f"`{schema['$id']}`, version {schema['version']}"
        parts.append(f"## {name}\n\n{about}\n\n{schema['description']}\n")
        for field, text in schema["properties"].items():
            personal = " Personal data." if text.get("personal-data") else ""
            kind = f"Type: {_kind(text)}.{personal}"
            parts.append(f"### {field}\n\n{kind}\n\n{text['description']}\n")
    return "\n".join(parts)


# ---------------------------------------------------------------------------------------- shell


def actions(parser: argparse.ArgumentParser | None = None) -> dict[str, argparse.ArgumentParser]:
    """Return the commands by name."""
    every = (parser or _parser())._actions  # noqa: SLF001 - argparse shows them in no other way
    (choice,) = (action for action in every if isinstance(action, argparse._SubParsersAction))  # noqa: SLF001
    return dict(choice.choices)


def cli() -> str:
    """Return the help of each command."""
    before, os.environ["COLUMNS"] = os.environ.get("COLUMNS"), "80"
    try:
        parser = _parser()
        parts = [f"```text\n{parser.format_help()}```\n"]
        for name, command in actions(parser).items():
            parts.append(f"## {name}\n\n```text\n{command.format_help()}```\n")
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before
    return "\n".join(parts)


def _document(name: str) -> Callable[[], str]:
    """Return a function for a document of the repository, without its title."""

    def body() -> str:
        text = Path(ROOT, name).read_text("utf-8").partition("\n")[2]
        # Its links start from the repository, and the page's from the folder of the pages.
        text = re.sub(r"\]\((?!docs/|#|[a-z]+:)", "](../", text)
        return text.replace("](docs/", "](")

    return body


#: The functions by the names that pages use.
GENERATED: dict[str, Callable[[], str]] = {
    "api": api,
    "errors": error_table,
    "settings": settings,
    "rest": rest,
    "events": events,
    "cli": cli,
    "changelog": _document("CHANGELOG.md"),
    "contributing": _document("CONTRIBUTING.md"),
    "releasing": _document("RELEASING.md"),
    "security": _document("SECURITY.md"),
}
