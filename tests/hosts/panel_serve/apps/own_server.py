"""A script that serves by itself, and imports us before Panel.

python own_server.py PORT SECRET
"""

import json
import os
import sys
from pathlib import Path

from jupyter_session_user import get_current_user

import panel as pn  # isort: skip


def app():
    tag = pn.state.session_args["tag"][0].decode()

    def say(where):
        with Path(os.environ["PROBE_LOG"]).open("a") as log:
            line = {"tag": tag, "where": where, "user": get_current_user().username}
            log.write(json.dumps(line) + "\n")

    say("page")
    return pn.widgets.Button(name="Click", on_click=lambda _event: say("click"))


pn.serve(app, port=int(sys.argv[1]), show=False, cookie_secret=sys.argv[2])
