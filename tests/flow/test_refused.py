"""A user that the authority accepts and this server refuses gets a page, and no redirect loop."""

from __future__ import annotations

import html
import json
import re

import pytest
from people import Person
from servers import EXTENSION, kernel_of, opened, own_server, username

PAGES = ["view/x.html", "files/x.txt", "nbconvert/html/x.ipynb"]


@pytest.fixture(scope="module")
def proxied():
    """Run a server that trusts a proxy's header and has no other login."""
    with own_server(
        "--ServerApp.identity_provider_class=header_identity.HeaderIdentityProvider",
        "--ServerApp.disable_check_xsrf=True",
        extensions=(EXTENSION, "probe_extension"),
    ) as running:
        yield running


@pytest.fixture(scope="module")
def hub():
    """Run a server that names users as JupyterHub does."""
    with own_server(
        "--ServerApp.identity_provider_class=header_identity.HubIdentityProvider",
        "--ServerApp.disable_check_xsrf=True",
    ) as running:
        yield running


async def revoke(person: Person) -> None:
    """Revoke the user's own login."""
    mine = await person.json("api/session-user/me")
    answer = await person.fetch(f"api/session-user/sessions/{mine['id']}", method="DELETE")
    assert answer.code == 204


def text_of(body: bytes) -> str:
    """Return the text of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body.decode())).split())


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_says_so(proxied, path):
    """Alice gets status 403 with the reason, the start and the end of the refusal; Bob does not."""
    name = f"alice-{PAGES.index(path)}"
    alice, bob = Person(proxied.url, {"X-User": name}), Person(proxied.url, {"X-User": "bob"})
    await revoke(alice)
    for person in (alice, bob):
        person.headers["Accept"] = "text/html"
    page = await alice.fetch(path)
    assert (page.code, page.headers.get("Location")) == (403, None)
    pattern = r"revoked on this server at \d\d:\d\d on .* UTC.* refused until \d\d:\d\d on .* UTC"
    assert re.search(pattern, text_of(page.body))
    assert "identity provider" in text_of(page.body)
    assert (await bob.fetch(path)).code != 403


async def test_a_program_is_told_why(proxied):
    """A request that opens no page gets Jupyter's 403 in JSON, with the reason."""
    alice, bob = (Person(proxied.url, {"X-User": f"{n}-api"}) for n in ("alice", "bob"))
    await revoke(alice)
    refused = await alice.fetch("api/contents")
    answer = json.loads(refused.body)
    assert (refused.code, answer["reason"]) == (403, "SessionRevoked")
    pattern = r"revoked on this server at .* UTC\. You are refused until .* UTC\. Log in again\."
    assert re.search(pattern, answer["message"])
    assert (await bob.fetch("api/contents")).code == 200


async def test_a_public_page_of_an_extension_stays_public(proxied):
    """A revoked user reads it as nobody, with and without HTML in ``Accept``."""
    alice, bob = (Person(proxied.url, {"X-User": f"{n}-public"}) for n in ("alice", "bob"))
    await revoke(alice)
    for accept in ("text/html", "*/*"):
        alice.headers["Accept"] = bob.headers["Accept"] = accept
        shown = [await person.fetch("probe/public") for person in (alice, bob)]
        assert [page.code for page in shown] == [200, 200]
        assert [page.body for page in shown] == [b"welcome, nobody", b"welcome, bob-public"]


async def test_plain_http_of_a_websocket_class_does_not_loop(proxied):
    """A redirect to the login page would come back at once."""
    alice, bob = (Person(proxied.url, {"X-User": f"{n}-proxy"}) for n in ("alice", "bob"))
    await revoke(alice)
    refused, served = [await person.fetch("probe/proxy") for person in (alice, bob)]
    assert (refused.code, refused.headers.get("Location")) == (403, None)
    assert "revoked on this server" in text_of(refused.body)
    assert (served.code, served.body) == (200, b"welcome, bob-proxy")


async def test_signing_out_stays_possible(proxied):
    """The page for signing out answers a refused user."""
    alice = Person(proxied.url, {"X-User": "alice-out"})
    await revoke(alice)
    alice.headers["Accept"] = "text/html"
    assert (await alice.fetch("logout")).code == 200


async def test_one_login_of_the_hub_is_one_login(hub):
    """All requests of a browser are one login, with any token; another browser is another login."""
    page, rest = (Person(hub.url, {"X-Hub": f"alice browser-1 {token}"}) for token in ("t1", "t2"))
    other = Person(hub.url, {"X-Hub": "alice browser-2 t3"})
    script = Person(hub.url, {"X-Hub": "alice  t4"})
    ids = [(await p.json("api/session-user/me"))["id"] for p in (page, rest, other, script)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


async def test_revoking_one_browser_of_the_hub(hub):
    """The end of a browser's login reaches its REST calls and its socket, not other browsers."""
    first, second = (Person(hub.url, {"X-Hub": f"carol {s} {s}"}) for s in ("b1", "b2"))
    bob = Person(hub.url, {"X-Hub": "bob b3 t3"})
    async with (
        kernel_of(first) as kernel_id,
        opened(first, kernel_id) as hers,
        opened(second, kernel_id) as her_other,
        opened(bob, kernel_id) as his,
    ):
        await revoke(first)
        assert any(e.startswith("SessionRevoked") for e in (await hers.execute("1")).errors)
        assert [await username(s) for s in (her_other, his)] == ["carol", "bob"]
        assert (await first.fetch("api/contents")).code == 403
        assert (await second.fetch("api/contents")).code == 200
        first.headers["Accept"] = "text/html"
        assert (await first.fetch("files/x.txt")).code == 403
        # A new login at the Hub is valid at once.
        first.headers["X-Hub"] = "carol b4 t4"
        assert (await first.fetch("api/contents")).code == 200


async def test_sign_out_everywhere_of_the_hub(hub):
    """All logins of the user end in all browsers, and no other user's login does."""
    people = [Person(hub.url, {"X-Hub": f"dora {s} {s}"}) for s in ("c1", "c2")]
    bob = Person(hub.url, {"X-Hub": "bob c3 t3"})
    for person in (*people, bob):
        await person.json("api/session-user/me")
    answer = await people[0].json("api/session-user/logout-everywhere", method="POST", body=None)
    assert answer == {"revoked": 2}
    assert [(await p.fetch("api/contents")).code for p in (*people, bob)] == [403, 403, 200]
