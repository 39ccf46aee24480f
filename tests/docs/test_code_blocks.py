"""Every Python block of README and the documentation runs: none is skipped without a reason."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
import servers
from app_servers import app_server
from blocks import ROOT, blocks
from how import CHANGED, HOW, KERNEL_PAGES, SHOWN, How
from needs import has_release

HERE = Path(__file__).parent
ENTERPRISE = Path(sys.prefix) / "enterprise-gateway" / "bin" / "python"
BLOCKS = blocks("python", "py")
COOKIES = {
    "theme": "dark",
    "numerous_user_info": '%7B"user_id": "jane"%7D',
    "platform_user": '%7B"user_id": "jane"%7D',
    "id_token": "e30.eyJzdWIiOiAiamFuZSJ9.",
    "user": "no signature",
}


def how(block):
    """Return the row of a block; the default runs it as it stands."""
    rows = [HOW[page, text] for page, text in HOW if page == block.page and text in block.text]
    assert len(rows) < 2, f"{block}: two rows of tests/docs/how.py match"
    return rows[0] if rows else How("kernel" if block.page in KERNEL_PAGES else "plain")


WITH = [(block, how(block)) for block in BLOCKS]


def of(*modes):
    """Return the parameters of the tests of some modes."""
    found = [(block, way) for block, way in WITH if way.mode in modes]
    return pytest.mark.parametrize(("block", "way"), found, ids=[str(block) for block, _ in found])


def test_every_block_has_a_way_to_run():
    """No block falls through, and no row of the table is left over."""
    modes = {"kernel", "plain", "config", "hub", "gateway", "serve", "test"}
    assert {way.mode for _, way in WITH} <= modes
    used = [
        key
        for key in (*HOW, *CHANGED, *SHOWN)
        if not any(block.page == key[0] and key[1] in block.text for block in BLOCKS)
    ]
    assert used == []
    assert set(KERNEL_PAGES) <= {block.page for block in BLOCKS}


@of("test")
def test_a_block_that_cannot_run_here_is_run_elsewhere(block, way):
    """It compiles, and the test that its row names exists, and has its first line or its title."""
    compile(block.text, str(block), "exec")
    path, _, name = way.why.partition("::")
    text = (ROOT / path).read_text("utf-8")
    assert f"def {name}(" in text
    title = block.text.splitlines()[0].rpartition(": ")[2]
    assert any(title in file.read_text() for file in (ROOT / path).parent.glob("*.py"))


def run(need, *pairs):
    """Run blocks in a new interpreter."""
    for _, way in pairs:
        need(not way.needs or has_release(way.needs), f"the page needs {way.needs}")
    jobs = [
        {
            "where": str(block),
            "text": block.text,
            **{part: getattr(way, part) for part in ("user", "before", "after")},
        }
        for block, way in pairs
    ]
    done = subprocess.run(
        [sys.executable, str(HERE / "run_block.py")],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        cwd=ROOT,
    )
    last = done.stderr.rstrip().rpartition("\n")[2]
    need(not last.startswith("ModuleNotFoundError"), last)
    assert done.returncode == 0, done.stderr[-3000:]


PLAIN = [(block, way) for block, way in WITH if way.mode == "plain"]


@pytest.mark.parametrize("page", dict.fromkeys(block.page for block, _ in PLAIN))
def test_plain(page, need):
    """The blocks of the page run as they stand, for two users."""
    run(need, *((block, way) for block, way in PLAIN if block.page == page))


def test_a_wrong_block_is_found(need):
    """A name that does not exist, or another user's name, fails the test of a block."""
    block = next(b for b in BLOCKS if b.page == "docs/reference/errors.md")
    for after in ("no_such_name", "assert user.username == 'alice'"):
        with pytest.raises(AssertionError):
            run(need, (block, How(after=after)))


@pytest.fixture(scope="module")
def notebooks():
    """Run a server with alice and bob, which shares the pages' cookies."""
    with servers.own_server(
        *servers.DEMO,
        *(f"--JupyterSessionUser.share_cookies={name}" for name in COOKIES),
    ) as running:
        yield running


