"""The notebooks of the JupyterLab that the tests share."""

from __future__ import annotations

import browsing

NOTEBOOKS = {
    "cells.ipynb": browsing.notebook_text(
        "from jupyter_session_user import get_current_user; get_current_user()",
        "import asyncio\nawait asyncio.sleep(0.2)\nget_current_user()",
        "print(get_current_user().username)",
    ),
    "people.ipynb": browsing.notebook_text(
        "from jupyter_session_user import get_current_user, get_session\n\nget_current_user()",
        "get_session()",
        "%whoami",
    ),
    "team.ipynb": browsing.notebook_text(
        "from jupyter_session_user import get_current_user",
        "get_current_user()",
        "print(f'Hello, {get_current_user().username}')",
    ),
    "widget.ipynb": browsing.notebook_text(
        "import ipywidgets as widgets\n"
        "from jupyter_session_user import get_current_user\n"
        "clicked = widgets.Label('nobody yet')\n"
        "def on_click(_):\n"
        "    clicked.value += f' > {get_current_user().username}'\n"
        "button = widgets.Button(description='Who am I?')\n"
        "button.on_click(on_click)",
        "widgets.VBox([button, clicked])",
    ),
}
