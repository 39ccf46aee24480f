"""The pages for logging in again: access, redirects, and the scripts that they may run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from local_server import LocalServer
from people import Person
from servers import DEMO, PASSWORDS, kernel_of, opened, own_server, people_on, username

SIGNED_IN = "session-user/signed-in"
LOGIN = f"login?next=/{SIGNED_IN}"
HTML = {"Accept": "text/html"}


async def page(person: Person, path: str = SIGNED_IN) -> str:
    """Return a page as a browser gets it."""
    response = await person.fetch(path)
    assert response.code == 200
    assert response.headers["Content-Type"].startswith("text/html")
    return str(response.body.decode())


async def state(person: Person, session_id: str) -> Any:
    """Return the state of a login as the server answers it to any client."""
    response = await person.fetch(f"session-user/login-state?session={session_id}")
    assert (response.code, response.headers["Cache-Control"]) == (200, "no-store")
    return json.loads(response.body)


async def session_id(person: Person) -> str:
    """Return the id of the session of this login."""
    return str((await person.json("api/session-user/me"))["id"])


async def test_who_is_not_logged_in_is_led_through_the_login_and_back(server):
    """The form redirects to the requested page, which then names the user."""
    stranger = Person(server.url, HTML)
    response = await stranger.fetch(SIGNED_IN)
    assert response.code == 302
    there = urlsplit(response.headers["Location"])
    assert there.path == "/login"
    assert urlsplit(parse_qs(there.query)["next"][0]).path == f"/{SIGNED_IN}"
    await stranger.log_in(PASSWORDS["alice"], "alice")
    text = await page(stranger)
    assert "Logged in as Alice Adams" in text and "Bob" not in text


async def test_nothing_but_our_script_and_style_may_run(alice):
    """The policy allows only files of this server, and the page needs no others."""
    response = await alice.fetch(SIGNED_IN)
    policy = response.headers["Content-Security-Policy"]
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(
        re.split(r";\s*", policy)
    )
    assert "frame-ancestors 'self'" in policy
    assert response.headers["Cache-Control"] == "no-store"
    text = response.body.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|<style|style=", text)
    for name, kind in (("signed_in.js", "text/javascript"), ("signed_in.css", "text/css")):
        assert f'"/session-user/{name}"' in text
        file = await alice.fetch(f"session-user/{name}")
        assert file.code == 200
        assert file.headers["Content-Type"].startswith(kind)
        assert file.headers["X-Content-Type-Options"] == "nosniff"


@pytest.fixture(scope="module")
def evil_names() -> Iterator[LocalServer]:
    """Run a server behind a proxy that names the user in a header, below a base URL."""
    with own_server(
        "--ServerApp.identity_provider_class=header_identity.HeaderIdentityProvider",
        "--ServerApp.base_url=/u/",
    ) as running:
        yield running


async def test_a_name_is_text(evil_names):
    """Markup in a name is shown as text; text from the address is not shown at all."""
    evil = Person(evil_names.url, {"X-User": "<script>alert(1)</script>\"'&{base}", **HTML})
    for path in (SIGNED_IN, f"{SIGNED_IN}?until=%3Cscript%3Ealert(2)"):
        text = (await page(evil, path)).lower()  # that provider capitalises names
        assert "&lt;script&gt;alert(1)" in text and "{base}" in text
        assert "<script>" not in text and "alert(2)" not in text
        assert 'src="/u/session-user/signed_in.js"' in text


@pytest.fixture(scope="module")
def ending() -> Iterator[LocalServer]:
    """Run a server on which every login has an end."""
    with own_server(*DEMO, "--JupyterSessionUser.absolute_timeout=600") as running:
        yield running


async def form_to_renew(person: Person, until: str) -> str:
    """Return the address to which the page leads a user whose login ends at that time."""
    response = await person.fetch(f"{SIGNED_IN}?until={quote(until)}")
    assert response.code == 302
    there = urlsplit(response.headers["Location"])
    assert (there.path, parse_qs(there.query)["next"]) == ("/login", [f"/{SIGNED_IN}"])
    return f"{there.path}?{there.query}".lstrip("/")


async def test_a_login_is_replaced_only_when_the_new_one_succeeds(ending):
    """Seeing the form, closing it and a wrong password leave the old login as it was.

    When the form succeeds, a copy of the old cookie is refused and the kernels' sockets reconnect.
    Bob's login has nothing to do with it.
    """
    alice, bob = await people_on(ending)
    me, before = await alice.json("api/session-user/me"), dict(alice.cookies)
    async with kernel_of(alice) as kernel_id, opened(alice, kernel_id) as socket:
        for until in (me["expires_at"], ""):
            form = await alice.fetch(await form_to_renew(alice, until))
            assert form.code == 200 and b"Who are you?" in form.body
        fields = {"username": "alice", "password": "wrong", "_xsrf": alice.cookies["_xsrf"]}
        assert (await alice.fetch(LOGIN, method="POST", form=fields)).code == 401
        assert alice.cookies == before
        assert await session_id(alice) == me["id"]
        assert await username(socket) == "alice"
        await alice.log_in(PASSWORDS["alice"], "alice")
        assert await session_id(alice) != me["id"]
        await socket.closed.wait()
        assert socket.connection.close_code == 4400
        async with opened(alice, kernel_id) as again:
            assert await username(again) == "alice"
        copy = Person(ending.url)
        copy.cookies = before
        assert (await copy.fetch("api/me")).code == 403
        assert (await bob.fetch("api/me")).code == 200


async def test_a_login_that_is_already_renewed_needs_no_form(ending):
    """The page closes itself if the end that its opener knows is not the end any more."""
    alice, _ = await people_on(ending)
    for path in (SIGNED_IN, f"{SIGNED_IN}?until=2020-01-01T00:00:00Z"):
        assert "This window closes by itself." in await page(alice, path)


async def test_only_the_form_itself_ignores_the_login(ending):
    """The argument that shows the form is without effect on any other page, and with a POST."""
    alice, _ = await people_on(ending)
    for path in ("api/me", "lab", SIGNED_IN):
        answer = await alice.fetch(f"{path}?session-user-anyway=1")
        assert answer.code in {200, 404} and b"Who are you?" not in answer.body
    assert (await alice.fetch("login?next=/api/me")).code == 302  # logged in already


async def test_a_page_learns_how_its_login_ended(server):
    """The route returns signed out, revoked or still valid, and nothing about other logins."""
    alice, bob = await people_on(server)
    hers, his = await session_id(alice), await session_id(bob)
    assert await state(alice, hers) == {"signed_in": True, "state": None}
    assert await state(Person(server.url), hers) == {"signed_in": False, "state": None}
    assert await state(Person(server.url), "no-such-session") == {
        "signed_in": False,
        "state": None,
    }
    await alice.fetch("logout")
    await bob.fetch(f"api/session-user/sessions/{his}", method="DELETE")
    assert await state(alice, hers) == {"signed_in": False, "state": "signed_out"}
    assert await state(bob, his) == {"signed_in": False, "state": "revoked"}
