"""The journal in Redis: data lost without an error, long lists, TLS, and a user of its own."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from redis_server import RedisServer

from jupyter_session_user.core.secret import Secret
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.store import redis as ours
from jupyter_session_user.store.base import Ended
from jupyter_session_user.store.journal import Change
from jupyter_session_user.store.redis import RedisJournal
from jupyter_session_user.store.shared import SharedEnded
from jupyter_session_user.store.url import open_ended

FAR = 1e12
PATIENCE_S = 20.0
PREFIX = "{jupyter-session-user}:"
DOCS = Path(__file__).parents[2] / "docs"


def eventually(condition):
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


async def _saved(store):
    await store.saved()


@pytest.fixture
def lists():
    """Return a function that opens a server's list at an address."""
    made = []

    def opened(url):
        store = SharedEnded(RedisJournal(url))
        store.follow(lambda _: None, lambda function: function())
        made.append(store)
        return store

    yield opened
    for store in made:
        store.close()


@pytest.fixture
def admin(redis_server):
    """Return a client of the database's administrator."""
    import redis

    client = redis.Redis.from_url(redis_server.url, decode_responses=True)
    yield client
    client.close()


def test_a_redis_that_is_emptied_without_a_lost_connection_is_filled_again(
    lists, redis_server, admin
):
    """Neither server notices an error; a third one that starts later knows all."""
    one, other = lists(redis_server.url), lists(redis_server.url)
    one.end("alice's", Ended("revoked", 5.0, FAR))
    other.end_before("user:bob", 300, FAR)
    for store in (one, other):
        asyncio.run(_saved(store))
    admin.flushall()
    eventually(lambda: admin.hlen(f"{PREFIX}rows") == 2)
    third = lists(redis_server.url)
    assert third.ended("alice's", 6.0) == Ended("revoked", 5.0, FAR)
    assert [third.not_before(f"user:{name}") for name in ("bob", "alice")] == [300, -1]
    one.end("later", Ended("revoked", 5.0, FAR))
    eventually(lambda: other.ended("later", 6.0))


def test_a_server_that_slept_reads_what_the_stream_has_dropped(
    lists, redis_server, admin, monkeypatch
):
    """Redis has dropped the change meanwhile, and the connection was never lost."""
    monkeypatch.setattr(ours, "_PAUSE_S", 2.0)
    slept = lists(redis_server.url)
    journal = slept._journal
    ask = journal._reader.xread

    def slow(*arguments, **options):
        journal._reader.xread = ask
        time.sleep(3)  # as if the machine slept
        return ask(*arguments, **options)

    journal._reader.xread = slow
    time.sleep(1.2)  # the present question is answered
    awake = lists(redis_server.url)
    awake.end("alice's", Ended("revoked", 5.0, FAR))
    asyncio.run(_saved(awake))
    admin.xtrim(f"{PREFIX}changes", maxlen=0, approximate=False)
    assert slept.ended("alice's", 6.0) is None
    eventually(lambda: slept.ended("alice's", 6.0))
    assert slept.ended("bob's", 6.0) is None


@pytest.mark.slow
def test_a_long_list_is_written_again_in_parts(lists, redis_server):
    """50,000 ends, and Redis comes back empty: no time-out, and a new server knows all of them."""
    one = lists(redis_server.url)
    for number in range(50_000):
        one.end(f"key-{number}", Ended("revoked", 5.0, FAR))
    asyncio.run(_saved(one))
    redis_server.stop()
    redis_server.start()
    third = None
    end = time.monotonic() + 60
    while third is None or third.ended("key-49999", 6.0) is None:
        assert time.monotonic() < end
        time.sleep(0.1)
        third = third or lists(redis_server.url)
    eventually(lambda: all(third.ended(f"key-{number}", 6.0) for number in range(50_000)))
    assert third.ended("key-50000", 6.0) is None


def test_messages_pass_while_many_changes_arrive(lists, redis_server):
    """The changes of another server take many turns of this server's thread, not one."""
    one = lists(redis_server.url)
    turns = []
    other = SharedEnded(RedisJournal(redis_server.url))
    journal = RedisJournal(redis_server.url)
    changes = [Change("ended", f"{number:032x}", ("revoked", 5.0, FAR)) for number in range(3_000)]
    journal.commit(changes, None)
    other.follow(turns.append, lambda function: function())
    eventually(lambda: sum(map(len, turns)) == 3_000)
    assert max(map(len, turns)) <= 500
    eventually(lambda: one._memory.ended(f"{2_999:032x}", 6.0))
    journal.close()
    journal._reader.close()
    other.close()


