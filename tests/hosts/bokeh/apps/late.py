"""An app that imports us in a callback, long after its page was made."""

import json
import os
from pathlib import Path

from bokeh.io import curdoc
from bokeh.models import Button

TAG = curdoc().session_context.request.arguments.get("tag", [b""])[0].decode()


def clicked():
    import jupyter_session_user as jsu

    try:
        line = {"user": jsu.get_current_user().username}
    except jsu.IdentityUnavailable as error:
        line = {"error": error.reason, "text": str(error)}
    with Path(os.environ["PROBE_LOG"]).open("a") as log:
        log.write(json.dumps({"tag": TAG, "where": "click", **line}) + "\n")


button = Button(label="Click")
button.on_click(clicked)
curdoc().add_root(button)
