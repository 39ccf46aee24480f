"""Access tokens behind a real JupyterHub: from the ``auth_state`` of the person who asks."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from hub import PASSWORD, HubPerson, code_block, hub_running, proxy_program
from oauth_provider import CLIENT, CLIENT_SECRET, oauth_provider
from secret_forms import forms

from jupyter_session_user.core.login_tokens import claims_in

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "providers" / "jupyterhub.md"
ASK = """
import json, jupyter_session_user as j
try:
    print(json.dumps(str(j.get_access_token("trino"))))
except j.SessionUserError as error:
    print(json.dumps(error.code))
"""
#: Prints the address with the error, too.
ASK_WITH_PAGE = """
import json, jupyter_session_user as j
try:
    print(json.dumps(str(j.get_access_token("trino"))))
except j.ConsentRequired as error:
    print(json.dumps([error.code, error.login_url]))
"""
#: What the authenticator does as OAuthenticator does: no renewal, until the user logs in again.
STALE = """
from pathlib import Path
stale = Path("{folder}", "stale")

class Renewing(WithTokens):
    async def authenticate(self, handler, data):
        found = await super().authenticate(handler, data)
        if found and stale.exists() and stale.read_text() == found["name"]:
            stale.unlink()
        return found

    async def refresh_user(self, user, handler=None, **_):
        return not (stale.exists() and stale.read_text() == user.name)

c.JupyterHub.authenticator_class = Renewing
c.Renewing.password = c.DummyAuthenticator.password
c.Renewing.auth_refresh_age = 1
"""
#: An authenticator that keeps the tokens of each login, as OAuthenticator does.
AUTH_STATE = """
import json, os, urllib.request
from jupyterhub.auth import DummyAuthenticator
os.environ["JUPYTERHUB_CRYPT_KEY"] = "{key}"

class WithTokens(DummyAuthenticator):
    async def authenticate(self, handler, data):
        name = await super().authenticate(handler, data)
        if not name:
            return name
        body = json.dumps({{"name": name}}).encode()
        kind = {{"Content-Type": "application/json"}}
        request = urllib.request.Request("{issuer}/test/login", body, kind)
        with urllib.request.urlopen(request) as answer:
            return {{"name": name, "auth_state": json.load(answer)}}

c.JupyterHub.authenticator_class = WithTokens
c.WithTokens.password = c.DummyAuthenticator.password
c.Spawner.environment["JUPYTER_CONFIG_PATH"] = "{folder}"
"""


@pytest.fixture(scope="module")
def provider(need):
    """Run an identity provider."""
    need(importlib.util.find_spec("jupyterhub"), "jupyterhub is missing")
    need(proxy_program(), "configurable-http-proxy is missing: make .venv/.proxy")
    with oauth_provider() as running:
        yield running


def hub_for(provider: Any, home: Path, scopes: str) -> Any:
    """Run a Hub whose servers exchange at this provider."""
    folder = home / "config"
    folder.mkdir()
    secret = folder / "secret"
    secret.write_text(CLIENT_SECRET)
    secret.chmod(0o600)
    setting = code_block(DOCUMENTATION, "for the users' servers")
    assert f'"client_id": "{CLIENT}"' in setting
    setting = setting.replace("https://login.example.org/realms/research", provider.url)
    setting = setting.replace("/etc/jupyter/client-secret", str(secret))
    (folder / "jupyter_server_config.py").write_text(setting)
    extra = AUTH_STATE.format(key="5" * 64, issuer=provider.url, folder=folder)
    place = home / "hub"
    place.mkdir()
    return hub_running(place, extra=extra + scopes)


async def ask(person: HubPerson, code: str = ASK) -> Any:
    """Return what a cell gets in a kernel that this person starts."""
    kernel_id = await person.start_kernel()
    socket = await person.connect(kernel_id)
    result = await socket.execute(code, timeout=60)
    await socket.close()
    await person.fetch(f"api/kernels/{kernel_id}", method="DELETE")
    assert not result.errors, result.errors
    return json.loads(result.text)


async def test_each_person_has_the_own_tokens(provider, tmp_path):
    """Alice gets hers on her server; bob, a guest there, gets none, and never alice's.

    The obvious implementation asks the Hub with the server's token: bob's code would get the token
    of alice, the owner. On his own server he gets his.
    """
    documented = code_block(DOCUMENTATION, "admin:auth_state")
    with hub_for(provider, tmp_path, documented) as hub:
        alice = HubPerson(hub, "alice").enter()
        bob = HubPerson(hub, "bob").enter()
        assert claims_in(await ask(alice))["sub"] == "id-of-alice"
        assert await ask(bob) == "access_token_unavailable.no_tokens"
        hub.api("POST", "users/bob/server")
        at_home = bob.at("user/bob/")
        assert claims_in(await ask(at_home))["sub"] == "id-of-bob"
        for person in (alice, bob):
            person.browser.close()
        text = hub.log_text()
        given = provider.seen()["given"]
        assert not any(token in text for token in given) and CLIENT_SECRET not in text


#: Shows all that this package has in a kernel, and a marker.
SHOW = """
%xmode Verbose
import gc, json, logging, os, jupyter_session_user as j
s, u, k = j.get_session(), j.get_current_user(), j.get_cookies()
try:
    t = j.get_access_token("trino")
