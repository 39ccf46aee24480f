# ruff: noqa: E501 - one attack, one line
"""Attacks on identity tokens, of the kinds of Wycheproof and of advisories on JWT libraries.

Each is built with a real key, and is refused with a typed error whose text has no part of the token.
"""

from __future__ import annotations

import json
import re
import time
import traceback
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from signing import AUDIENCE, ISSUER, ORDER, Signer, b64, compact, good, hmac_token

from jupyter_session_user import (
    ConfigurationError,
    InvalidIdentityToken,
    verify_identity_token,
)

SIGNER, STRANGER = Signer(), Signer()


def verified(token: str, jwks: object = None, audience: str = AUDIENCE, **options: object):
    """Verify with the settings of the tests."""
    options = {"issuer": ISSUER, **options}
    return verify_identity_token(token, SIGNER.jwks if jwks is None else jwks, audience, **options)


def parts() -> list[str]:
    """Return the three parts of a good token."""
    return SIGNER.token().split(".")


def public_pem() -> bytes:
    """Return the public key as a file has it."""
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return SIGNER.key.public_key().public_bytes(serialization.Encoding.PEM, kind)


def raw(head: bytes, body: bytes) -> str:
    """Return a validly signed token of these bytes."""
    return SIGNER.join(b64(head), b64(body))


def unused_bits() -> str:
    """Return a good token in which another last character stands for the same bytes."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    head, body, signature = parts()
    return f"{head}.{body}.{signature[:-1]}{letters[letters.index(signature[-1]) ^ 1]}"


def swapped_claims() -> str:
    """Return the claims of bob with the signature of alice's token."""
    head, _, signature = parts()
    return f"{head}.{b64(compact(good(sub='bob')))}.{signature}"


def other_curve(curve: ec.EllipticCurve) -> str:
    """Return a token of a key on another curve, under the right name."""
    return Signer(curve).token()


def with_numbers(r: int | None, s: int | None) -> str:
    """Return a token whose signature has these numbers."""
    head, body, _ = parts()
    return SIGNER.join(head, body, r, s)


def header_and(**more: object) -> str:
    """Return a validly signed token with further members in its header."""
    return SIGNER.token(header={**SIGNER.header, **more})


def without(name: str) -> str:
    """Return a validly signed token whose header lacks a member."""
    return SIGNER.token(header={k: v for k, v in SIGNER.header.items() if k != name})


