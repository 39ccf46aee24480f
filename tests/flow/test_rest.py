"""REST: the data on sessions that a browser may read, as ``openapi.json`` describes it."""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import jsonschema
import pytest
from local_server import LocalServer
from people import Person
from servers import DEMO, PASSWORDS, kernel_of, opened, own_server, people_on, username
from tornado.httpclient import HTTPResponse
from tornado.web import RequestHandler

from jupyter_session_user.server.web.api import ROUTES

OPENAPI = json.loads(
    importlib.resources.files("jupyter_session_user.server.web")
    .joinpath("openapi.json")
    .read_text()
)
PATHS = ["api/session-user/me", "api/session-user/sessions"]


@pytest.fixture(scope="module")
def guarded_server() -> Iterator[LocalServer]:
    """Run a server on which alice is an administrator, and the authorizer refuses bob."""
    with own_server(
        *DEMO,
        "--JupyterSessionUser.admin_users=alice",
        "--ServerApp.authorizer_class=guarding_authorizer.GuardingAuthorizer",
    ) as running:
        yield running


def checked(path: str, response: HTTPResponse) -> Any:
    """Return the JSON of an answer that matches the description and must not be cached."""
    assert response.headers["Content-Type"].startswith("application/json")
    assert response.headers["Cache-Control"] == "no-store"
    answer = json.loads(response.body)
    declared = OPENAPI["paths"][f"/{path}"]["get"]["responses"][str(response.code)]
    if "$ref" in declared:
        assert declared["$ref"] == "#/components/responses/Error"
        schema: dict = {"$ref": "#/components/schemas/Error"}
    else:
        schema = declared["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator(
        {**schema, "components": OPENAPI["components"]}, format_checker=jsonschema.FormatChecker()
    )
    validator.validate(answer)
    return answer


async def ask(person: Person, path: str) -> Any:
    """Return a good answer, checked against its description."""
    response = await person.fetch(path)
    assert response.code == 200
    return checked(path, response)


def test_every_route_is_described_and_every_description_is_a_route():
    """``openapi.json`` and the handlers name the same addresses, with the same methods."""
    routes = {
        f"/{pattern}".replace(r"([\w-]+)", "{id}"): {
            method.lower()
            for method in handler.SUPPORTED_METHODS
            if getattr(handler, method.lower()) is not getattr(RequestHandler, method.lower())
        }
        - {"options"}  # Jupyter's own, for all API handlers
        for pattern, handler in ROUTES
        if not pattern.endswith(".*")
    }
    assert routes == {path: set(methods) for path, methods in OPENAPI["paths"].items()}
    for schema in OPENAPI["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_me_is_whoever_asks(alice, bob):
    """Each user gets the session of the caller's own login, without a kernel."""
    hers, his = await ask(alice, PATHS[0]), await ask(bob, PATHS[0])
    assert (hers["user"]["username"], his["user"]["username"]) == ("alice", "bob")
    assert hers["kernel_id"] is None and hers["verified"] is True
    assert hers["user"]["groups"] == ["finance"]


async def test_me_tells_the_time_and_how_it_stands_with_the_login(alice, bob):
    """``server_time`` is now, and ``expires_at`` is later: the browser's clock does not matter."""
    for person in (alice, bob):
        me = await ask(person, PATHS[0])
        now = datetime.fromisoformat(me["server_time"].replace("Z", "+00:00"))
        assert abs((now - datetime.now(timezone.utc)).total_seconds()) < 60
        assert (me["state"], me["degraded"]) == ("active", False)
        assert me["expiry_source"] == "estimated"
        assert me["expires_at"] > me["server_time"]


async def test_people_see_their_own_sessions_only(alice, bob):
    """Two users share a kernel: the list of each has no session of the other."""
    async with kernel_of(alice) as own, opened(alice, own) as hers, opened(bob, own) as his:
        assert (await username(hers), await username(his)) == ("alice", "bob")
        for person, name in ((alice, "alice"), (bob, "bob")):
            listed = await ask(person, "api/session-user/sessions")
            assert {s["user"]["username"] for s in listed} == {name}
            (here,) = [s for s in listed if s["kernel_id"] == own]
            assert here["kernel_owner"] == "alice"
            assert here["owns_kernel"] is (name == "alice")


async def test_an_administrator_sees_everybodys_sessions(guarded_server):
    """``admin_users`` makes alice an administrator: bob's session is in her list."""
    alice, bob = await people_on(guarded_server)
    kernel_id = await bob.start_kernel()
    async with opened(bob, kernel_id) as his:
        assert await username(his) == "bob"
        listed = await ask(alice, "api/session-user/sessions")
    assert {s["user"]["username"] for s in listed} == {"alice", "bob"}
    assert (await ask(alice, PATHS[0]))["user"]["admin"] is True


@pytest.mark.parametrize("path", PATHS)
async def test_nobody_gets_403_as_json(server, path):
    """Without a login: status 403 and JSON, no redirect to a login page."""
    response = await Person(server.url).fetch(path)
    assert response.code == 403
    checked(path, response)


@pytest.mark.parametrize("path", PATHS)
async def test_who_may_not_read_gets_403_as_json(guarded_server, path):
    """The authorizer decides: bob is logged in but refused; alice is not refused."""
    alice, bob = await people_on(guarded_server)
    response = await bob.fetch(path)
    assert response.code == 403
    assert "session-user" in checked(path, response)["message"]
    await ask(alice, path)


@pytest.mark.parametrize("path", ["", "me/", "meme", "sessions/1/2", "../session-user/x", "ME"])
async def test_other_addresses_are_404_as_json(alice, path):
    """A program can read the error of an address that does not exist."""
    response = await alice.fetch(f"api/session-user/{path}")
    assert response.code == 404
    if ".." not in path:
        assert response.headers["Cache-Control"] == "no-store"
    assert json.loads(response.body)["message"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_these_change_nothing(alice, method):
    """Routes that answer GET answer no other method."""
    for path in PATHS:
        assert (await alice.fetch(path, method=method, body={})).code == 405


async def test_answers_hold_no_cookies_claims_or_keys(alice, bob, kernel, as_user):
    """An answer has neither a value nor a hash of the login, nor other data of the provider."""
    alice.cookies["canary"] = "c4n4ry-0f-4l1c3"
    async with opened(alice, kernel) as hers:
        await hers.execute("import jupyter_session_user as j; j.get_cookies()")
        texts = [(await alice.fetch(path)).body.decode() for path in PATHS]
    for value in (*alice.cookies.values(), *PASSWORDS.values()):
        assert not any(value.strip('"') in text for text in texts)
    texts += [(await as_user("root").fetch(path)).body.decode() for path in PATHS]
    for word in ("claims", "hub_user", "scopes", '"key"', '"cookies"', "stamp", '"principal"'):
        assert not any(word in text for text in texts)


async def test_fields_beyond_the_description_are_not_sent(alice, kernel):
    """An answer's fields are exactly those that the description names."""
    async with opened(alice, kernel) as hers:
        await username(hers)
    schemas = OPENAPI["components"]["schemas"]
    known = {*schemas["Session"]["properties"], *schemas["Me"]["properties"]}
    assert set(await ask(alice, "api/session-user/me")) <= known
    for session in await ask(alice, "api/session-user/sessions"):
        assert set(session) <= set(schemas["Session"]["properties"])
        assert set(session["user"]) == set(schemas["User"]["properties"])
