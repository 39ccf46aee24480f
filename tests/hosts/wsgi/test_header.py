"""A proxy's header on real WSGI servers: only the exact name counts, and only once."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from app_servers import WHO, AppServer, app_server
from needs import need

NAME = "X-Forwarded-User"
#: Other spellings that WSGI also calls HTTP_X_FORWARDED_USER.
ALIASES = ("X_Forwarded_User", "x-forwarded_user", "X_FORWARDED-USER")

#: Servers that drop headers with an underscore.
CLEAN = ("werkzeug", "waitress", "gevent", "gunicorn")
#: Servers that treat them as the header with a dash.
MERGING = ("wsgiref", "tornado")


def running(name: str) -> Iterator[AppServer]:
    """Run the app on this server; servers that no other test needs may be missing."""
    need(importlib.util.find_spec(name), f"{name} is missing")
    app = Path(__file__).with_name("header_app.py").read_text(encoding="utf-8")
    files = {"header_app.py": app, "who.py": WHO}
    command = (sys.executable, "header_app.py", name, "{port}")
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # where this server was found
    with app_server(*command, files=files, env=path, ready="/") as server:
        yield server


@pytest.fixture(scope="module", params=CLEAN)
def clean(request) -> Iterator[AppServer]:
    """Run each server that distinguishes the spellings."""
    yield from running(request.param)


@pytest.fixture(scope="module", params=MERGING)
def merging(request) -> Iterator[AppServer]:
    """Run each server that does not distinguish them."""
    yield from running(request.param)


def said(server: AppServer, *headers: tuple[str, str], path: str = "/") -> str:
    """Return the app's response to a request with exactly these headers."""
    with server.connect() as connection:
        connection.putrequest("GET", path)
        for name, value in headers:
            connection.putheader(name, value.encode())
        connection.endheaders()
        return json.loads(connection.getresponse().read())


def test_only_the_exact_name_counts(clean):
    """Another spelling names no user, alone or beside the proxy's own header."""
    for name in ("alice", "bob", "Zoë À"):
        assert said(clean, (NAME, name)) == f"{name} verified by wsgi"
        for alias in ALIASES:
            assert said(clean, (alias, "mallory")) == "anonymous"
            assert said(clean, (NAME, name), (alias, "mallory")) == f"{name} verified by wsgi"
            assert said(clean, (alias, "mallory"), (NAME, name)) == f"{name} verified by wsgi"


def test_two_values_name_no_person(clean):
    """One of the two values may be the visitor's."""
    for names in (("alice", "mallory"), ("mallory", "bob")):
        assert said(clean, *((NAME, name) for name in names)) == "anonymous"


def test_behind_a_server_that_merges_the_names_it_is_an_error(merging):
    """WSGI cannot distinguish the spellings there, so both cause an error."""
    assert said(merging) == "anonymous"
    for name in (NAME, *ALIASES):
        for visitor in ("alice", "bob", "mallory"):
            error = said(merging, (name, visitor))
            assert "gunicorn" in error and "header_is_exact=True" in error
            assert visitor not in error


def test_a_proxy_that_cleans_the_header_can_be_vouched_for(merging):
    """With ``header_is_exact``, the header counts on any server."""
    for name in ("alice", "bob"):
        assert said(merging, (NAME, name), path="/exact") == f"{name} verified by wsgi"


@pytest.mark.parametrize("name", ["a\u202eb", "a\u2066b", "a\x85b", "a\u2028b", "x" * 257])
def test_a_name_that_is_not_plain_is_none(clean, name):
    """Control characters, line separators, text-direction characters, and too long names."""
    assert said(clean, (NAME, name)) in ("anonymous", None)
