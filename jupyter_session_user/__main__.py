"""Run a server of apps with this package loaded, without a change in the app.

Write ``python -m jupyter_session_user`` before the server's own command, for example
``python -m jupyter_session_user panel serve app.py``, or ``… bokeh serve app.py``. With
``--auth-module jupyterhub`` it is a server of JupyterHub, and its visitors log in there.
"""

from __future__ import annotations

import os
import runpy
import sys
from importlib import import_module
from importlib.util import find_spec

from jupyter_session_user import hosts
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.hosts import hub_server

__all__ = ["main"]

#: The tools, and the module with all that we watch in their server.
_TOOLS = {"bokeh": "bokeh.server.server", "panel": "panel.io.server"}


def main() -> None:
    """Load this package in the tool's process, and run the tool with the other arguments."""
    tool = sys.argv[1] if len(sys.argv) > 1 else ""
    if tool not in _TOOLS:
        sys.exit(f"{__doc__}\nThis runs {' and '.join(_TOOLS)}, not {tool or 'nothing'!r}.")
    if find_spec(tool) is None:
        sys.exit(f"{tool} is not installed here: pip install {tool}")
    import_module(_TOOLS[tool])
    hosts.prepare()
    del sys.argv[0]
    try:
        sys.argv[1:] = hub_server.arguments(sys.argv[1:], os.environ)
    except ConfigurationError as error:
        sys.exit(str(error))
    runpy.run_module(tool, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