#: ``what -> (reason, token)``
# fmt: off
ATTACKS: dict[str, tuple[str, Callable[[], object]]] = {
    "alg none, no signature": ("malformed", lambda: ".".join([b64(compact({**SIGNER.header, "alg": "none"})), parts()[1], ""])),
    "alg none, with a signature": ("header", lambda: header_and(alg="none")),
    "alg nOnE": ("header", lambda: header_and(alg="nOnE")),
    "HS256, the public key in PEM as secret": ("header", lambda: hmac_token({**SIGNER.header, "alg": "HS256"}, good(), public_pem())),
    "HS256, the JWK as secret": ("header", lambda: hmac_token({**SIGNER.header, "alg": "HS256"}, good(), compact(SIGNER.jwk))),
    "HS256's bytes under ES256": ("signature", lambda: hmac_token(SIGNER.header, good(), public_pem())),
    "RS256": ("header", lambda: header_and(alg="RS256")),
    "ES384": ("header", lambda: header_and(alg="ES384")),
    "EdDSA": ("header", lambda: header_and(alg="EdDSA")),
    "another key under the right name": ("signature", STRANGER.token),
    "a key of P-384": ("signature", lambda: other_curve(ec.SECP384R1())),
    "a key of secp256k1": ("signature", lambda: other_curve(ec.SECP256K1())),
    "r and s are zero": ("signature", lambda: with_numbers(0, 0)),
    "r is zero": ("signature", lambda: with_numbers(0, None)),
    "s is zero": ("signature", lambda: with_numbers(None, 0)),
    "r is one and s is one": ("signature", lambda: with_numbers(1, 1)),
    "r is the order": ("signature", lambda: with_numbers(ORDER, None)),
    "s is the order": ("signature", lambda: with_numbers(None, ORDER)),
    "r and s have all bits": ("signature", lambda: with_numbers(2**256 - 1, 2**256 - 1)),
    "a signature in DER": ("signature", lambda: ".".join([*parts()[:2], b64(b"0D" + bytes(70))])),
    "a longer signature": ("signature", lambda: SIGNER.token() + "AAAA"),
    "a shorter signature": ("signature", lambda: SIGNER.token()[:-2]),
    "no signature": ("malformed", lambda: ".".join([*parts()[:2], ""])),
    "another user's claims": ("signature", swapped_claims),
    "another header of the same meaning": ("signature", lambda: ".".join([b64(json.dumps(SIGNER.header, indent=1).encode()), *parts()[1:]])),
    "unused bits are set": ("malformed", unused_bits),
    "padding": ("malformed", lambda: SIGNER.token() + "=="),
    "a space": ("malformed", lambda: SIGNER.token().replace(".", ". ", 1)),
    "a line feed at the end": ("malformed", lambda: SIGNER.token() + "\n"),
    "the letters of plain base64": ("malformed", lambda: "+/" + SIGNER.token()[2:]),
    "a letter that is not ASCII": ("malformed", lambda: "é" + SIGNER.token()[1:]),
    "two parts": ("malformed", lambda: ".".join(parts()[:2])),
    "four parts": ("malformed", lambda: SIGNER.token() + ".AAAA"),
    "five parts": ("malformed", lambda: SIGNER.token() + ".AAAA.AAAA"),
    "an empty part": ("malformed", lambda: "." + SIGNER.token()),
    "JSON serialization": ("malformed", lambda: json.dumps(dict(zip(("protected", "payload", "signature"), parts(), strict=True)))),
    "empty": ("malformed", lambda: ""),
    "no text": ("malformed", lambda: None),
    "bytes": ("malformed", lambda: SIGNER.token().encode()),
    "Bearer in front": ("malformed", lambda: "Bearer " + SIGNER.token()),
    "huge": ("malformed", lambda: SIGNER.token(good(groups=["g" * 1_000_000]))),
    "very many parts": ("malformed", lambda: "." * 8000),
    "deep claims": ("malformed", lambda: raw(compact(SIGNER.header), b"[" * 3000 + b"]" * 3000)),
    "alg twice": ("malformed", lambda: raw(b'{"alg":"none","alg":"ES256","typ":"session-user+jwt","kid":"k1"}', compact(good()))),
    "sub twice": ("malformed", lambda: raw(compact(SIGNER.header), compact(good())[:-1] + b',"sub":"bob"}')),
    "a claim twice, in another spelling": ("malformed", lambda: raw(compact(SIGNER.header), compact(good())[:-1] + b',"\\u0073ub":"bob"}')),
    "a member of a claim twice": ("malformed", lambda: raw(compact(SIGNER.header), compact(good())[:-1] + b',"act":{"sub":"a","sub":"b"}}')),
    "NaN": ("malformed", lambda: raw(compact(SIGNER.header), compact(good()).replace(b'"jti":"j1"', b'"jti":NaN'))),
    "bytes that are no UTF-8": ("malformed", lambda: raw(compact(SIGNER.header), b'{"sub":"\xff"}')),
    "a byte order mark": ("malformed", lambda: raw(b"\xef\xbb\xbf" + compact(SIGNER.header), compact(good()))),
    "claims that are a list": ("malformed", lambda: SIGNER.token([good()])),
    "a header that is a list": ("malformed", lambda: SIGNER.token(header=[SIGNER.header])),
    "crit": ("header", lambda: header_and(crit=["exp"], exp=1)),
    "an empty crit": ("header", lambda: header_and(crit=[])),
    "b64": ("header", lambda: header_and(b64=False, crit=["b64"])),
    "b64 without crit": ("header", lambda: header_and(b64=True)),
    "jku": ("header", lambda: header_and(jku="https://attacker.example/jwks.json")),
    "jwk": ("header", lambda: header_and(jwk=SIGNER.jwk)),
    "x5u": ("header", lambda: header_and(x5u="https://attacker.example/cert.pem")),
    "x5c": ("header", lambda: header_and(x5c=["AAAA"])),
    "x5t": ("header", lambda: header_and(x5t="AAAA")),
    "zip": ("header", lambda: header_and(zip="DEF")),
    "cty": ("header", lambda: header_and(cty="JWT")),
    "typ JWT": ("header", lambda: header_and(typ="JWT")),
    "typ of an access token": ("header", lambda: header_and(typ="at+jwt")),
    "typ of a logout token": ("header", lambda: header_and(typ="logout+jwt")),
    "no typ": ("header", lambda: without("typ")),
    "no alg": ("header", lambda: without("alg")),
    "no kid": ("header", lambda: without("kid")),
    "an empty kid": ("header", lambda: header_and(kid="")),
    "a kid that is a list": ("header", lambda: header_and(kid=["k1"])),
    "an unknown kid": ("unknown_key", lambda: header_and(kid="k2")),
    "a kid that is a path": ("unknown_key", lambda: header_and(kid="../../dev/null")),
    "another issuer": ("issuer", lambda: SIGNER.token(good(iss="https://attacker.example"))),
    "no issuer": ("issuer", lambda: SIGNER.token(good(iss=None))),
    "another audience": ("audience", lambda: SIGNER.token(good(aud="https://other.example.org"))),
    "a list of audiences": ("audience", lambda: SIGNER.token(good(aud=[AUDIENCE, "https://other.example.org"]))),
    "a list with the audience alone": ("audience", lambda: SIGNER.token(good(aud=[AUDIENCE]))),
    "no audience": ("audience", lambda: SIGNER.token(good(aud=None))),
    "no sub": ("claims", lambda: SIGNER.token(good(sub=None))),
    "an empty sub": ("claims", lambda: SIGNER.token(good(sub=""))),
    "a sub that is a list": ("claims", lambda: SIGNER.token(good(sub=["alice"]))),
    "no jti": ("claims", lambda: SIGNER.token(good(jti=None))),
    "no sid": ("claims", lambda: SIGNER.token(good(sid=None))),
    "no exp": ("claims", lambda: SIGNER.token(good(exp=None))),
    "no iat": ("claims", lambda: SIGNER.token(good(iat=None))),
    "no nbf": ("claims", lambda: SIGNER.token(good(nbf=None))),
    "exp as text": ("claims", lambda: SIGNER.token(good(exp=str(int(time.time()) + 300)))),
    "exp as a fraction": ("claims", lambda: SIGNER.token(good(exp=time.time() + 300))),
    "exp is true": ("claims", lambda: SIGNER.token(good(exp=True))),
    "exp without end": ("claims", lambda: SIGNER.token(good(exp=10**30))),
    "a life of an hour": ("claims", lambda: SIGNER.token(good(exp=int(time.time()) + 3600))),
    "exp before iat": ("claims", lambda: SIGNER.token(good(exp=int(time.time()) - 1))),
    "expired": ("time", lambda: SIGNER.token(good(**dict.fromkeys(("iat", "nbf"), int(time.time()) - 400), exp=int(time.time()) - 100))),
    "of the future": ("time", lambda: SIGNER.token(good(**dict.fromkeys(("iat", "nbf"), int(time.time()) + 100), exp=int(time.time()) + 200))),
    "groups as text": ("claims", lambda: SIGNER.token(good(groups="admins"))),
    "act as text": ("claims", lambda: SIGNER.token(good(act="bob"))),
    "act without sub": ("claims", lambda: SIGNER.token(good(act={}))),
    "nothing about the kernel": ("claims", lambda: SIGNER.token(good(kernel_shared=None))),
    "kernel_shared as a number": ("claims", lambda: SIGNER.token(good(kernel_shared=0))),
    "a shared kernel": ("shared_kernel", lambda: SIGNER.token(good(kernel_shared=True))),
}
# fmt: on


