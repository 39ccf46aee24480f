"""How the Python blocks of each page are run: what surrounds them, and what must follow.

A block that this table does not name runs as it stands, in a new interpreter, with alice and then
bob as the current user. So each block runs, or its row says why not, and which test runs it.
"""

from __future__ import annotations

from dataclasses import dataclass

from blocks import ROOT

__all__ = ["CHANGED", "HOW", "KERNEL_PAGES", "SHOWN", "How"]


@dataclass(frozen=True)
class How:
    """A way to run one block.

    Attributes:
        mode: ``plain`` in a new interpreter; ``config`` as a configuration file of Jupyter;
            ``hub`` as one of JupyterHub; ``gateway`` as one of Enterprise Gateway; ``serve`` as a
            file that ``command`` serves; ``test``, by the test that ``why`` names.
        before: Code that the page's reader has; the names in it stand for the reader's own.
        after: What must be true afterwards. ``name`` is the current user's name.
        command: For ``serve``, with ``{port}``; the file is ``app.py``.
        replace: A text in the block of a file, and what stands there instead.
        env: For ``serve``, environment variables.
        ready: For ``serve``, a path that answers.
        needs: The release that has what the block shows, as in ``dash>=4.4``.
        user: Whether a current user is bound; not if the block's own app names its users.
        why: The reason for this row, if it needs one.
    """

    mode: str = "plain"
    before: str = ""
    after: str = ""
    command: tuple[str, ...] = ()
    replace: tuple[str, str] = ("", "")
    env: tuple[tuple[str, str], ...] = ()
    ready: str = "/"
    needs: str = ""
    user: bool = True
    why: str = ""


_SCOPE = (
    "def user_of_scope(scope):\n    return dict(scope['headers']).get(b'x-user', b'').decode()\n"
)
#: What a server would give a kernel.
_ACCESS = (
    "import jupyter_session_user as _jsu\n"
    "_jsu.get_access_token = lambda service: f'token of {name} for {service}'\n"
)
_CLIENT = "from fastapi.testclient import TestClient\n"

#: The keys of a server, and a function that signs as the server does.
_KEYS = (
    "import httpx, jwt, tempfile, time\nfrom pathlib import Path\n"
    "from types import SimpleNamespace\n"
    "from jupyter_session_user.core.identity_token import Grant, claims_of\n"
    "from jupyter_session_user.tokens.keys import SigningKeys, make_file\n"
    "_path = Path(tempfile.mkdtemp()) / 'keys.json'\nmake_file(_path, time.time())\n"
    "KEYS = SigningKeys(_path)\n"
    "def sign(who, shared=False):\n"
    "    grant = Grant('https://jupyter.example.org/api/session-user',\n"
    "                  'https://data.example.org', who, 's', shared)\n"
    "    return KEYS.sign(claims_of(grant, time.time(), 300, 'j'))\n"
)

#: Pages for authors of notebooks: all their blocks run in one kernel, one after the other, first by
#: alice and then by bob. Each page, and what its reader has before the first block.
KERNEL_PAGES: dict[str, str] = {
    "README.md": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "pool, item = ThreadPoolExecutor(1), 1\n"
        "def work(item):\n    return get_current_user().username\n"
    ),
    "docs/index.md": "",
    "docs/who_ran_cells.md": "",
    "docs/notebook.md": (
        "from types import SimpleNamespace\nfrom threading import Thread\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import jupyter_session_user as _jsu\n"
        "pool = executor = ThreadPoolExecutor(2)\nitem = 1\n"
        "job = SimpleNamespace(session=_jsu.get_session())\n"
        "def work(*_):\n    return _jsu.get_current_user().username\n"
        "def save_checkpoint(): ...\n"
    ),
    "docs/banner.md": "import panel as pn\napp = pn.pane.Str('app')\n",
    "docs/tutorials/voila_for_two.md": "",
    "docs/tutorials/sign_in_again.md": "",
    "docs/tutorials/jupyterhub.md": "",
}

_PROVIDER = "tests/flow/test_provider_pages.py::test_generic_openid_connect"
_ROW_LEVEL = "tests/databases/test_row_level_example.py::test_the_page_shows_the_files"
_PANEL_AT_HUB = "tests/hosts/hub/test_panel.py::hub"
_KERNEL_CONFIG = "A file of the server, on a page for notebooks."