except j.SessionUserError as error:
    t = repr(error)
ours = [x for x in gc.get_objects() if str(type(x).__module__).startswith("jupyter_session_user")]
print("planted", [repr(x) for x in ours], [getattr(x, "__dict__", "") for x in ours])
print(s, u, k, [t], s.to_wire(), get_ipython().kernel.get_parent())
def deep(session, jar, token):
    raise RuntimeError("planted")
deep(s, k, t)
"""
#: Cookies without a login; JupyterHub itself logs their values, for its protection from CSRF.
HUB_LOGS = {"_xsrf", "jupyterhub-session-id"}
#: Last, and on purpose: what the server's processes have from the Hub.
HUB_TOKEN = "print(json.dumps(os.environ['JUPYTERHUB_API_TOKEN']))"


async def test_no_secret_of_the_hub_shows_anywhere(provider, tmp_path):
    """The Hub's tokens and cookies, and the tokens of its logins, are in no log, cell or answer."""
    documented = code_block(DOCUMENTATION, "admin:auth_state")
    debug = "\nc.Spawner.args += ['--debug']\nc.JupyterHub.log_level = 10\n"
    with hub_for(provider, tmp_path, documented + debug) as hub:
        shown, wanted = [], set()
        for person in (HubPerson(hub, "alice").enter(), HubPerson(hub, "bob").enter()):
            kernel_id = await person.start_kernel()
            socket = await person.connect(kernel_id)
            await socket.execute(SHOW)
            shown.append(json.dumps(socket.everything, default=str))
            assert "planted" in shown[-1]
            token = await socket.execute(HUB_TOKEN)
            logins = [v for name, v in person.cookies.items() if name not in HUB_LOGS]
            assert logins
            wanted |= {json.loads(token.text), *map(unquoted, logins)}
            for route in ("me", "sessions", "agents", f"kernels/{kernel_id}/runs"):
                answer = await person.fetch(f"api/session-user/{route}")
                shown.append(f"{answer.headers} {answer.body}")
            await socket.close()
            person.browser.close()
        shown.append(hub.log_text())
        wanted |= {CLIENT_SECRET, *provider.seen()["given"]}
    found = [form for secret in wanted for form in forms(secret.encode()) if len(secret) > 15]
    assert len(wanted) > 10 and "kernels" in shown[-1]
    lines = [line for text in shown for line in text.splitlines()]
    assert [line[:300] for line in lines for form in found if form in line.encode()] == []


def unquoted(value: str) -> str:
    """Return a cookie's value as it may stand in a text: the last part, if it is signed."""
    return value.strip('"').rpartition("|")[2]


async def test_without_the_scope(provider, tmp_path):
    """Neither gets a token, and the reason is true."""
    off = "\nc.Authenticator.enable_auth_state = True\n"
    with hub_for(provider, tmp_path, off) as hub:
        for name in ("alice", "bob"):
            person = HubPerson(hub, name).enter()
            assert await ask(person) == "access_token_unavailable.no_tokens"
            person.browser.close()


async def test_the_page_that_renews_a_login(provider, tmp_path):
    """Alice gets the address of the Hub's login, which renews her tokens; bob's go on.

    The server's own address renews nothing: the Hub knows her browser, and leads it back.
    """
    documented = code_block(DOCUMENTATION, "admin:auth_state")
    more = documented + STALE.format(folder=tmp_path)
    with hub_for(provider, tmp_path, more) as hub:
        alice = HubPerson(hub, "alice").enter()
        bob = HubPerson(hub, "bob").enter()
        hub.api("POST", "users/bob/server")
        at_home = bob.at("user/bob/")
        (tmp_path / "stale").write_text("alice")
        provider.faults(error="invalid_grant", only=["alice"])
        code, page = await ask(alice, ASK_WITH_PAGE)
        path = "hub/login?next=%2Fuser%2Falice%2Fsession-user%2Fsigned-in"
        assert (code, page) == ("consent_required", f"{hub.url}{path}")
        waiting = (await alice.json("api/session-user/me"))["consents"]
        assert waiting == [{"service": "trino", "login_url": f"/{path}"}]
        assert claims_in(await ask(at_home))["sub"] == "id-of-bob"
        assert (await at_home.json("api/session-user/me"))["consents"] == []
        before = provider.seen()["requests"][-2]["subject_token"]
        assert provider.seen()["users"][before] == "alice"
        form = alice.browser.get(page)
        assert 'name="password"' in form.text
        fields = {
            "username": "alice",
            "password": PASSWORD,
            "_xsrf": alice.cookie("_xsrf", "/hub/"),
        }
        back = alice.browser.post(page, data=fields)
        if "/oauth2/authorize" in str(back.url):
            back = alice.open("session-user/signed-in")
        assert "Logged in as" in back.text
        provider.faults()
        alice.open()
        assert claims_in(await ask(alice))["sub"] == "id-of-alice"
        assert provider.seen()["requests"][-1]["subject_token"] != before
        assert (await alice.json("api/session-user/me"))["consents"] == []
        for person in (alice, bob):
            person.browser.close()
