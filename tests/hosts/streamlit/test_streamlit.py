"""Two visitors of a Streamlit app at the same time: a platform's cookie, st.login, headers."""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_servers import JANE, WHO, AppServer, app_server, platform_cookie
from tabs import Tab, tabs_of

from jupyter_session_user.core.login_tokens import claims_in

HERE = Path(__file__).parent
FILES = {
    "app.py": (HERE / "streamlit_app.py").read_text(encoding="utf-8"),
    "meeting.py": "import threading\nMEETING, NOTES = threading.Barrier(2), []\n"
    "BEGUN, RELEASED = threading.Event(), threading.Event()\n",
    "keeping.py": (HERE / "keeping.py").read_text(encoding="utf-8"),
    "who.py": WHO,
}
COMMAND = (
    *(sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "{port}"),
    *("--server.address", "127.0.0.1", "--server.headless", "true"),
    *("--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none"),
)
SECRETS = """
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "of these tests, and long enough for that"
client_id = "streamlit"
client_secret = "made up"
server_metadata_url = "PROVIDER/.well-known/openid-configuration"
expose_tokens = ["access"]
"""
HEADERS = """
[server.trustedUserHeaders]
x-forwarded-user = "username"
x-forwarded-name = "name"
"""
READY = "/_stcore/health"
NOBODY = "nobody: no_context"


@pytest.fixture(scope="session")
def streamlit_installed(need) -> None:
    """Skip without Streamlit; this folder has its name, hence the longer one."""
    need(importlib.util.find_spec("streamlit.runtime"), "streamlit is missing")


def running(files: dict[str, str]) -> Iterator[AppServer]:
    """Run the app, with more files."""
    with app_server(*COMMAND, files={**FILES, **files}, ready=READY) as server:
        yield server


@pytest.fixture(scope="module")
def server(streamlit_installed) -> Iterator[AppServer]:
    """Run the app behind a platform that sends a cookie."""
    yield from running({})


@pytest.fixture(scope="module")
def header_server(streamlit_installed) -> Iterator[AppServer]:
    """Run the app behind a proxy that sends a header."""
    yield from running({".streamlit/config.toml": HEADERS})


@pytest.fixture(scope="module")
def provider(need) -> Iterator[AppServer]:
    """Run an OpenID provider."""
    need(importlib.util.find_spec("fastapi"), "fastapi is missing")
    need(importlib.util.find_spec("joserfc"), "joserfc is missing")
    command = (sys.executable, "-m", "uvicorn", "fake_provider:app", "--port", "{port}")
    files = {"fake_provider.py": (HERE / "fake_provider.py").read_text(encoding="utf-8")}
    with app_server(*command, files=files, ready="/jwks") as running:
        yield running


@pytest.fixture(scope="module")
def login_server(streamlit_installed, provider, need) -> Iterator[AppServer]:
    """Run the app with Streamlit's own login."""
    need(importlib.util.find_spec("authlib"), "authlib is missing")
    secrets = SECRETS.replace("PROVIDER", f"http://{provider.host}")
    yield from running({".streamlit/secrets.toml": secrets})


def expected(who: str) -> dict[str, str]:
    """Return the expected output of a tab for a user."""
    right = ("main", "asyncio", "attached_thread", "bound_thread", "fragment")
    return {**dict.fromkeys(right, who), "bare_thread": NOBODY}


def shown(tab: Tab) -> dict[str, str]:
    """Return the part of the app's output that is the same for each tab."""
    return {key: tab.said[key] for key in expected("")}


def cookies(*names: str) -> list[str]:
    """Return the cookies of these users' browsers: the platform's cookie, and one more."""
    return [f"{platform_cookie(name)}; theme={name}" for name in names]


async def test_two_visitors(server):
    """The script, callbacks, fragments and threads have the visitor, also at the same time."""
    async with tabs_of(server.host, *cookies("ann", "ben")) as (ann, ben):
        await asyncio.gather(ann.open("meet=1"), ben.open("meet=1"))
        for tab, name in ((ann, "ann"), (ben, "ben")):
            assert shown(tab) == expected(f"{name} unverified by streamlit")
            assert tab.said["theme"] == name
        for button in ("press", "inside"):
            await asyncio.gather(ann.run(button=button), ben.run(button=button))
            for tab, name in ((ann, "ann"), (ben, "ben")):
                assert tab.said["callback"] == f"{name} unverified by streamlit"
        assert ann.said["fragment_runs"] == ben.said["fragment_runs"] == 2


async def test_asking_in_a_cache_warns(server):
    """A result kept for all visitors causes one warning; none if the user is in the key."""
    async with tabs_of(server.host, *cookies("ann", "ben")) as (ann, ben):
        await ann.open("cache=1")
        await ben.open("cache=1")
    kept = {"data": 1, "once": 0, "resource": 1, "lru_cache": 1}  # ben gets ann's result
    assert ann.said["cache"] == ben.said["cache"] == {**kept, "told": 0, "outside": 0}