def test_a_redis_that_hangs_costs_a_time_limit_and_no_second_attempt(redis_server):
    """A stopped process accepts connections and answers nothing."""
    os.kill(redis_server._process.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        with pytest.raises(ConfigurationError, match="does not answer"):
            RedisJournal(redis_server.url)
        assert time.monotonic() - start < 2 * (ours._TIMEOUT_S + ours._BLOCK_MS / 1000) + 1
    finally:
        os.kill(redis_server._process.pid, signal.SIGCONT)


# ------------------------------------------------------------------------------ a user, and TLS


def documented_rights():
    """Return the words of the ACL rule in the documentation, after the password."""
    rule = re.search(r"ACL SETUSER jupyter on >PASSWORD (.*?)```", _server_page(), re.DOTALL)
    assert rule is not None
    return rule[1].replace("\\\n", " ").replace("'", "").split()


def _server_page():
    return (DOCS / "server.md").read_text()


def test_the_documented_rights_suffice(lists, redis_server, admin):
    """A user with these rights alone: ends, their removal, an emptied database, a second server."""
    admin.execute_command("ACL", "SETUSER", "jupyter", "on", ">a-password", *documented_rights())
    admin.acl_setuser("default", enabled=True, reset_passwords=True, passwords=["+root"])
    url = redis_server.url.replace("redis://", "redis://jupyter:a-password@")
    one, other = lists(url), lists(url)
    one.end("alice's", Ended("revoked", 5.0, FAR))
    one.end("past", Ended("revoked", 5.0, 10.0))
    eventually(lambda: other.ended("alice's", 6.0))
    admin.auth("root")
    for store in (one, other):
        store.forget(11.0)
    asyncio.run(_saved(one))
    eventually(lambda: admin.hlen(f"{PREFIX}rows") == 1)
    admin.flushall()
    eventually(lambda: admin.hlen(f"{PREFIX}rows") == 1)
    refused = {entry["object"] for entry in admin.acl_log()}
    assert refused <= {"client|setinfo"}  # Redis 7.2; the docs say so


@pytest.mark.parametrize(
    "command", [("GET", "other"), ("KEYS", "*"), ("FLUSHALL",), ("CONFIG", "GET", "*")]
)
def test_the_documented_rights_allow_nothing_else(redis_server, admin, command):
    """Neither other keys nor other commands."""
    import redis

    admin.execute_command("ACL", "SETUSER", "jupyter", "on", ">a-password", *documented_rights())
    client = redis.Redis.from_url(redis_server.url.replace("//", "//jupyter:a-password@"))
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)
    client.close()


def test_a_user_without_the_rights_is_an_error_at_the_start(redis_server, admin):
    """The text has no password."""
    admin.execute_command("ACL", "SETUSER", "weak", "on", ">a-password", "+ping")
    with pytest.raises(ConfigurationError, match="NoPermissionError") as raised:
        RedisJournal(redis_server.url.replace("//", "//weak:a-password@"))
    assert "a-password" not in str(raised.value)


def test_the_password_of_a_file_opens_the_store(redis_server, admin, tmp_path):
    """The password counts with and without a username in the URL, and is in no text of objects."""
    admin.execute_command("ACL", "SETUSER", "jupyter", "on", ">a-password", *documented_rights())
    secret = Secret("a-password")
    url = redis_server.url.replace("//", "//jupyter@")
    store = open_ended(url, lambda: str(tmp_path), password=secret)
    assert "a-password" not in f"{vars(store)} {store!r}"
    store.close()
    with pytest.raises(ConfigurationError, match="AuthenticationError") as raised:
        open_ended(url, lambda: str(tmp_path), password=Secret("w-password"))
    assert "-password" not in str(raised.value)


@pytest.mark.parametrize("url", ["", "memory:", "redis://a:one@h/0", "redis://h/0?password=one"])
def test_a_password_that_would_not_count_is_an_error(url, tmp_path):
    """The file's password is for Redis, and for a URL without a password."""
    with pytest.raises(ConfigurationError, match="store_password_file") as raised:
        open_ended(url, lambda: str(tmp_path), password=Secret("two"))
    assert "two" not in str(raised.value)


def test_a_store_without_a_follower_leaves_no_connection_open(redis_server, admin, tmp_path):
    """Its second connection has no thread that closes it."""
    store = open_ended(redis_server.url, lambda: str(tmp_path))
    store.close()
    assert [one for one in admin.client_list() if one["name"] == "jupyter-session-user"] == []


@pytest.fixture
def certificates(tmp_path):
    """Return a private authority's certificate, and the options of a server that it certified."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
        for text in ("test authority", "redis")
    ]
    now = dt.datetime.now(dt.timezone.utc)

    def certificate(number, *, authority):
        addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(names[number])
            .issuer_name(names[0])
            .public_key(keys[number].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(keys[number].public_key()),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(keys[0].public_key()),
                critical=False,
            )
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=authority,
                    crl_sign=authority,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(keys[0], hashes.SHA256())
        )

    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    files = {"ca": tmp_path / "ca.pem", "cert": tmp_path / "cert.pem", "key": tmp_path / "key.pem"}
    files["ca"].write_bytes(certificate(0, authority=True).public_bytes(pem))
    files["cert"].write_bytes(certificate(1, authority=False).public_bytes(pem))
    pkcs8 = serialization.PrivateFormat.PKCS8
    files["key"].write_bytes(keys[1].private_bytes(pem, pkcs8, plain))
    return files


def test_tls_with_a_private_authority(lists, need, certificates, tmp_path):
    """The servers check Redis's certificate, and refuse one of an unknown authority."""
    need(shutil.which("redis-server"), "redis-server is missing")
    options = ("--port", "0", "--tls-auth-clients", "no", "--tls-port", "0")
    files = (
        f"--tls-{name}-file {certificates[part]}"
        for name, part in (("cert", "cert"), ("key", "key"))
    )
    tls = [word for option in files for word in option.split()]
    ca = ("--tls-ca-cert-file", str(certificates["ca"]))
    server = RedisServer(shutil.which("redis-server"), tmp_path, *options, *tls, *ca)
    try:
        secure = server.url.replace("redis://", "rediss://")
        url = f"{secure}?ssl_ca_certs={certificates['ca']}"
        one, other = lists(url), lists(url)
        one.end("alice's", Ended("revoked", 5.0, FAR))
        eventually(lambda: other.ended("alice's", 6.0))
        assert other.ended("bob's", 6.0) is None
        for wrong in (secure, server.url):
            with pytest.raises(ConfigurationError, match="does not answer"):
                RedisJournal(wrong)
    finally:
        server.stop()
