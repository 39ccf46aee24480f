"""The file with the private keys, and its rotation."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading

import jwt
import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st
from signing import AUDIENCE, ISSUER

from jupyter_session_user.core.identity_token import Grant, claims_of
from jupyter_session_user.core.signing_keys import (
    AHEAD_S,
    CACHE_S,
    KEEP_S,
    Made,
    published,
    signing,
)
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.tokens import keys as keys_module
from jupyter_session_user.tokens.keys import SigningKeys, make_file, rotate

NOW = 1_800_000_000.0
LIFETIME_S = 300


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def path(tmp_path):
    """Return the path of a new file of keys."""
    path = tmp_path / "folder" / "keys.json"
    assert make_file(path, NOW)
    return path


def token(keys: SigningKeys, now: float) -> str:
    """Return a token about alice."""
    return keys.sign(claims_of(Grant(ISSUER, AUDIENCE, "alice", "s", False), now, LIFETIME_S, "j"))


def kid_of(text: str) -> str:
    """Return the name of a token's key."""
    return jwt.get_unverified_header(text)["kid"]


def kids(keys: SigningKeys) -> list[str]:
    """Return the names of the published keys."""
    return [key["kid"] for key in keys.public()["keys"]]


def test_only_the_owner_has_access(path):
    """The file is 0600 in a folder that is 0700, also under a lax umask."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    before = os.umask(0)
    try:
        rotate(path, NOW)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lock = f".{path.name}.lock"  # some releases of filelock leave it there; it is empty
    left = {entry.name: entry for entry in path.parent.iterdir()}
    assert lock not in left or stat.S_IMODE(left.pop(lock).stat().st_mode) == 0o600
    assert list(left) == [path.name]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666, 0o620, 0o700, 0o755])
def test_another_mode_is_refused(path, mode):
    """Keys that other accounts may have read sign nothing; the error ends with the fix."""
    path.chmod(mode)
    for use in (lambda: SigningKeys(path), lambda: rotate(path, NOW)):
        with pytest.raises(ConfigurationError, match=rf"mode {mode:04o}.*chmod 600"):
            use()
    path.chmod(0o400)
    assert kids(SigningKeys(path))


def test_a_file_is_never_replaced_by_a_start(path):
    """A second start keeps the keys."""
    before = path.read_text()
    assert not make_file(path, NOW + 1)
    assert path.read_text() == before


def test_servers_that_start_at_once_have_the_same_keys(tmp_path):
    """Eight servers make one file, which all of them read."""
    path, found, gate = tmp_path / "keys.json", [], threading.Barrier(8)

    def start() -> None:
        gate.wait()
        make_file(path, NOW)
        found.append(kids(SigningKeys(path, clock=lambda: NOW)))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len({tuple(one) for one in found}) == 1


#: Rotates a file of keys, as often as it is told, and prints the names of the new keys.
ROTATE = """
import pathlib, sys
from jupyter_session_user.tokens.keys import rotate
for _ in range(int(sys.argv[2])):
    print(rotate(pathlib.Path(sys.argv[1]), float(sys.argv[3])))
"""


def test_rotations_at_once_lose_no_key(path):
    """Two processes rotate at the same time: each new key is in the file, beside the first one."""
    (first,) = kids(SigningKeys(path, clock=lambda: NOW))
    command = [sys.executable, "-c", ROTATE, str(path), "20", str(NOW)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    made = [kid for process in both for kid in process.communicate()[0].split()]
    assert [process.returncode for process in both] == [0, 0]
    assert len(set(made)) == 40
    stored = {key["kid"] for key in json.loads(path.read_text())["keys"]}
    assert stored == {first, *made}


def test_a_rotation_waits_for_another_and_then_gives_up(path, monkeypatch):
    """While another program changes the file, the error says so, and nothing changes."""
    monkeypatch.setattr(keys_module, "_LOCK_S", 0.05)
    before = path.read_text()
    with FileLock(path.with_name(f".{path.name}.lock")):
        with pytest.raises(ConfigurationError, match="another program changes"):
            rotate(path, NOW)
        assert not make_file(path, NOW)
    assert path.read_text() == before
    rotate(path, NOW)
    assert len(json.loads(path.read_text())["keys"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "secret-canary"}]}',
        '{"keys": "secret-canary"}',
        '["secret-canary"',
    ],
)
def test_a_damaged_file(path, text):
    """It is an error with the fix, without the file's content, and nothing replaces the file."""
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="keys rotate") as caught:
        SigningKeys(path)
    assert "canary" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        rotate(path, NOW)
    assert path.read_text() == text


