"""An OpenID provider that accepts any name. Runs in a separate process."""

import time
from urllib.parse import urlencode

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import RSAKey

KEY = RSAKey.generate_key(2048, {"kid": "one", "alg": "RS256", "use": "sig"})
PEOPLE = {
    "alice": {"email": "alice@example.com", "name": "Alice Adams", "groups": ["staff"]},
    "bob": {"email": "bob@example.com", "name": "Bob Brown"},
    "carol": {"email": "alice@example.com", "email_verified": False, "name": "Alice Adams"},
}
codes = {}
app = FastAPI()


@app.get("/.well-known/openid-configuration")
def configuration(request: Request):
    base = str(request.base_url)
    return {
        "issuer": base,
        "authorization_endpoint": f"{base}authorize",
        "token_endpoint": f"{base}token",
        "jwks_uri": f"{base}jwks",
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


@app.get("/sign-in/{name}")
def sign_in(name: str):
    """Assign the browser to a user."""
    answer = PlainTextResponse(name)
    answer.set_cookie("provider", name)
    return answer


@app.get("/authorize")
def authorize(request: Request, redirect_uri: str, state: str, nonce: str, client_id: str):
    name = request.cookies["provider"]
    code = f"code-{len(codes)}"
    codes[code] = {"sub": f"id-of-{name}", "nonce": nonce, "aud": client_id, **PEOPLE[name]}
    return RedirectResponse(f"{redirect_uri}?{urlencode({'code': code, 'state': state})}")


@app.post("/token")
async def token(request: Request):
    form = dict(pair.split("=") for pair in (await request.body()).decode().split("&"))
    now = int(time.time())
    claims = {**codes.pop(form["code"]), "iss": str(request.base_url), "iat": now, "exp": now + 600}
    signed = jwt.encode({"alg": "RS256", "kid": "one"}, claims, KEY)
    name = claims["sub"].removeprefix("id-of-")
    access = {"aud": "api", "exp": now + 600, "sub": claims["sub"], "name": f"token-of-{name}"}
    token = jwt.encode({"alg": "RS256", "kid": "one"}, access, KEY)
    return {"access_token": token, "token_type": "Bearer", "expires_in": 600, "id_token": signed}


@app.get("/jwks")
def keys():
    return {"keys": [KEY.as_dict(private=False)]}
