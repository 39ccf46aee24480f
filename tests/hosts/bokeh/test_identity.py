"""The current user in an app of ``bokeh serve`` and ``panel serve``, on the real servers."""

import asyncio

import pytest
from bokeh.util.token import generate_jwt_token
from serving import APPS, SECRET, Visit
from tornado.web import create_signed_value

PROBE = APPS / "probe.py"
AUTH = APPS.parent / "auth"
HEADER = ("--auth-module", str(AUTH / "header_user.py"))
ASYNC = ("--auth-module", str(AUTH / "header_user_async.py"))
JANE = (
    "ewogICAgInVzZXJfaWQiOiAiYWJjZGVmZ2hpajEyMzQ1Njc4OTAiLAogICAgInVzZXJfZnVsbF9uYW1lIjogIkphbm"
    "UgRG9lIgp9"
)  # from the platform's documentation

PACKAGE = "jupyter_session_user"

both = pytest.mark.parametrize("tool", ["bokeh", "panel"])


def visitor(server, name, tag=""):
    """Return a visitor that a proxy names."""
    return Visit(server, tag or f"{name}-{id(server)}-{next(_numbers)}", {"X-Forwarded-User": name})


_numbers = iter(range(10_000))


def forged(server, visit, user="ADMIN"):
    """Return a token that any client can write, for a session that does not exist yet."""
    payload = {
        "headers": {"X-Forwarded-User": user, "Cookie": f"user={user}"},
        "cookies": {"user": user, "is_guest": "1"},
        "arguments": {"tag": [visit.tag.encode()]},
    }
    return generate_jwt_token(f"made up {visit.tag}", expiration=10**7, extra_payload=payload)


@both
@pytest.mark.parametrize("auth", [HEADER, ASYNC], ids=["get_user", "get_user_async"])
async def test_two_visitors_at_the_same_time(started, tool, auth):
    """In each place of an app, code has its own visitor or gets an error."""
    server = started(tool, PROBE, *auth)
    people = {name: visitor(server, name) for name in ("alice", "bob")}
    await asyncio.gather(*(visit.open() for visit in people.values()))
    await asyncio.gather(*(visit.click("Click") for visit in people.values()))

    for name, visit in people.items():
        for where in (
            *("page", "click", "async", "async later", "to_thread", "awaited task"),
            *("timeout", "periodic", "bound thread", "bound executor"),
        ):
            line = (await server.wait(tag=visit.tag, where=where))[0]
            assert (where, line.get("user")) == (where, name)
            assert line["source"] == tool and line["verified"]
        for where in ("thread", "executor", "orphan"):
            assert (where, await server.user(tag=visit.tag, where=where)) == (where, "no_context")


@both
async def test_page_and_callbacks_are_one_session(started, tool):
    """The session keeps its id from the page to the callbacks, and no two pages share one."""
    server = started(tool, PROBE, *HEADER)
    first, second = [await visitor(server, "alice").open() for _ in range(2)]
    for visit in (first, second):
        await visit.click("Click")
    ids = [
        [(await server.wait(tag=visit.tag, where=where))[0]["id"]]
        for visit in (first, second)
        for where in ("page", "click")
    ]
    assert ids[0] == ids[1] != ids[2] == ids[3]


@both
async def test_forged_token(started, tool):
    """A session opened with a self-written token belongs to its client, not to ADMIN."""
    server = started(tool, PROBE, *HEADER)
    visit = visitor(server, "bob")
    await visit.connect(forged(server, visit))
    await visit.click("Click")
    for where in ("page", "click", "periodic"):
        line = (await server.wait(tag=visit.tag, where=where))[0]
        assert line["user"] == "bob"
        assert line["headers"]["x-forwarded-user"] == "bob"
        assert line["cookies"] == []


@both
async def test_stolen_token(started, tool):
    """The user of a click is the client that sent it, also on another visitor's document."""
    server = started(tool, PROBE, *HEADER)
    alice, bob = await visitor(server, "alice").open(), visitor(server, "bob")
    await bob.connect(alice.token)
    await bob.click("Click")
    assert await server.user(tag=alice.tag, where="click") == "bob"
    assert {line["user"] for line in server.said(tag=alice.tag, where="periodic")} <= {"alice"}


@both
async def test_broadcast_to_another_document(started, tool):
    """A callback that one visitor adds to another visitor's document runs as the other visitor."""
    server = started(tool, PROBE, *HEADER)
    alice = await visitor(server, "alice").open()
    bob = await visitor(server, "bob").open()
    await bob.click("Everybody")
    assert await server.user(where="broadcast", tag=bob.tag, on=alice.tag) == "alice"
    assert await server.user(where="broadcast", tag=bob.tag, on=bob.tag) == "bob"


@both
async def test_process_wide_task(started, tool):
    """A task that the first visitor's page starts for all visitors has no user."""
    server = started(tool, PROBE, *HEADER)
    await visitor(server, "alice", f"forever-{tool}").open()
    await visitor(server, "bob").open()
    lines = await server.wait(5, where="process-wide")
    assert {line.get("user") or line["error"] for line in lines} == {"no_context"}