def test_the_public_keys_have_no_private_part(path):
    """``d`` is in the file, and in no answer; the name is the RFC 7638 thumbprint."""
    (stored,) = json.loads(path.read_text())["keys"]
    (shown,) = SigningKeys(path, clock=lambda: NOW).public()["keys"]
    assert shown.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert stored["d"] not in json.dumps(shown)
    from jwcrypto.jwk import JWK

    assert (
        JWK(**{name: shown[name] for name in ("kty", "crv", "x", "y")}).thumbprint() == shown["kid"]
    )


def test_a_rotation_refuses_no_token(path):
    """A verifier with a copy of the keys as old as it may be accepts each token."""
    clock, steps = Clock(), Clock()
    keys = SigningKeys(path, clock=clock, monotonic=steps)
    copies, tokens, used = [], [], set()
    rotations = {200, 1200, 1210, 4000}
    for second in range(0, 6000, 10):
        clock.now, steps.now = NOW + second, NOW + second
        if second in rotations:
            rotate(path, clock.now)
        copies.append((clock.now, keys.public()))
        tokens.append((clock.now, token(keys, clock.now)))
        oldest = next(jwks for at, jwks in copies if at >= clock.now - CACHE_S)
        for at, text in tokens:
            if clock.now < at + LIFETIME_S:
                known = {key["kid"] for key in oldest["keys"]}
                assert kid_of(text) in known
                used.add(kid_of(text))
    assert len(used) == 1 + len(rotations)
    assert len(kids(keys)) == 1
    rotate(path, clock.now)
    assert len(json.loads(path.read_text())["keys"]) == 2  # the ended ones have left the file


def test_a_leaked_key_leaves_at_once(path):
    """With ``at_once`` no other key signs or is published."""
    steps = Clock()
    keys = SigningKeys(path, clock=lambda: NOW, monotonic=steps)
    old = token(keys, NOW)
    new = rotate(path, NOW, at_once=True)
    steps.now += 2
    assert kids(keys) == [new] == [kid_of(token(keys, NOW))]
    assert kid_of(old) != new


def test_a_changed_file_that_cannot_be_used_keeps_the_former_keys(path):
    """The server goes on, and says so; a repaired file counts."""
    said, steps = [], Clock()
    keys = SigningKeys(path, said.append, clock=lambda: NOW, monotonic=steps)
    before = kids(keys)
    path.chmod(0o644)
    steps.now += 2
    assert kids(keys) == before and len(said) == 1 and "chmod 600" in said[0]
    path.chmod(0o600)
    new = rotate(path, NOW - AHEAD_S, at_once=True)
    steps.now += 2
    assert kids(keys) == [new] and len(said) == 1


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=6), st.integers(-100, 20_000))
def test_the_signing_key_is_published(times, now):
    """At any time after any rotations the key that signs, and those that signed, are published."""
    keys = [Made(f"k{number}", at) for number, at in enumerate(times)]
    assert signing(keys, now) in published(keys, now)
    for ago in range(0, KEEP_S, 60):
        assert signing(keys, now - ago) in published(keys, now)
    # What signs now was published for as long as a copy may be old, or is the first.
    first = min(keys, key=lambda key: (key.at, key.kid))
    (one,) = (key for key in keys if key.kid == signing(keys, now))
    assert one == first or now - one.at >= 2 * CACHE_S