@pytest.mark.parametrize("page", KERNEL_PAGES)
async def test_in_a_kernel(page, notebooks):
    """All blocks of the page run in one kernel, first as alice's cells and then as bob's."""
    people = dict(zip(("alice", "bob"), await servers.people_on(notebooks), strict=True))
    async with servers.kernel_of(people["alice"]) as kernel_id:
        for name, person in people.items():
            person.cookies |= COOKIES
            async with servers.opened(person, kernel_id) as socket:
                for text in (KERNEL_PAGES[page], *cells(page)):
                    result = await socket.execute(text)
                    assert result.errors == [], f"{page}, as {name}:\n{text}"
                    for key, shown in SHOWN.items():
                        if key[0] == page and key[1] in text:
                            assert result.text == shown[name]


def cells(page):
    """Return the blocks of a page as they run."""
    for block, way in WITH:
        if block.page == page and way.mode == "kernel":
            text = block.text
            for (changed, old), (new, _reason) in CHANGED.items():
                text = text.replace(old, new) if changed == page else text
            yield text


@of("config")
def test_configuration_of_the_server(block, way):
    """Each setting exists, and takes the value."""
    from jupyter_events import EventLogger
    from jupyter_server.auth.identity import IdentityProvider
    from jupyter_server.serverapp import ServerApp
    from voila.configuration import VoilaConfiguration

    from jupyter_session_user.core.exchange_terms import terms_of
    from jupyter_session_user.server.auth.proxy_identity import ProxyIdentityProvider
    from jupyter_session_user.server.settings import Settings

    config = executed(way, block.text)
    settings = Settings()
    owners = {"JupyterSessionUser": settings, "EventLogger": EventLogger()}
    owners |= {"VoilaConfiguration": VoilaConfiguration(), "ServerApp": ServerApp()}
    owners["IdentityProvider"] = IdentityProvider()
    valid = {"preset": "authelia", "trusted_proxies": ["10.0.0.5/32"]}
    owners["ProxyIdentityProvider"] = ProxyIdentityProvider(**valid)
    assert config
    for section, values in config.items():
        for name, value in values.items():
            assert owners[section].has_trait(name), f"{section}.{name}"
            setattr(owners[section], name, value)
    for handler in config.EventLogger.get("handlers", ()):
        handler.close()
    for name, entry in settings.token_exchange.items():
        assert terms_of(name, entry).name == name
    settings.networks(), settings.platform_cookie(), settings.policy(), settings.limits()


@of("gateway")
def test_configuration_of_enterprise_gateway(block, way, need):
    """Each name of its configuration exists."""
    need(ENTERPRISE.exists(), "Enterprise Gateway is missing: make venv")
    named = [[section, *names] for section, names in executed(way, block.text).items()]
    code = (
        "import json, sys\n"
        "from enterprise_gateway.enterprisegatewayapp import EnterpriseGatewayApp as App\n"
        "for section, *names in json.loads(sys.argv[1]):\n"
        "    assert section == App.__name__ and set(names) <= set(App.class_traits(config=True))\n"
    )
    subprocess.run([str(ENTERPRISE), "-c", code, json.dumps(named)], check=True, timeout=100)


@of("hub")
def test_configuration_of_the_hub(block, way, need):
    """Each name of JupyterHub's configuration exists."""
    import importlib.util

    need(importlib.util.find_spec("jupyterhub"), "jupyterhub is missing")
    from jupyterhub import app, auth, spawner

    for section, values in executed(way, block.text).items():
        owner = next(filter(None, (getattr(m, section, None) for m in (app, auth, spawner))))
        for name in values:
            assert owner.class_traits(config=True).get(name), f"{section}.{name}"


def executed(way, text):
    """Return the configuration that a file makes."""
    from traitlets.config import Config

    config = Config()
    namespace = {"c": config, "get_config": lambda: config}
    exec(way.before, namespace)  # noqa: S102
    exec(replaced(way, text), namespace)  # noqa: S102
    return config


def replaced(way, text):
    """Return a block's text as this machine can run it."""
    old, new = way.replace
    assert not old or old in text
    return text.replace(old, new) if old else text


@of("serve")
def test_served(block, way, need, monkeypatch):
    """The host serves the block as a file."""
    import importlib.util

    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(ast.parse(block.text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for name in imported:
        need(importlib.util.find_spec(name.partition(".")[0]), f"{name} is missing")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # NiceGUI would serve on a port of pytest
    with app_server(
        *(sys.executable, *way.command),
        files={"app.py": replaced(way, block.text)},
        env=dict(way.env),
        ready=way.ready,
    ) as running:
        with running.connect() as connection:
            connection.request("GET", "/")
            assert connection.getresponse().status < 500
        assert "Traceback" not in running.log_text()
