"""The private keys from a URL: fetched with a secret, bounded, and never in a text or a file."""

from __future__ import annotations

import json
import time

import pytest
from key_service import SECRET, Keys, key_service

from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.tokens import key_url
from jupyter_session_user.tokens.key_url import FetchedKeys
from jupyter_session_user.tokens.keys import rotate

NOW = 1_800_000_000.0


@pytest.fixture
def service():
    """Run the service."""
    with key_service() as running:
        yield running


@pytest.fixture
def keys(tmp_path):
    """Return a key file's text, and one with a further key."""
    path = tmp_path / "keys.json"
    rotate(path, NOW - 10_000)
    before = path.read_bytes()
    rotate(path, NOW - 5_000)
    return before, path.read_bytes()


def kids(found):
    """Return the names of the public keys."""
    return {key["kid"] for key in found.public()["keys"]}


def test_a_rotation(service, keys):
    """The keys count at once, and a new key after the next request; the public ones are public."""
    service.answer = (200, keys[0])
    found = FetchedKeys(service.url, Secret(SECRET), clock=lambda: NOW, every=0.05)
    try:
        (first,) = kids(found)
        service.answer = (200, keys[1])
        end = time.monotonic() + 20
        while kids(found) == {first} and time.monotonic() < end:
            time.sleep(0.01)
        new = {key["kid"] for key in json.loads(keys[1])["keys"]} - {first}
        assert new <= kids(found)
        assert not any("d" in key for key in found.public()["keys"])
        assert found.sign({"sub": "ada"}).count(".") == 2
    finally:
        found.close()


def test_a_service_that_fails_later(service, keys):
    """The former keys count, and the log says it once, without the secret and the keys."""
    said: list[str] = []
    service.answer = (200, keys[0])
    found = FetchedKeys(service.url, Secret(SECRET), said.append, lambda: NOW, every=0.05)
    try:
        before = kids(found)
        service.answer = (503, keys[0])
        asked = len(service.asked)
        end = time.monotonic() + 20
        while len(service.asked) < asked + 4 and time.monotonic() < end:
            time.sleep(0.01)
        assert kids(found) == before
        assert len(said) == 1
        assert "status 503" in said[0]
    finally:
        found.close()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((401, b""), "status 401"),
        ((302, b""), "status 302"),
        ((500, b""), "status 500"),
        ((200, b"no JSON"), "JSONDecodeError"),
        ((200, b'{"keys": []}'), "no key"),
        ((200, b'{"keys": [{"kty": "oct", "k": "c4n4ry-key"}]}'), "KeyError"),
        ((200, b" " * 70_000), "more than 65536 bytes"),
    ],
)
def test_an_answer_that_is_no_use(service, answer, text):
    """The server does not start; the reason has no secret, no URL and no part of the answer."""
    service.answer = answer
    with pytest.raises(ConfigurationError, match=text) as caught:
        FetchedKeys(service.url, Secret(SECRET))
    assert "c4n4ry" not in str(caught.value)
    assert "127.0.0.1" not in str(caught.value)
    assert len(service.asked) == 1  # no redirect


def test_a_service_that_drips(service, keys, monkeypatch):
    """The time is limited as a whole, not for each part of the answer."""
    monkeypatch.setattr(key_url, "_PATIENCE_S", 0.3)
    service.answer, service.slow_s = (200, keys[0]), 0.2
    with pytest.raises(ConfigurationError, match="TimeoutError"):
        FetchedKeys(service.url, Secret(SECRET))


def test_no_proxy_of_the_environment_gets_the_secret(service, keys, monkeypatch):
    """The request goes to the service itself; another service's keys are not asked for."""
    other = Keys()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{other.server_port}")
    service.answer = (200, keys[0])
    FetchedKeys(service.url, Secret(SECRET), clock=lambda: NOW).close()
    other.server_close()
    assert len(service.asked) == 1


def test_the_wrong_secret(service, keys):
    """Code without the secret gets no key."""
    service.answer = (200, keys[0])
    with pytest.raises(ConfigurationError, match="status 401"):
        FetchedKeys(service.url, Secret("x"))