@pytest.mark.parametrize("what", ATTACKS)
def test_attack(what):
    """It is refused for the true reason; neither the error nor its traceback has the token."""
    reason, make = ATTACKS[what]
    token = make()
    with pytest.raises(InvalidIdentityToken) as caught:
        verified(token)
    assert caught.value.reason == reason
    assert caught.value.code == "invalid_identity_token"
    assert caught.value.__cause__ is None and caught.value.__context__ is None
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    text = token if isinstance(token, str) else ""
    assert not [part for part in re.split(r"[^\w-]+", text) if len(part) > 20 and part in shown]


def test_the_good_tokens_of_the_table_are_good():
    """Without its change, each kind of token above is accepted, so the changes matter."""
    claims = verified(SIGNER.token(good(groups=["finance"], act={"sub": "bot"})))
    assert (claims.username, claims.groups, claims.actor) == ("alice", ("finance",), "bot")
    assert verified(raw(compact(SIGNER.header), compact(good()))).username == "alice"
    assert verified(header_and()).session_id == "s1"
    head, body, _ = parts()
    r, s = SIGNER.numbers(f"{head}.{body}".encode())
    # ECDSA has two valid signatures for each; JWS permits both, and a replay needs neither.
    assert verified(SIGNER.join(head, body, r, ORDER - s)).username == "alice"
    assert verified(SIGNER.token(good(kernel_shared=True)), allow_shared=True).kernel_shared


