"""The private names of Bokeh and Panel that we use: where one moves, this says which."""

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
    "panel.io.state": ["state", "_state._scheduled_cb"],
    "bokeh_fastapi.handler": ["SessionHandler.get_session", "WSHandler.ws_connect"],
}
PAIRS = [(module, name) for module, names in NAMES.items() for name in names]

TRY = """
import json, sys
import bokeh.server.server, panel.io.server, panel.io.fastapi
pairs = json.loads(sys.argv[1])
import jupyter_session_user as jsu
from jupyter_session_user.hosts import bokeh, bokeh_fastapi, panel
assert bokeh.HOST.broken is None, bokeh.HOST.broken
from panel.config import config
config.nthreads = 1  # a pool
panel._watch_pool()
pool = sys.modules["panel.io.state"].state._thread_pool
result = {"pool": hasattr(pool.submit, panel._MARK)}
pool.shutdown()
for module, name in pairs:
    owner = sys.modules[module]
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    value = vars(owner)[last]
    delattr(owner, last)
    bokeh.HOST.broken = None
    for host in (bokeh.HOST, panel.HOST, bokeh_fastapi.HOST):
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
    """Take each name away in turn, in an interpreter of its own."""
    need(importlib.util.find_spec("bokeh_fastapi"), "bokeh-fastapi is missing")
    command = [sys.executable, "-c", TRY, json.dumps(PAIRS)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert not run.returncode, run.stderr[-2000:]
    return json.loads(run.stdout)


@pytest.mark.parametrize(("module", "name"), PAIRS)
def test_a_name_that_moves(tried, module, name):
    """Without it, whoever asks is told the framework's version, and which name."""
    framework = __import__(module.partition(".")[0])
    reason, text = tried[f"{module} {name}"]
    assert reason == "unsupported_host"
    assert f"{framework.__name__} {framework.__version__}" in text
    assert name.rpartition(".")[2] in text


def test_pool(tried):
    """Panel's thread pool is where it was."""
    assert tried["pool"]


MEASURE = """
import json, statistics, timeit
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
times = timeit.repeat(hosts.find, number=20_000, repeat=9)
print(json.dumps({"us": min(times) / 20_000 * 1e6, "reason": reason, "found": hosts.find()}))
"""


def test_imported_is_no_host():
    """Frameworks that are merely imported name nobody, and looking costs next to nothing."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, timeout=100, check=False
    )
    assert not run.returncode, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert (found["reason"], found["found"]) == ("not_in_kernel", None)
    assert found["us"] < 3, found
