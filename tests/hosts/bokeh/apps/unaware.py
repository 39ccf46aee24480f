"""An app that does not use the package; one check tells whether the server has loaded it."""

import json
import os
import sys
from pathlib import Path

from bokeh.io import curdoc
from bokeh.models import Button

TAG = curdoc().session_context.request.arguments.get("tag", [b""])[0].decode()


def say(where):
    ours = sys.modules.get("jupyter_session_user")
    user = ours.get_current_user().username if ours else None
    with Path(os.environ["PROBE_LOG"]).open("a") as log:
        line = {"tag": TAG, "where": where, "user": user, "error": "not here", "pid": os.getpid()}
        log.write(json.dumps(line) + "\n")


say("page")
button = Button(label="Click")
button.on_click(lambda: say("click"))
curdoc().add_root(button)
