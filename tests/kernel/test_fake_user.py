"""``fake_user`` makes up the current user of a test, and never replaces a real one."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
import threading

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from jupyter_session_user import (
    AccessDenied,
    AccessTokenUnavailable,
    ConfigurationError,
    IdentityTokenUnavailable,
    IdentityUnavailable,
    SessionExpired,
    SessionUserMiddleware,
    User,
    WrongArgument,
    bind_current_user,
    get_access_token,
    get_cookies,
    get_current_user,
    get_identity_token,
    get_session,
    require_user,
)
from jupyter_session_user.core.session import Session
from jupyter_session_user.testing import fake_user


def name():
    """Return the current user's name, or None."""
    return get_current_user(default=None) and get_current_user().username


def test_all_functions_answer_the_fake_user():
    """Each public function gives what the test has made up, and says that it is a fake."""
    with fake_user("ada", groups=["finance"], cookies={"a": "b;c"}, expires_in=60) as session:
        assert get_current_user().groups == ("finance",)
        assert get_session() is session
        assert (session.source, session.verified) == ("fake", False)
        assert 0 < session.seconds_left <= 60
        assert (dict(get_cookies()), get_cookies()["a"]) == ({"a": "b;c"}, "b;c")
        assert require_user(groups="finance").user().username == "ada"
        with pytest.raises(IdentityTokenUnavailable):
            get_identity_token("https://data.example.org")
        with pytest.raises(AccessTokenUnavailable, match="fake user"):
            get_access_token("trino")
    with fake_user("bob"):
        assert (get_current_user().groups, dict(get_cookies())) == ((), {})
        assert get_session().expires_at is None
    assert name() is None


def test_require_user_names_the_groups_and_no_user():
    """Bob's error has the groups that may, and neither a permitted user's name."""
    with fake_user("bob", groups="sales"), pytest.raises(AccessDenied) as refused:
        require_user(groups=["finance", "board"], usernames="ada").user()
    text = str(refused.value)
    assert "one of the groups 'board', 'finance'" in text
    assert "ada" not in text


def test_a_bound_user_is_not_hidden():
    """In a worker that has bound Alice, a fake user is refused, and Alice stays.

    In a fake block, Alice may be bound.
    """
    alice = Session("s", User("alice"), "test", verified=True)
    with bind_current_user(session=alice):
        with pytest.raises(ConfigurationError, match="bound another user"):
            fake_user("bob").__enter__()
        assert name() == "alice"
    with fake_user("bob"):
        with bind_current_user(session=alice):
            assert name() == "alice"
        assert name() == "bob"


def test_end_of_a_login():
    """A login of zero seconds is over, as a real one."""
    with fake_user("ada", expires_in=0), pytest.raises(SessionExpired):
        get_current_user()


def test_nested_blocks():
    """The inner block counts, and the outer user is back after it."""
    with fake_user("ada"):
        with fake_user("bob"):
            assert name() == "bob"
        assert name() == "ada"
    assert name() is None


def test_decorator():
    """Each call of a decorated function has the user, and its caller keeps their own."""

    @fake_user("bob")
    def inner():
        return name()

    @fake_user("carol")
    async def later():
        await asyncio.sleep(0)
        return name()

    with fake_user("ada"):
        assert (inner(), asyncio.run(later()), name()) == ("bob", "carol", "ada")


async def test_concurrent_tasks():
    """Two tasks that are in their blocks at the same time each see their own user."""
    both = asyncio.Barrier(2) if sys.version_info >= (3, 11) else None

    async def work(username):
        with fake_user(username):
            for _ in range(10):
                await (both.wait() if both else asyncio.sleep(0))
                assert name() == username
        return name()

    assert await asyncio.gather(work("ada"), work("bob")) == [None, None]