@both
async def test_signed_cookie_without_an_auth_module(started, tool):
    """Only a cookie signed with the server's secret names its user."""
    server = started(tool, PROBE, "--cookie-secret", SECRET, PROBE_SIGNED="1")
    values = {
        "alice": create_signed_value(SECRET, "user", "alice").decode(),
        "carol": create_signed_value(SECRET, "user", "carol").decode(),
        "-": create_signed_value("another secret", "user", "mallory").decode(),
        "- ": "mallory",
    }
    for name, value in values.items():
        visit = Visit(server, f"{tool} signed {name}", cookies={"user": value})
        await visit.open()
        await visit.click("Click")
        for where in ("page", "click"):
            line = (await server.wait(tag=visit.tag, where=where))[0]
            assert line["user"] == name.strip()
            assert line["verified"] is (name.strip() != "-")
            assert line["signed"] == (None if "-" in name else name)  # get_cookies().get_signed


@both
async def test_login_with_several_processes(started, tool):
    """Two visitors log in; each of their requests may reach another process."""
    server = started(
        *(tool, PROBE, "--auth-module", str(AUTH / "cookie_login.py")),
        *("--cookie-secret", SECRET, "--num-procs", "2"),
        runner=True,
    )
    people = {name: Visit(server, f"{tool} {name}") for name in ("alice", "bob")}
    for name, visit in people.items():
        assert (await visit.fetch(server.path)).code == 302
        await visit.fetch(f"/login?name={name}")
    await asyncio.gather(*(visit.open() for visit in people.values()))
    await asyncio.gather(*(visit.click("Click") for visit in people.values()))
    for name, visit in people.items():
        for where in ("page", "click", "async later"):
            assert await server.user(tag=visit.tag, where=where) == name
        for _ in range(6):  # from any process, also one that has made no page yet
            script = await visit.fetch(f"/static/extensions/{PACKAGE}/{PACKAGE}.js")
            assert script.code == 200


@both
async def test_reload_as_the_other_person(started, tool):
    """The same browser signs in as another user: the new page has that user."""
    server = started(
        *(tool, PROBE, "--auth-module", str(AUTH / "cookie_login.py")),
        *("--cookie-secret", SECRET),
    )
    visit = Visit(server, f"{tool} first")
    for name in ("alice", "bob"):
        visit.tag = f"{tool} {name}"
        await visit.fetch(f"/login?name={name}")
        await visit.open()
        await visit.click("Click")
        for where in ("page", "click"):
            assert await server.user(tag=visit.tag, where=where) == name


@both
async def test_platform_cookie(started, tool):
    """The platform's cookie names Jane Doe, unverified; without it the visitor is anonymous."""
    server = started(tool, APPS / "platform_cookie.py")
    jane = Visit(server, f"{tool} jane", cookies={"numerous_user_info": JANE})
    nobody = Visit(server, f"{tool} nobody")
    for visit in (jane, nobody):
        await visit.open()
        await visit.click("Click")
    for where in ("page", "click"):
        line = (await server.wait(tag=jane.tag, where=where))[0]
        assert (line["user"], line["name"]) == ("abcdefghij1234567890", "Jane Doe")
        assert (line["verified"], line["door"]) == (False, "denied")
        line = (await server.wait(tag=nobody.tag, where=where))[0]
        assert line["anonymous"] and line["door"] == "denied"


@both
async def test_imported_too_late(started, tool):
    """If a callback imports the package, it gets one error; later callbacks work."""
    server = started(tool, APPS / "late.py", *HEADER)
    visit = await visitor(server, "alice").open()
    await visit.click("Click")
    first = (await server.wait(tag=visit.tag))[0]
    assert first["error"] == "no_context"
    await visit.click("Click")
    assert (await server.wait(2, tag=visit.tag))[1]["user"] == "alice"


WRAPPER = APPS.parents[3] / "jupyter_session_user" / "hosts" / "bokeh_auth.py"


@pytest.mark.parametrize(
    ("tool", "arguments", "options"),
    [
        ("panel", HEADER, {"runner": True}),
        ("bokeh", HEADER, {"runner": True}),
        ("panel", (*HEADER, "--plugins", "jupyter_session_user.hosts.panel"), {}),
        (
            "bokeh",
            ("--auth-module", str(WRAPPER)),
            {"JUPYTER_SESSION_USER_AUTH_MODULE": HEADER[1]},
        ),
    ],
    ids=["runner-panel", "runner-bokeh", "plugin", "auth-module"],
)
async def test_no_change_in_the_app(started, tool, arguments, options):
    """The server and the page load the package, although the app does not use it."""
    server = started(tool, APPS / "unaware.py", *arguments, **options)
    for name in ("alice", "bob"):
        visit = visitor(server, name)
        page = await visit.load()
        assert b"jupyter_session_user.js" in page.body
        await visit.connect()
        await visit.click("Click")
        for where in ("page", "click"):
            assert await server.user(tag=visit.tag, where=where) == name