def test_the_leeway_is_what_the_verifier_says():
    """A clock that differs by 20 s is refused, and accepted with a leeway of 30 s."""
    now = int(time.time())
    for shift in (-320, 20):
        token = SIGNER.token(good(iat=now + shift, nbf=now + shift, exp=now + shift + 300))
        with pytest.raises(InvalidIdentityToken) as caught:
            verified(token)
        assert caught.value.reason == "time"
        assert verified(token, leeway=30).username == "alice"


def two_keys() -> dict:
    """Return a JWKS with two keys of one name; the right one is the first."""
    return {"keys": [SIGNER.jwk, STRANGER.jwk]}


# fmt: off
JWKS: dict[str, tuple[str, Callable[[], object]]] = {
    "two keys of one name": ("keys", two_keys),
    "two keys of one name, the right one last": ("keys", lambda: {"keys": two_keys()["keys"][::-1]}),
    "the same key twice": ("keys", lambda: {"keys": [SIGNER.jwk] * 2}),
    "no key": ("unknown_key", lambda: {"keys": []}),
    "only other keys": ("unknown_key", lambda: {"keys": [{**SIGNER.jwk, "kid": "other"}]}),
    "a key without a name": ("unknown_key", lambda: {"keys": [{k: v for k, v in SIGNER.jwk.items() if k != "kid"}]}),
    "a key of P-384": ("keys", lambda: Signer(ec.SECP384R1()).jwks),
    "a key of P-384 that claims P-256": ("keys", lambda: {"keys": [{**Signer(ec.SECP384R1()).jwk, "crv": "P-256"}]}),
    "a point that is not on the curve": ("signature", lambda: {"keys": [{**SIGNER.jwk, "y": b64(bytes(31) + b"\1")}]}),
    "a symmetric key": ("keys", lambda: {"keys": [{"kty": "oct", "k": "AAAA", "kid": "k1"}]}),
    "a key for encryption": ("keys", lambda: {"keys": [{**SIGNER.jwk, "use": "enc"}]}),
    "a key for another algorithm": ("keys", lambda: {"keys": [{**SIGNER.jwk, "alg": "ES384"}]}),
    "a key that may only sign": ("keys", lambda: {"keys": [{**SIGNER.jwk, "key_ops": ["sign"]}]}),
    "no JWKS": ("keys", lambda: "<html>"),
    "a key alone": ("keys", lambda: SIGNER.jwk),
    "nothing": ("keys", lambda: b""),
    "too many keys": ("keys", lambda: {"keys": [{**SIGNER.jwk, "kid": str(n)} for n in range(101)]}),
}
# fmt: on


@pytest.mark.parametrize("what", JWKS)
def test_keys_that_do_not_fit(what):
    """A good token is refused with them; none of them is guessed."""
    reason, make = JWKS[what]
    with pytest.raises(InvalidIdentityToken) as caught:
        verified(SIGNER.token(), make())
    assert caught.value.reason == reason


def test_keys_as_text():
    """A JWKS counts as text and as bytes, too, as an HTTP library returns it."""
    text = json.dumps(SIGNER.jwks)
    assert verified(SIGNER.token(), text).username == "alice"
    assert verified(SIGNER.token(), text.encode()).username == "alice"


@pytest.mark.parametrize("name", ["audience", "issuer"])
def test_an_empty_setting_accepts_nothing(name):
    """A verifier whose own setting is empty does not thereby accept each token."""
    with pytest.raises(InvalidIdentityToken):
        verified(SIGNER.token(good(iss="", aud="")), **{name: ""})


@pytest.mark.parametrize("leeway", [float("nan"), float("inf"), -1, 301])
def test_a_leeway_that_is_no_limit_is_refused(leeway):
    """With NaN, each comparison would be false, and an expired token would count."""
    with pytest.raises(ConfigurationError, match="leeway"):
        verified(SIGNER.token(), leeway=leeway)
