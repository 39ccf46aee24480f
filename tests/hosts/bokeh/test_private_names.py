"""The private names of Bokeh and Panel that we use: the tests name each missing one."""

import importlib.util
import json
import subprocess
import sys

import pytest

NAMES = {
    "bokeh.server.views.session_handler": ["SessionHandler", "SessionHandler.get_session"],
    "bokeh.server.views.ws": ["WSHandler", "WSHandler.open", "WSHandler.on_message"],
    "bokeh.server.views.auth_request_handler": ["AuthRequestHandler"],
    "bokeh.application.application": [
        "Application.initialize_document",
        "Application.on_session_created",
    ],
    "bokeh.document.callbacks": [
        "invoke_with_curdoc",
        "DocumentCallbackManager.trigger_event",
    ],
    "bokeh.protocol.messages.patch_doc": ["invoke_with_curdoc"],
    "panel.io.application": [
        "Application",
        "Application.initialize_document",
        "Application.on_session_created",
    ],
    "panel.io.server": ["DocHandler._authorize"],
    "panel.io.state": ["state", "_state._scheduled_cb"],
}
if importlib.util.find_spec("bokeh.server.asgi"):  # Bokeh 3.10 and Panel 1.10
    NAMES |= {
        "bokeh.server.asgi": [
            *("BokehASGI", "BokehASGI._request", "BokehASGI._authenticate"),
            "BokehASGI._ensure_started",
        ],
        "bokeh.server.core": ["BokehServerCore", "BokehServerCore.new_connection"],
        "panel.io.asgi": ["PanelASGI", "PanelASGI._ensure_started", "PanelASGI._authorize"],
    }
else:
    NAMES |= {"bokeh_fastapi.handler": ["SessionHandler.get_session", "WSHandler.ws_connect"]}
PAIRS = [(module, name) for module, names in NAMES.items() for name in names]

TRY = """
import json, sys
import bokeh.server.server, panel.io.server, panel.io.fastapi
pairs = json.loads(sys.argv[1])
import jupyter_session_user as jsu
from jupyter_session_user.hosts import bokeh, bokeh_asgi, bokeh_fastapi, panel
from jupyter_session_user.upstream import MARK
parts = [bokeh.HOST, panel.HOST]
parts += [bokeh_asgi.HOST] if "bokeh.server.asgi" in sys.modules else [bokeh_fastapi.HOST]
assert bokeh.HOST.broken is None, bokeh.HOST.broken
from panel.config import config
config.nthreads = 1  # a pool
panel.watch_pool()
pool = sys.modules["panel.io.state"].state._thread_pool
result = {"pool": hasattr(pool.submit, MARK)}
pool.shutdown()
for module, name in pairs:
    owner = sys.modules[module]
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    value = vars(owner)[last]
    delattr(owner, last)
    bokeh.HOST.broken = None
    for host in parts:
        host.install()
    try:
        jsu.get_current_user()
    except jsu.IdentityUnavailable as error:
        result[f"{module} {name}"] = [error.reason, str(error)]
    setattr(owner, last, value)
print(json.dumps(result))
"""


@pytest.fixture(scope="module")
def tried(need):
    """Remove each name in turn, in a separate interpreter."""
    need(importlib.util.find_spec("bokeh_fastapi"), "bokeh-fastapi is missing")
    command = [sys.executable, "-c", TRY, json.dumps(PAIRS)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert not run.returncode, run.stderr[-2000:]
    return json.loads(run.stdout)


@pytest.mark.parametrize(("module", "name"), PAIRS)
def test_a_name_that_moves(tried, module, name):
    """Without it, the error gives the framework's version and the missing name."""
    framework = __import__(module.partition(".")[0])
    reason, text = tried[f"{module} {name}"]
    assert reason == "unsupported_host"
    assert f"{framework.__name__} {framework.__version__}" in text
    assert name.rpartition(".")[2] in text


def test_pool(tried):
    """Panel's thread pool is at its known place."""
    assert tried["pool"]


#: Function calls of one lookup, C and Python, where four frameworks are imported.
MOST_CALLS = 24

MEASURE = """
import json, sys
import bokeh.server.server, panel.io.server
for name in ("streamlit.runtime", "marimo"):
    try:
        __import__(name)
    except ImportError:
        pass
import jupyter_session_user as jsu
from jupyter_session_user import hosts
hosts.prepare()
try:
    jsu.get_current_user()
except jsu.IdentityUnavailable as error:
    reason = error.reason
hosts.find()
calls = []
sys.setprofile(lambda frame, event, _: event in ("call", "c_call") and calls.append(event))
found = hosts.find()
sys.setprofile(None)
print(json.dumps({"calls": len(calls), "reason": reason, "found": found}))
"""


def test_imported_is_no_host():
    """Frameworks that are only imported name no user, and the lookup costs almost nothing."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=100, check=False
    )
    assert not run.returncode, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert (found["reason"], found["found"]) == ("not_in_kernel", None)
    assert found["calls"] <= MOST_CALLS, found