#: Texts that are changed before a block runs in a kernel: (page, text): (instead, reason).
CHANGED: dict[tuple[str, str], tuple[str, str]] = {
    ("docs/tutorials/sign_in_again.md", "range(150)"): (
        "range(1)",
        "the reader watches a login end; tests/browser/test_login_over.py does that",
    ),
}
#: What a kernel shows for the cell: (page, text of the block), and the text for each user.
SHOWN: dict[tuple[str, str], dict[str, str]] = {
    ("README.md", "# 'alice' in her cell"): {"alice": "'alice'", "bob": "'bob'"},
    ("docs/index.md", "print"): {"alice": "Hello, Alice Adams\n", "bob": "Hello, Bob Brown\n"},
    ("docs/tutorials/voila_for_two.md", "ORDERS"): {
        "alice": "Clean room\nCentrifuge\n",
        "bob": "Microscope\n",
    },
    ("docs/tutorials/jupyterhub.md", "owns_kernel"): {
        "alice": "alice ('finance',) True\n",
        "bob": "bob ('research',) False\n",
    },
}

#: The other blocks: a page, and a text that only this block of the page has.
HOW: dict[tuple[str, str], How] = {
    ("docs/banner.md", "c.JupyterSessionUser.page_banner"): How("config", why=_KERNEL_CONFIG),
    ("docs/tutorials/jupyterhub.md", "c.JupyterHub"): How("hub", why=_KERNEL_CONFIG),
    ("docs/jupyterhub.md", "revalidate_interval"): How("config"),
    ("docs/jupyterhub.md", "oauth_client_allowed_scopes"): How("hub"),
    ("docs/jupyterhub.md", "tell_logouts"): How(
        "hub",
        before=f"__file__ = {str(ROOT / 'examples/jupyterhub/jupyterhub_config.py')!r}\n",
        why="it is beside the example's configuration",
    ),
    ("docs/gateways.md", "unauthorized_users"): How("gateway"),
    ("docs/logout_push.md", "logout_issuer"): How("config"),
    ("docs/audit.md", "an audit file"): How("config"),
    ("docs/audit.md", "SysLogHandler"): How(
        "config",
        replace=('executions.jsonl")', 'executions.jsonl", delay=True)'),
        why="the reader's machine has the folder of the log; a handler with a delay opens no file",
    ),
    ("docs/audit.md", "ship_audit.py"): How(
        "test", why="tests/docs/test_audit_page.py::test_shipping_to_postgresql"
    ),
    ("docs/identity_tokens.md", "token_key_file ="): How("config"),
    ("docs/identity_tokens.md", "token_key_url ="): How("config"),
    ("docs/identity_tokens.md", "token = get_identity_token"): How(
        before=(
            "import jupyter_session_user as _jsu\n"
            "_jsu.get_identity_token = lambda audience: f'token for {audience}'\n"
        ),
        after="assert headers == {'Authorization': 'Bearer token for https://data.example.org'}",
        why="a kernel and a server are needed; tests/flow/test_identity_tokens.py has them",
    ),
    ("docs/identity_tokens.md", "current_user"): How(
        user=False,
        before=_KEYS + "httpx.get = lambda url: SimpleNamespace(json=KEYS.public)\n",
        after=(
            f"{_CLIENT}client = TestClient(app)\n"
            "def status(who, token):\n"
            "    return client.get('/rows', headers={'Authorization': f'Bearer {token}'})\n"
            "for who in ('alice', 'bob'):\n"
            "    assert status(who, sign(who)).json() == f'rows of {who}'\n"
            "    assert status(who, sign(who) + 'x').status_code == 401\n"
            "    assert status(who, sign(who, shared=True)).status_code == 401"
        ),
    ),
    ("docs/identity_tokens.md", "PyJWKClient"): How(
        user=False,
        before=_KEYS + "jwt.PyJWKClient.fetch_data = lambda self: KEYS.public()\n",
        after=(
            "for who in ('alice', 'bob'):\n    assert username(sign(who)) == who\n"
            "    try:\n        username(sign(who, shared=True))\n"
            "    except ValueError:\n        pass\n    else:\n        raise AssertionError"
        ),
    ),
    ("docs/access_tokens.md", "get_access_token('trino')"): How(
        before=_ACCESS,
        after="assert headers == {'Authorization': f'Bearer token of {name} for trino'}",
        why="a kernel and a server are needed; tests/flow/test_access_tokens.py has them",
    ),
    ("docs/access_tokens.md", "token_or_link"): How(
        before=_ACCESS,
        after=(
            "assert token_or_link() == f'token of {name} for trino'\n"
            "def get_access_token(service):\n"
            "    raise ConsentRequired('no', login_url='https://login.example.org')\n"
            "assert token_or_link() == 'Please agree first: https://login.example.org'"
        ),
    ),
    ("docs/access_tokens.md", "login_token_key_file"): How("config"),
    ("docs/access_tokens.md", "finish_login"): How(
        user=False,
        before="given = []\n",
        after=(
            "CampusIdentityProvider.set_login_cookie = lambda *each: given.append(each[-1])\n"
            "for who in ('alice', 'bob'):\n"
            "    user = CampusIdentityProvider().finish_login(None, who, {'access_token': who})\n"
            "    assert (user.username, user.login_tokens) == (who, {'access_token': who})\n"
            "    assert given.pop() is user"
        ),
        why="tests/support/oidc_identity.py is such a provider",
    ),
    ("docs/access_tokens.md", "admin:auth_state"): How(
        "hub", before="c.JupyterHub.load_roles = []\n", why="the page adds to the reader's roles"
    ),
    ("docs/providers/keycloak.md", "token_exchange"): How("config"),
    ("docs/providers/entra_id.md", "token_exchange"): How("config"),
    ("docs/providers/okta.md", "token_exchange"): How("config"),
    ("docs/providers/google.md", "token_exchange"): How("config"),
    ("docs/providers/generic_oidc.md", "login_token_key_file"): How("config"),
    ("docs/providers/generic_oidc.md", '"header"'): How("config"),
    ("docs/providers/generic_oidc.md", "finish_login"): How("test", why=_PROVIDER),
    ("docs/providers/generic_oidc.md", "import get_access_token"): How("test", why=_PROVIDER),
    ("docs/providers/jupyterhub.md", "for the users' servers"): How("config"),
    ("docs/providers/jupyterhub.md", "oauth_client_allowed_scopes"): How(
        "hub", before="c.JupyterHub.load_roles = []\n", why="the page adds to the reader's roles"
    ),
    ("docs/database.md", "c.JupyterSessionUser"): How("config"),
    ("docs/database.md", "SELECT item"): How(
        "test", why="tests/databases/test_connect_as_user.py::test_two_people_two_kernels"
    ),
    ("docs/row_level_data.md", "def query"): How("test", why=_ROW_LEVEL),
    ("docs/row_level_data.md", "transaction_of_visitor"): How("test", why=_ROW_LEVEL),
    ("docs/database.md", "NullPool"): How(
        before=(
            "import jupyter_session_user as _jsu\n"
            "def _connect(database):\n    raise RuntimeError(f'{database} as {name}')\n"
            "_jsu.connect_as_user = _connect\n"
        ),
        after=(
            "try:\n    engine.connect()\nexcept RuntimeError as error:\n"
            "    assert str(error) == f'warehouse as {name}'\n"
            "else:\n    raise AssertionError"
        ),
        why="a kernel and a server are needed; tests/databases has them",
    ),
    ("docs/database.md", "after_begin"): How(
        after=(
            "from sqlalchemy import create_engine, event as _event\n"
            "engine, seen = create_engine('sqlite://'), []\n"
            "@_event.listens_for(engine, 'connect')\n"
            "def _function(dbapi, _):\n"
            "    dbapi.create_function('set_config', 3, lambda *given: seen.append(given[1]))\n"
            "with Session(engine) as work:\n    work.execute(text('SELECT 1'))\n"
            "assert set(seen) == {name}"
        ),
        why="SQLite has no set_config: a function of this name takes the visitor",
    ),
    ("docs/scaling.md", "store_url"): How("config"),
    ("docs/identity_from_cookie.md", "c.JupyterSessionUser"): How("config"),
    ("docs/proxies.md", "trust_xheaders"): How("config"),
    ("docs/proxies.md", "TEAM.cloudflareaccess"): How("config"),
    ("docs/server.md", "jwt_jwks"): How("config"),
    ("docs/server.md", "session_resolver"): How("config"),
    ("docs/server.md", "c.EventLogger"): How(
        "config",
        replace=('events.jsonl")', 'events.jsonl", delay=True)'),
        why="the reader's machine has the folder of the log; a handler with a delay opens no file",
    ),
    ("docs/server.md", "def ends"): How(
        after=(
            "from types import SimpleNamespace as S\n"
            "assert ends(S(request=S(headers={'X-Session-Until': '5'})), None) == 5.0\n"
            "assert ends(S(request=S(headers={})), None) is None"
        )
    ),
    # ------------------------------------------------------------------------------ ASGI and WSGI
    ("docs/hosts/asgi.md", "def hello"): How(
        user=False,
        after=(
            f"{_CLIENT}from starlette.middleware.sessions import SessionMiddleware\n"
            "from starlette.requests import Request\n"
            "@app.get('/login/{who}')\n"
            "def login(who: str, request: Request):\n    request.session['user'] = who\n"
            "app.add_middleware(SessionMiddleware, secret_key='secret')\n"
            "clients = {who: TestClient(app) for who in ('alice', 'bob')}\n"
            "for who, client in clients.items():\n    client.get(f'/login/{who}')\n"
            "assert [c.get('/').json() for c in clients.values()] == ['Hello, alice', 'Hello, bob']"
        ),
    ),
    ("docs/hosts/asgi.md", "/invoices"): How(
        user=False,
        before=(
            "from fastapi import FastAPI\nfrom jupyter_session_user import SessionUserMiddleware\n"
            f"{_SCOPE}from jupyter_session_user import User\napp = FastAPI()\n"
            "def user(scope):\n    groups = {'alice': ('finance',)}\n"
            "    who = user_of_scope(scope)\n"
            "    return User(who, groups=groups.get(who, ())) if who else None\n"
            "app.add_middleware(SessionUserMiddleware, user=user)\ndel User\n"
        ),
        after=(
            f"{_CLIENT}client = TestClient(app)\n"
            "for path in ('/report', '/invoices'):\n"
            "    status = [client.get(path, headers={'X-User': who} if who else {}).status_code\n"
            "              for who in ('alice', 'bob', '')]\n"
            "    assert status == [200, 403, 401], (path, status)"
        ),
    ),
    ("docs/hosts/asgi.md", "add_applications"): How(
        user=False,
        before=(
            f"{_SCOPE}from pathlib import Path\n"
            "Path('visitors.py').write_text('import panel as pn; pn.pane.Str(1).servable()')\n"
        ),
        after=(
            f"{_CLIENT}client = TestClient(app)\n"
            "for who in ('alice', 'bob'):\n"
            "    assert client.get('/visitors', headers={'X-User': who}).status_code == 200"
        ),
    ),
    ("docs/hosts/asgi.md", "SessionUserWSGIMiddleware"): How(
        user=False,
        after=(
            "from jupyter_session_user import get_current_user\napp.secret_key = 'secret'\n"
            "@app.get('/login/<who>')\ndef login(who):\n"
            "    flask.session['user'] = who\n    return ''\n"
            "@app.get('/')\ndef hello():\n    return get_current_user().username\n"
            "for who in ('alice', 'bob'):\n    client = app.test_client()\n"
            "    client.get(f'/login/{who}')\n    assert client.get('/').text == who"
        ),
    ),
    # ---------------------------------------------------------------------------------------- Dash
    ("docs/hosts/dash.md", "app.layout"): How(
        user=False,
        after=(
            "near = {'REMOTE_ADDR': '10.0.0.1', 'SERVER_SOFTWARE': 'Werkzeug/3'}\n"
            "for who in ('alice', 'bob'):\n"
            "    got = app.server.test_client().get('/_dash-layout', environ_overrides=near,\n"
            "                                       headers={'X-Forwarded-User': who})\n"
            "    assert f'Hello, {who}' in got.text, got.text"
        ),
    ),
    ("docs/hosts/dash.md", 'backend="fastapi"'): How(
        needs="dash>=4.4",
        user=False,
        before=_SCOPE,
        after=(
            "from dash import html\nfrom jupyter_session_user import get_current_user\n"
            f"{_CLIENT}app.layout = lambda: html.P(get_current_user(default=None) and "
            "get_current_user().username)\n"
            "with TestClient(app.server) as client:\n    for who in ('alice', 'bob'):\n"
            "        assert who in client.get('/_dash-layout', headers={'X-User': who}).text"
        ),
    ),
    # -------------------------------------------------------------------------------------- Django
    ("docs/hosts/django.md", "MIDDLEWARE"): How(
        after=(
            "import django\nfrom django.conf import settings\n"
            "from django.utils.module_loading import import_string\n"
            "apps = ['django.contrib.auth', 'django.contrib.contenttypes']\n"
            "settings.configured or settings.configure(INSTALLED_APPS=apps)\ndjango.setup()\n"
            "assert [import_string(name) for name in MIDDLEWARE if name is not ...]"
        )
    ),
    ("docs/hosts/django.md", "def report"): How(after="assert report() == f'Made for {name}'"),
    ("docs/hosts/django.md", "def book"): How(
        after=(
            "from jupyter_session_user import AccessDenied\n"
            "try:\n    book(None)\nexcept AccessDenied:\n    assert name == 'bob'\n"
            "else:\n    assert name == 'alice'  # a member of finance"
        )
    ),
    # ------------------------------------------------------------------------------ apps of a page
    ("docs/hosts/gradio.md", "demo.launch"): How(
        "serve",
        command=("app.py",),
        env=(("GRADIO_SERVER_PORT", "{port}"), ("GRADIO_ANALYTICS_ENABLED", "False")),
    ),
    ("docs/hosts/gradio.md", "mount_gradio_app"): How(
        user=False,
        before=(
            "import gradio as gr\nfrom fastapi import FastAPI\n"
            "from jupyter_session_user import SessionUserMiddleware, get_current_user\n"
            f"{_SCOPE}login_of_scope = user_of_scope\n"
            "with gr.Blocks() as demo:\n    gr.Markdown('text')\n"
        ),
        after=(
            f"{_CLIENT}"
            "@app.get('/who')\ndef who_is():\n    return get_current_user().username\n"
            "client = TestClient(app)\nfor who in ('alice', 'bob'):\n"
            "    assert client.get('/who', headers={'X-User': who}).json() == who\n"
            "    assert client.get('/gradio/', headers={'X-User': who}).status_code == 200"
        ),
    ),
    # ------------------------------------------------------------------------------------- testing
    ("docs/testing.md", "fake_user"): How(user=False),
    ("docs/testing.md", "not_in_kernel"): How(user=False),
    ("docs/testing.md", "TestClient"): How(user=False),
    ("docs/testing.md", "AppTest"): How(user=False),
    ("docs/hosts/marimo.md", "create_asgi_app"): How(
        user=False,
        before=(
            f"{_SCOPE}from pathlib import Path\nPath('visitors.py').write_text("
            "'import marimo\\napp = marimo.App()\\n')\n"
        ),
        after=f"{_CLIENT}with TestClient(app) as client:\n"
        "    assert client.get('/', headers={'X-User': name}).status_code == 200",
    ),
    ("docs/hosts/nicegui.md", "ui.run"): How(
        "serve",
        command=("app.py",),
        replace=("ui.run(", "ui.run(port={port}, host='127.0.0.1', show=False, reload=False, "),
        ready="/docs",
        why="the port: NiceGUI's is fixed",
    ),
    ("docs/hosts/shiny.md", "def server"): How(
        after="assert app.starlette_app.user_middleware[0].cls.__name__ == 'SessionUserMiddleware'"
    ),
    ("docs/hosts/shiny.md", "wrap_express_app"): How(
        user=False,
        before=(
            f"{_SCOPE}from pathlib import Path as _P\n__file__ = str(_P('app.py').resolve())\n"
            "_P('express_page.py').write_text('from shiny.express import ui\\nui.h1(1)\\n')\n"
        ),
        after=f"{_CLIENT}with TestClient(app) as client:\n"
        "    assert client.get('/', headers={'X-User': name}).status_code == 200",
    ),
    ("docs/hosts/solara.md", "@solara.component"): How(
        after="solara.render(Page(), handle_error=False)"
    ),
    ("docs/hosts/solara.md", "SOLARA_APP"): How(
        user=False,
        before=(
            f"{_SCOPE}login = user_of_scope\nfrom pathlib import Path\n"
            "Path('page.py').write_text('import solara\\n@solara.component\\ndef Page():"
            '\\n    solara.Text("x")\\n\')\n'
        ),
        after="assert app.user_middleware[0].cls.__name__ == 'SessionUserMiddleware'",
    ),
    ("docs/hosts/panel-serve.md", "def table"): How(
        before=(
            "import panel as pn, param\nfrom jupyter_session_user import get_session as _get\n"
            "def get_session(of=None):\n    return _get()\n"
            "def rows_of(username):\n    return f'rows of {username}'\n"
            "class Shared(param.Parameterized):\n    version = param.Integer(0)\n"
            "shared = Shared()\n"
        ),
        after="assert table(1) == f'rows of {name}'",
        why="get_session(of=) needs Panel's server; apps/shared_parameter.py there is this code",
    ),
    ("docs/hosts/panel-serve.md", "Panel as a user's server"): How("test", why=_PANEL_AT_HUB),
    ("docs/hosts/panel-serve.md", "Panel as a service"): How("test", why=_PANEL_AT_HUB),
    ("docs/hosts/panel-serve.md", "Panel behind jhsingle"): How("test", why=_PANEL_AT_HUB),
    ("docs/hosts/voila.md", "wait_for_request"): How(
        "test",
        why="tests/hosts/voila/test_preheated.py::test_two_visitors",
    ),
}
