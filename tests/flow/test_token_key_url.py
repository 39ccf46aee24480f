"""A server whose signing keys are elsewhere: tokens for two people, and no file with the keys."""

from __future__ import annotations

import json
import time

import pytest
from key_service import SECRET, key_service
from people import Person
from servers import DEMO, json_lines, kernel_of, opened, own_server, people_on

from jupyter_session_user import verify_identity_token
from jupyter_session_user.tokens.keys import rotate

DATA, ISSUER = "https://data.example.org", "http://127.0.0.1:8888/api/session-user"
ON = (
    f"--JupyterSessionUser.token_audiences={DATA}",
    f"--JupyterSessionUser.token_issuer={ISSUER}",
)
ASK = """
import json, os, jupyter_session_user as j
print(json.dumps([str(j.get_identity_token("https://data.example.org")), dict(os.environ)]))
"""


async def test_two_people(tmp_path):
    """Each gets the own token, signed by the fetched key; no kernel inherits the secret."""
    path = tmp_path / "keys.json"
    rotate(path, time.time() - 10_000)
    private = json.loads(path.read_text())["keys"][0]["d"]
    with key_service() as service:
        service.answer = (200, path.read_bytes())
        url = f"--JupyterSessionUser.token_key_url={service.url}"
        env = "--JupyterSessionUser.token_key_url_secret_env=KEYS_TOKEN"
        with own_server(*DEMO, *ON, url, env, "--debug", env={"KEYS_TOKEN": SECRET}) as server:
            for person, name in zip(await people_on(server), ("alice", "bob"), strict=True):
                async with kernel_of(person) as kernel_id, opened(person, kernel_id) as socket:
                    ((token, variables),) = await json_lines(socket, ASK)
                jwks = (await Person(server.url).fetch("api/session-user/jwks.json")).body
                found = verify_identity_token(token, jwks, DATA, issuer=ISSUER)
                assert found.username == name
                assert SECRET not in str(variables)
            text = server.log_text()
            assert SECRET not in text
            assert private not in text
            assert "can sign a token about any user" in text
            kept = [each for each in server.home.rglob("*") if each.is_file()]
            assert kept
            assert not any(private.encode() in each.read_bytes() for each in kept)


@pytest.mark.parametrize(
    ("options", "env", "text"),
    [
        (["token_key_url=http://keys.example.org/"], {}, "https URL"),
        (["token_key_url=https://u:p@keys.example.org/"], {}, "https URL"),
        (["token_key_url=https://keys.example.org/"], {}, "secret_env"),
        (["token_key_url=https://h/", "token_key_url_secret_env=NO_X"], {}, "secret_env"),
        (["token_key_url=https://h/", "token_key_file=/x"], {"X": "y"}, "remove one"),
        (["token_key_url=http://127.0.0.1:1/", "token_key_url_secret_env=X"], {"X": "y"}, "usable"),
    ],
)
def test_a_setting_that_cannot_work_stops_the_server(options, env, text):
    """The server does not start, and the last line is the fix."""
    arguments = [f"--JupyterSessionUser.{option}" for option in options]
    server = own_server(*DEMO, *ON, *arguments, env=env)
    with pytest.raises(RuntimeError, match="ended at its start") as caught, server:
        pass
    assert text in str(caught.value).split("CRITICAL")[-1]
