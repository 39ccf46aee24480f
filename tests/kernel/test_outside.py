"""Without a kernel, or without a server, there is no user, and no other module is loaded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

WHO = """
from jupyter_session_user import *
try: print(get_current_user().username)
except IdentityUnavailable as error: print(error.reason)
"""
TERMINAL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
"""


def test_plain_script(python):
    """A script is no kernel."""
    assert python("-c", WHO) == "not_in_kernel"


def test_default_in_a_script(python):
    """A script that also runs in notebooks can pass a default."""
    code = "from jupyter_session_user import *; print(get_current_user(default=None), {})"
    assert python("-c", code.format("get_session(default=1)")) == "None 1"


def test_bindings_work_in_a_script(python):
    """A known session can be bound without a kernel, for tests and jobs."""
    code = (
        "from jupyter_session_user import *\n"
        "from jupyter_session_user.core.session import Session\n"
        "session = Session('s', User('alice'), 'job', True)\n"
        "print(bind_current_user(get_current_user, session=session)().username)\n"
    )
    assert python("-c", code + WHO).split() == ["alice", "not_in_kernel"]


@pytest.mark.parametrize("function", ["get_cookies", "get_session", "bind_current_user"])
def test_other_functions_in_a_script(python, function):
    """The other functions raise the same error."""
    code = (
        f"from jupyter_session_user import *\ntry: {function}()\n"
        "except IdentityUnavailable as error: print(error.reason)"
    )
    assert python("-c", code) == "not_in_kernel"


def test_refresh_in_a_script(python):
    """A session that was bound outside of a kernel cannot ask a server."""
    code = (
        "from jupyter_session_user.kernel.live_session import LiveSession\n"
        "from jupyter_session_user.core.session import Session\n"
        "from jupyter_session_user import User, IdentityUnavailable\n"
        "try: LiveSession(Session('s', User('alice'), 'job', True)).refresh()\n"
        "except IdentityUnavailable as error: print(error.reason)"
    )
    assert python("-c", code) == "not_in_kernel"


def test_ipython_terminal(python):
    """IPython in a terminal is no kernel either, before and after the import."""
    assert python("-c", TERMINAL + WHO) == "not_in_kernel"
    assert python("-c", WHO + TERMINAL + WHO).split() == ["not_in_kernel"] * 2


def test_whoami_in_a_terminal(python):
    """``%whoami`` works, and gives the reason why the user is unknown."""
    load = "shell.run_line_magic('load_ext', 'jupyter_session_user')\n"
    show = "shell.run_line_magic('whoami', '')"
    assert "not a Jupyter kernel" in python("-c", TERMINAL + load + show)


def test_import_loads_nothing_else(python):
    """``import jupyter_session_user`` costs no third-party module, hence no IPython."""
    code = (
        "import sys; before = set(sys.modules); import jupyter_session_user\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    assert python("-c", code) == "['jupyter_session_user']"


@pytest.mark.parametrize(
    "inherited", [{}, {"JPY_SESSION_NAME": "outer.ipynb"}], ids=["alone", "nested"]
)
def test_notebook_run_by_a_program(python, tmp_path, inherited):
    """nbclient, the engine of nbconvert, is headless, also when started from another notebook."""
    notebook = tmp_path / "notebook.ipynb"
    cells = [
        {
            "cell_type": "code",
            "source": WHO,
            "metadata": {},
            "outputs": [],
            "id": "a",
            "execution_count": None,
        }
    ]
    notebook.write_text(
        json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    python(
        str(Path(sys.executable).parent / "jupyter-execute"),
        "--inplace",
        str(notebook),
        **inherited,
    )
    (output,) = json.loads(notebook.read_text())["cells"][0]["outputs"]
    assert "".join(output["text"]).strip() == "headless"


@pytest.mark.parametrize(
    ("module", "fix"),
    [
        ("django.conf", "'jupyter_session_user.hosts.django.SessionUserMiddleware' in MIDDLEWARE"),
        ("gradio", "In Gradio"),
        ("fastapi", "app.add_middleware(SessionUserMiddleware"),
        ("flask", "SessionUserWSGIMiddleware(app.wsgi_app"),
        ("marimo", "'marimo run'"),
        ("streamlit", "'streamlit run'"),
    ],
)
def test_a_script_with_a_web_framework(python, module, fix):
    """The text names the fix for an app of that framework only."""
    pytest.importorskip(module)
    code = f"import {module}\n{WHO.replace('error.reason', 'error.reason, error')}"
    said = python("-W", "ignore", "-c", code)
    assert said.startswith("not_in_kernel ")
    assert fix in said
