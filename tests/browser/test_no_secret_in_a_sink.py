"""No secret is in any place where texts of a server, a kernel or a page end up."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from browsing import chromium_path
from needs import has_release
from postgres_server import missing, postgres_server
from redis_server import RedisServer
from secret_forms import forms, holds
from secret_sinks import LEGITIMATE, running_office, search

#: Kinds of secrets that the search must have had, and how many there are at least.
KINDS = {
    "access token": 5,
    "agent's token": 2,
    "client secret": 1,
    "cookie secret": 1,
    "database password": 3,
    "identity token": 3,
    "key of the logins' tokens": 1,
    "login cookie": 5,
    "login password": 2,
    "password of Redis": 1,
    "password of the database's administrator": 1,
    "platform cookie": 2,
    "private key of identity tokens": 1,
    "token of a login, or from the provider": 15,
    "wrong token": 2,
}
#: The least number of sinks.
SINKS = 60


@pytest.fixture(scope="module")
def report(need, running_provider, _everything, tmp_path_factory):
    """Run the search once."""
    need(not missing(), missing())
    need(importlib.util.find_spec("redis"), "redis-py is missing")
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    need(program, "redis-server is missing")
    chromium, outside = chromium_path(need), tmp_path_factory.mktemp("sinks")
    redis = RedisServer(program, tmp_path_factory.mktemp("redis"))
    try:
        with (
            postgres_server() as postgres,
            running_office(running_provider, postgres, redis, outside) as office,
        ):
            yield asyncio.run(search(office, chromium))
    finally:
        redis.stop()
        running_provider.faults()


def test_every_sink_was_read(report):
    """The marker that was put into each sink on purpose is found there."""
    # IPython 8.18 keeps nothing with %store without this package.
    keeps = has_release("ipython>=9") or has_release("pickleshare")
    assert report.unread == ([] if keeps else ["cell: %store"])
    assert len(report.sinks) >= SINKS


def test_every_kind_of_secret_was_there(report):
    """Each kind of secret was in use, for two people where it is a person's."""
    assert {
        kind: report.kinds.get(kind, 0) for kind in KINDS if report.kinds.get(kind, 0) < KINDS[kind]
    } == {}


def test_no_secret_is_in_a_sink(report):
    """Nothing is found, in no form."""
    assert report.found == []


def test_each_exception_is_needed(report):
    """A reason for a secret at its place stands for something that was found."""
    assert set(report.legitimate) <= set(LEGITIMATE)
    unused = set(LEGITIMATE) - set(report.legitimate)
    assert {sink for sink, kind in unused if kind in report.kinds} == set()


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:"])
def test_each_form_is_found(before):
    """The scanner finds a secret in what surrounds it, however it is written."""
    secret = 'a+b/c~ü"9?'.encode()
    text = secret.decode()
    whole = before.encode() + secret + b"tail"
    for data in (
        whole,
        b64encode(whole),
        urlsafe_b64encode(whole),
        quote(before + text + "tail", safe="").encode(),
        whole.hex().encode(),
        (before + text).encode("utf-16-le"),
        f'{{"t": "{before}a+b/c~\\u00fc\\"9?"}}'.encode(),
    ):
        assert holds(b"..." + data + b"...", secret), data
        assert not holds(data, b"another-secret")
    assert len(forms(bytes(range(200, 232)))) >= 5