async def test_streamlits_empty_thread(server):
    """If Streamlit's values are empty, as for an anonymous visitor, the package raises."""
    async with tabs_of(server.host, *cookies("ann")) as (ann,):
        await ann.open()
        assert ann.said["streamlit_in_bare_thread"] == [{}, {}]
        assert ann.said["bare_thread"] == NOBODY


async def test_reload_as_the_other_person(server):
    """After another user's login, the tab has that user, in the same session too."""
    async with tabs_of(server.host, *cookies("ann")) as (tab,):
        await tab.open()
        await tab.close()
        tab.cookie = cookies("ben")[0]
        await tab.open()
        assert shown(tab) == expected("ben unverified by streamlit")
        await tab.run(button="press")
        assert tab.said["callback"] == "ben unverified by streamlit"


async def test_a_run_whose_connection_is_taken_over(server):
    """A login during ann's busy run does not take over the run, although Streamlit says so."""
    async with tabs_of(server.host, *cookies("ann", "zoe")) as (tab, other):
        await tab.open()
        await tab.start("late=1")
        await other.open("begun=1")
        await tab.close()
        tab.cookie = cookies("ben")[0]
        await tab.connect()
        assert await notes_of(other) == [NOBODY]


async def notes_of(tab: Tab) -> list[str]:
    """Let the busy run continue, and return its notes."""
    while not (await tab.run("release=1")).said["notes"]:
        await asyncio.sleep(0.05)
    return tab.said["notes"]


async def test_the_seeds_visitor(server):
    """The platform's own example names Jane Doe."""
    async with tabs_of(server.host, f"numerous_user_info={JANE}") as (tab,):
        await tab.open()
        assert shown(tab) == expected("abcdefghij1234567890 unverified by streamlit")
        assert tab.said["name"] == "Jane Doe"


async def test_an_ambiguous_cookie_names_nobody(server):
    """Of two cookies with one name, Streamlit takes the last; the right one is unknown."""
    both = "; ".join(platform_cookie(name) for name in ("ann", "ben"))
    async with tabs_of(server.host, both) as (tab,):
        await tab.open()
        assert shown(tab) == expected("anonymous")


def log_in(server: AppServer, provider: AppServer, name: str) -> str:
    """Go through Streamlit's login in a user's browser, and return its cookies."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    browser.open(f"http://{provider.host}/sign-in/{name}", timeout=60).close()
    tab = Tab(server.host)

    async def ask() -> None:
        await tab.open("login=1")
        await tab.close()

    asyncio.run(ask())
    browser.open(f"http://{server.host}{tab.redirect}", timeout=60).close()
    return "; ".join(f"{c.name}={c.value}" for c in jar if c.name.startswith("_streamlit_user"))


@pytest.fixture(scope="module")
def logins(login_server, provider) -> dict[str, str]:
    """Return the cookies of logged-in users."""
    return {name: log_in(login_server, provider, name) for name in ("alice", "bob", "carol")}


async def test_login_two_visitors(login_server, logins):
    """After st.login, each user is verified under the provider's address."""
    async with tabs_of(login_server.host, logins["alice"], logins["bob"], "") as tabs:
        await asyncio.gather(*(tab.open() for tab in tabs))
        alice, bob, stranger = tabs
        assert shown(alice) == expected("alice@example.com verified by streamlit")
        assert alice.said["name"] == "Alice Adams"
        assert claims_in(alice.said["token"])["name"] == "token-of-alice"
        assert claims_in(bob.said["token"])["name"] == "token-of-bob"
        assert stranger.said["token"] == "access_token_unavailable.no_server"
        assert shown(bob) == expected("bob@example.com verified by streamlit")
        assert shown(stranger) == expected("anonymous")
        await asyncio.gather(alice.run(button="press"), bob.run(button="inside"))
        assert alice.said["callback"] == "alice@example.com verified by streamlit"
        assert bob.said["callback"] == "bob@example.com verified by streamlit"


async def test_login_and_reload_as_the_other_person(login_server, logins):
    """Another login in the same tab is another user, with any session id of the tab."""
    async with tabs_of(login_server.host, logins["alice"]) as (tab,):
        await tab.open()
        await tab.close()
        tab.cookie = logins["bob"]
        await tab.open()
        assert shown(tab) == expected("bob@example.com verified by streamlit")


async def test_a_release_that_mixes_up_logins(login_server, logins):
    """Before 1.61, a page that connects again has the former user: no login of it is believed."""
    who = (logins["alice"], logins["bob"], "")
    async with tabs_of(login_server.host, *who) as tabs:
        for tab in tabs:
            await tab.open("old=1")
        refused = "nobody: unsupported_host"
        assert [tab.said["main"] for tab in tabs] == [refused, refused, "anonymous"]


async def test_an_address_that_the_provider_did_not_check(login_server, logins):
    """A user that only claims an address is not the owner of the address."""
    async with tabs_of(login_server.host, logins["carol"]) as (tab,):
        await tab.open()
        assert tab.said["main"] == "id-of-carol verified by streamlit"