def test_concurrent_threads():
    """Two threads each see their own user; a bare thread sees none, and a bound one the binder."""
    both, seen = threading.Barrier(2), {}

    def work(username):
        with fake_user(username):
            both.wait(10)
            seen[username] = name()
            both.wait(10)

    def run(*targets):
        threads = [threading.Thread(target=target) for target in targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

    run(lambda: work("ada"), lambda: work("bob"))
    with fake_user("ada"):
        run(lambda: seen.update(bare=name()), bind_current_user(lambda: seen.update(bound=name())))
    assert seen == {"ada": "ada", "bob": "bob", "bare": None, "bound": "ada"}


async def test_a_task_that_outlives_the_block():
    """The copied context of a task names no user after the block."""
    go = asyncio.Event()

    async def later():
        before = name()
        await go.wait()
        return before, name()

    with fake_user("ada"):
        task = asyncio.create_task(later())
        await asyncio.sleep(0)
    go.set()
    assert await task == ("ada", None)


def test_pickle_is_refused():
    """A fake session does not travel into another process as if it were a real one."""
    with fake_user("ada") as session, pytest.raises(TypeError, match="fake_user"):
        pickle.dumps(session)


@pytest.mark.parametrize(
    ("username", "details"),
    [
        ("", {}),
        (None, {}),
        ("ada", {"expires_in": "60"}),
        ("ada", {"expires_in": True}),
        ("ada", {"expires_in": float("nan")}),
        ("ada", {"groups": [1]}),
        ("ada", {"cookies": {"a": 1}}),
    ],
)
def test_arguments(username, details):
    """A wrong argument is an error at once."""
    with pytest.raises(WrongArgument):
        fake_user(username, **details)


def test_an_app_keeps_its_own_visitors():
    """In a fake block, an app still names its visitors; in its code a fake user is refused."""
    app = FastAPI()

    @app.get("/")
    async def hello():
        return name()

    @app.get("/fake")
    async def fake():
        with pytest.raises(ConfigurationError, match="Remove fake_user"):
            fake_user("mallory").__enter__()
        return name()

    proxies = ["10.0.0.0/8"]
    app.add_middleware(SessionUserMiddleware, trusted_header="X-User", trusted_proxies=proxies)
    client = TestClient(app, client=("10.0.0.1", 50000))
    with fake_user("mallory"):
        for path in ("/", "/fake"):
            for username in ("alice", "bob"):
                assert client.get(path, headers={"X-User": username}).json() == username
        assert name() == "mallory"


#: What a hostile or forgetful cell may do; ``said`` has the class of the error.
TRY = """
from jupyter_session_user.testing import fake_user
def attempt(again=who):
    try:
        with fake_user("mallory"): return again()
    except SessionUserError as error: return type(error).__name__
"""


def test_refused_in_a_kernel_with_a_server(alice, bob):
    """In a cell, a bare thread, a bound thread and a fork, no fake user begins."""
    alice.run(TRY)
    thread = "__import__('concurrent.futures').futures.ThreadPoolExecutor(1).submit"
    for person, username in ((alice, "alice"), (bob, "bob")):
        assert person.run("(attempt(), who())").value == ("ConfigurationError", username)
        assert person.run(f"{thread}(attempt).result(10)").value == "ConfigurationError"
        bound = f"{thread}(bind_current_user(attempt)).result(10)"
        assert person.run(bound).value == "ConfigurationError"
    forked = (
        "import os\nr, w = os.pipe()\nchild = os.fork()\n"
        "if not child:\n    os.write(w, attempt().encode()); os._exit(0)\n"
        "_ = os.waitpid(child, 0)"
    )
    assert alice.run(forked).reply["status"] == "ok"
    assert alice.run("os.read(r, 100).decode()").value == "ConfigurationError"


def test_a_block_that_is_older_than_the_first_stamp(alice, bob):
    """A block that was entered before any stamp gives no name once a server names users."""
    alice.run(
        f"{TRY}\nfrom jupyter_session_user.kernel import ipykernel\n"
        "early = contextvars.Context()\nstamped = ipykernel.installed().stamped\n"
        "stamped.clear(); block = fake_user('mallory')\n"
        "early.run(block.__enter__); first = early.run(who); stamped.set()"
    )
    alice.run(
        "def late():\n"
        "    try: return early.run(who)\n"
        "    except SessionUserError as error: return type(error).__name__"
    )
    assert alice.run("(first, late(), who())").value == ("mallory", "ConfigurationError", "alice")
    assert bob.run("(late(), who())").value == ("ConfigurationError", "bob")


SUITE = """
import pytest
from jupyter_session_user import get_current_user

pytest_plugins = ["jupyter_session_user.testing.pytest_plugin"]

def name():
    return get_current_user(default=None) and get_current_user().username

@pytest.mark.parametrize("who", ["ada", "bob"])
def test_plain(session_user, who):
    assert name() is None
    assert session_user(who, groups=["finance"]).user == get_current_user()
    assert name() == who

@pytest.mark.parametrize("who", ["ada", "bob"])
@pytest.mark.anyio
async def test_async(session_user, who, anyio_backend_name):
    assert name() is None
    session_user(who)
    assert name() == who

def test_after():
    assert name() is None
"""


@pytest.mark.parametrize("named", [True, False], ids=["both ways", "the entry point"])
def test_fixture_of_the_entry_point(tmp_path, named):
    """It needs no line in ``conftest.py``, and a project that has the line has no error."""
    suite = SUITE if named else SUITE.replace("pytest_plugins =", "not_used =")
    (tmp_path / "test_page.py").write_text(suite)
    loaded = (
        "import sys\nEARLY = 'jupyter_session_user' in sys.modules\n"
        "def test_nothing_of_the_package_is_loaded_at_the_start():\n    assert not EARLY\n"
    )
    (tmp_path / "test_early.py").write_text("" if named else loaded)
    command = [sys.executable, "-m", "pytest", "-q", "-k", "plain or after or nothing"]
    command += ["-p", "no:dash", "-p", "no:randomly", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert f"{3 if named else 4} passed" in ran.stdout, ran.stdout + ran.stderr


def test_fixture(tmp_path):
    """In a project's own run, each test has its own user, also asynchronous ones, and none after.

    Warnings are errors there.
    """
    (tmp_path / "test_page.py").write_text(SUITE)
    backend = "import pytest\n@pytest.fixture(scope='session')\ndef anyio_backend():\n    "
    (tmp_path / "conftest.py").write_text(backend + "return 'asyncio'\n")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:dash"]
    command += ["-p", "no:randomly", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    ran = subprocess.run(
        [*command, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert "5 passed" in ran.stdout, ran.stdout + ran.stderr


def test_no_user_without_a_block():
    """Importing the module makes up nobody."""
    with pytest.raises(IdentityUnavailable):
        get_current_user()
