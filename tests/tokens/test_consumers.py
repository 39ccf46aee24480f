"""Services verify identity tokens: with this package, and with libraries of others."""

# No deferred annotations: FastAPI reads those of the local functions below.

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import jwt
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.testclient import TestClient
from jwcrypto.jwk import JWKSet
from jwcrypto.jwt import JWT
from signing import AUDIENCE, ISSUER, Signer, good

from jupyter_session_user import IdentityClaims, InvalidIdentityToken, verify_identity_token
from jupyter_session_user.core.identity_token import Grant, claims_of
from jupyter_session_user.tokens.keys import SigningKeys, make_file

ROOT = Path(__file__).parents[2]


@pytest.fixture
def keys(tmp_path) -> SigningKeys:
    """Return the keys of a server."""
    path = tmp_path / "keys.json"
    make_file(path, time.time())
    return SigningKeys(path)


def issued(keys: SigningKeys, username: str, audience: str = AUDIENCE) -> str:
    """Return a token as the server issues it."""
    grant = Grant(ISSUER, audience, username, f"login of {username}", False, ("finance",), "bot")
    return keys.sign(claims_of(grant, time.time(), 300, "j1"))


@pytest.mark.parametrize("name", ["alice", "bob", "Zoë", "a b", "x" * 200])
def test_pyjwt_and_jwcrypto_agree(keys, name):
    """Each library finds the user, and refuses the token of another audience."""
    token, jwks = issued(keys, name), keys.public()
    found = jwt.PyJWKSet.from_dict(jwks)[jwt.get_unverified_header(token)["kid"]]
    options = {"algorithms": ["ES256"], "issuer": ISSUER}
    assert jwt.decode(token, found, audience=AUDIENCE, **options)["sub"] == name
    with pytest.raises(jwt.InvalidAudienceError):
        jwt.decode(token, found, audience="https://other.example.org", **options)
    checked = JWT(jwt=token, key=JWKSet.from_json(json.dumps(jwks)), algs=["ES256"])
    claims = json.loads(checked.claims)
    assert (claims["sub"], claims["act"], claims["groups"]) == (name, {"sub": "bot"}, ["finance"])
    ours = verify_identity_token(token, jwks, AUDIENCE, issuer=ISSUER)
    assert (ours.username, ours.actor, ours.groups) == (name, "bot", ("finance",))
    assert ours.expires_at.timestamp() - ours.issued_at.timestamp() == 300


def test_a_fastapi_dependency(keys):
    """A service shows each user the own name, and answers 401 to all else."""
    app = FastAPI()

    def user(authorization: Annotated[str, Header()] = "") -> IdentityClaims:
        try:
            return verify_identity_token(
                authorization.removeprefix("Bearer "), keys.public(), AUDIENCE, issuer=ISSUER
            )
        except InvalidIdentityToken as error:
            raise HTTPException(401, str(error)) from None

    @app.get("/me")
    def me(claims: Annotated[IdentityClaims, Depends(user)]) -> str:
        return claims.username

    client = TestClient(app)
    for name in ("alice", "bob"):
        headers = {"Authorization": f"Bearer {issued(keys, name)}"}
        assert client.get("/me", headers=headers).json() == name
    wrong = [
        {},
        {"Authorization": f"Bearer {issued(keys, 'alice', 'https://other.example.org')}"},
        {"Authorization": f"Bearer {Signer().token(good())}"},
    ]
    for headers in wrong:
        answer = client.get("/me", headers=headers)
        assert answer.status_code == 401
        assert headers.get("Authorization", "nothing")[-20:] not in answer.text


def test_a_service_needs_no_jupyter(keys):
    """With joserfc alone a token is verified; no module of Jupyter is loaded."""
    code = """
import json, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"jupyter_server", "jupyter_client", "jupyter_core", "tornado",
                "traitlets", "zmq", "IPython", "ipykernel"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
from jupyter_session_user import verify_identity_token
token, jwks, audience, issuer = json.load(sys.stdin)
print(verify_identity_token(token, jwks, audience, issuer=issuer).username)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([issued(keys, "bob"), keys.public(), AUDIENCE, ISSUER]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("bob", "")


def test_without_joserfc_the_error_has_the_fix():
    """The function says what to install."""
    code = """
import sys
sys.modules["joserfc"] = None
from jupyter_session_user import ConfigurationError, verify_identity_token
try:
    verify_identity_token("", {}, "a", issuer="b")
except ConfigurationError as error:
    print(error)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip().endswith("pip install 'jupyter-session-user[jwt]'")
