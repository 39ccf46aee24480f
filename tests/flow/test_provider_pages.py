"""The pages of identity providers: two users walk through one, a server takes the others' settings.

Only addresses, ports and the places of files are replaced in the blocks of the pages.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hub import code_block
from oauth_provider import CLIENT_SECRET
from people import Person
from provider_settings import on_this_machine
from servers import identity, json_lines, kernel_of, no_traceback, opened, own_server

from jupyter_session_user.core.login_tokens import claims_in

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "providers"
GENERIC = PAGES / "generic_oidc.md"
#: Pages whose provider is not here, and a text of their settings.
OTHERS = ("keycloak", "entra_id", "okta", "google")
#: After the page's own block: the token in a form that a test can read.
SHOW = "\nimport json; print(json.dumps(str(token)))"


async def token_of(person: Person, service: str = "trino") -> str:
    """Return what the page's last block gets in a kernel of this user."""
    block = code_block(GENERIC, "from jupyter_session_user import get_access_token")
    block = block.replace("trino", service)
    async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
        (token,) = await json_lines(socket, block + SHOW)
    return str(token)


async def test_generic_openid_connect(provider, tmp_path):
    """Each user gets the own token by both grants, with the page's settings and its class."""
    (tmp_path / "campus.py").write_text(
        code_block(GENERIC, "the class in c.ServerApp.identity_provider_class")
    )
    block = code_block(GENERIC, "login_token_key_file")
    block = on_this_machine(block, tmp_path, CLIENT_SECRET, provider.url)
    folders = (ROOT, ROOT / "tests" / "support", tmp_path)
    env = {"TEST_ISSUER": provider.url, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    with own_server(
        "--ServerApp.identity_provider_class=campus_login.CampusWithForm",
        env=env,
        config={"jupyter_server_config.py": block},
    ) as running:
        for name in ("alice", "bob"):
            person = Person(running.url)
            await person.log_in("", name)
            assert (await person.json("api/session-user/me"))["user"]["username"] == name
            for service, audience in (("trino", "trino"), ("reports", "reports")):
                said = claims_in(await token_of(person, service))
                assert (said["sub"], said["aud"]) == (f"id-of-{name}", audience)
        assert no_traceback(running.log_text())


async def test_generic_openid_connect_behind_a_proxy(provider, tmp_path):
    """With the page's settings for a proxy, each user's own header counts."""
    block = code_block(GENERIC, '"header"')
    block = on_this_machine(block, tmp_path, CLIENT_SECRET, provider.url)
    config = {"jupyter_server_config.py": block}
    with own_server(*identity("HeaderIdentityProvider"), config=config) as running:
        for name in ("alice", "bob"):
            token = provider.log_in(name)["access_token"]
            headers = {"X-User": name, "X-Forwarded-Access-Token": token}
            said = claims_in(await token_of(Person(running.url, headers)))
            assert said["sub"] == f"id-of-{name}"


@pytest.mark.parametrize("page", OTHERS)
async def test_a_server_takes_the_settings(page, tmp_path):
    """A server starts with them; no provider is asked for anything, since none is here."""
    block = code_block(PAGES / f"{page}.md", "token_exchange")
    block = on_this_machine(block, tmp_path, CLIENT_SECRET)
    config = {"jupyter_server_config.py": block}
    with own_server(*identity("HeaderIdentityProvider"), config=config) as running:
        for name in ("alice", "bob"):
            me = await Person(running.url, {"X-User": name}).json("api/session-user/me")
            assert me["user"]["username"] == name
        assert no_traceback(running.log_text())


def test_a_wrong_member_stops_the_server(tmp_path):
    """The check of the settings can fail: a page with a wrong name in them would be noticed."""
    block = code_block(PAGES / "keycloak.md", "token_exchange")
    block = on_this_machine(block, tmp_path, CLIENT_SECRET)
    wrong = block.replace('"client_id"', '"client"')
    server = own_server(config={"jupyter_server_config.py": wrong})
    with pytest.raises(RuntimeError, match="ended at its start") as caught, server:
        pass
    assert "'client'" in str(caught.value).split("CRITICAL")[-1]