async def test_a_forged_login(login_server, logins):
    """A cookie that Streamlit has not signed, or a platform's cookie, is not a login."""
    forged = logins["alice"].replace("_streamlit_user=", "_streamlit_user=x", 1)
    async with tabs_of(login_server.host, forged, f"{forged}; {cookies('ann')[0]}") as tabs:
        await asyncio.gather(*(tab.open() for tab in tabs))
        assert [tab.said["main"] for tab in tabs] == ["anonymous", "ann unverified by streamlit"]


async def test_logout(login_server, logins):
    """After st.logout the rest of the run has an ended session; other runs are not affected."""
    async with tabs_of(login_server.host, *[logins["alice"]] * 3) as (tab, beside, later):
        await asyncio.gather(tab.open(), beside.open())
        await tab.run("logout=1")
        assert tab.said["before"] == "alice@example.com verified by streamlit"
        assert tab.said["after"] == "nobody: session_revoked"
        assert tab.said["state"] == "signed_out"
        # Other tabs, and a later login, are sessions of their own.
        await asyncio.gather(beside.run(), later.open())
        assert shown(beside) == shown(later) == expected("alice@example.com verified by streamlit")


async def test_headers(header_server):
    """A header that the settings trust names the user; it does not verify the user."""
    tabs = [
        Tab(header_server.host, **{"X-Forwarded-User": n, "X-Forwarded-Name": n.title()})
        for n in ("ann", "ben")
    ]
    await asyncio.gather(*(tab.open() for tab in tabs))
    for tab, name in zip(tabs, ("ann", "ben"), strict=True):
        assert shown(tab) == expected(f"{name} unverified by streamlit")
        assert tab.said["name"] == name.title()
        await tab.close()


MOVED = """
import streamlit
from streamlit import runtime
from streamlit.runtime.scriptrunner_utils import script_run_context as private
from jupyter_session_user import get_current_user, IdentityUnavailable
{change}
try:
    print(get_current_user())
except IdentityUnavailable as error:
    print(error.reason, error)
"""
GONE = "del private.get_script_run_ctx"
SERVING = "runtime.exists = lambda: True"
#: A run as Streamlit describes it, except for one detail.
STATELESS = """
class Run:
    user_info, session_id, script_requests = {}, "s", object()
private.get_script_run_ctx = lambda suppress_warning=False: Run
"""


def told(change: str) -> str:
    """Return the error of a script with a changed Streamlit."""
    run = [sys.executable, "-W", "ignore", "-c", MOVED.format(change=change)]
    return subprocess.run(
        run, check=True, capture_output=True, text=True, cwd=HERE.parents[2]
    ).stdout


def test_private_names(streamlit_installed):
    """The private names are at their known places."""
    from streamlit.runtime.scriptrunner_utils import script_requests, script_run_context

    assert script_run_context.get_script_run_ctx(suppress_warning=True) is None
    names = script_run_context.ScriptRunContext.__dataclass_fields__
    assert names.keys() >= {"script_requests", "session_id", "user_info"}
    requests = script_requests.ScriptRequests()
    assert requests._state.name == "CONTINUE"
    requests.request_stop()
    assert requests._state.name == "STOP"


@pytest.mark.parametrize("change", [f"{GONE}\n{SERVING}", f"{SERVING}\n{STATELESS}"])
def test_a_private_name_that_moved(streamlit_installed, change):
    """The error names Streamlit's version."""
    import streamlit

    said = told(change)
    assert said.startswith("unsupported_host")
    assert streamlit.__version__ in said


@pytest.mark.parametrize("change", ["", GONE])
def test_merely_imported(streamlit_installed, change):
    """A process that only imports Streamlit serves no visitor."""
    assert told(change).startswith("not_in_kernel")


FAKE = {"JUPYTER_SESSION_USER_FAKE": "ada"}
#: An app without a platform's cookie.
PLAIN = """
import json, streamlit as st
from who import who
from jupyter_session_user import get_session
st.text(json.dumps({"main": who(), "id": get_session().id}))
"""


async def test_a_made_up_user(streamlit_installed):
    """In an app without a login, each visitor is the user of the variable."""
    with app_server(*COMMAND, files={**FILES, "app.py": PLAIN}, env=FAKE, ready=READY) as server:
        async with tabs_of(server.host, "", "theme=dark") as tabs:
            await asyncio.gather(*(tab.open() for tab in tabs))
            assert [tab.said["main"] for tab in tabs] == ["ada unverified by fake"] * 2
            assert tabs[0].said["id"] != tabs[1].said["id"]


@pytest.mark.parametrize("how", ["login", "header"])
async def test_no_made_up_user_beside_real_ones(streamlit_installed, provider, how):
    """Where visitors can log in, or a proxy names them, a stranger stays anonymous."""
    secrets = SECRETS.replace("PROVIDER", f"http://{provider.host}")
    own = {
        "login": (".streamlit/secrets.toml", secrets),
        "header": (".streamlit/config.toml", HEADERS),
    }
    name, text = own[how]
    files = {**FILES, "app.py": PLAIN, name: text}
    with app_server(*COMMAND, files=files, env=FAKE, ready=READY) as server:
        async with tabs_of(server.host, "") as (stranger,):
            await stranger.open()
            assert stranger.said["main"] == "anonymous"
