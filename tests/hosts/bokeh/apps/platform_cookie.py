"""An app behind a platform's cookie, as in the platform's documentation."""

import json
import os
from pathlib import Path

from bokeh.io import curdoc
from bokeh.models import Button

from jupyter_session_user import AccessDenied, get_session, identity_from_cookie, require_user

identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")
TAG = curdoc().session_context.request.arguments.get("tag", [b""])[0].decode()


@require_user
def guarded():
    return "in"


def say(where):
    session = get_session()
    try:
        door = guarded()
    except AccessDenied:
        door = "denied"
    line = {
        "tag": TAG,
        "where": where,
        "user": session.user.username,
        "name": session.user.name,
        "verified": session.verified,
        "anonymous": session.user.is_anonymous,
        "door": door,
    }
    with Path(os.environ["PROBE_LOG"]).open("a") as log:
        log.write(json.dumps(line) + "\n")


say("page")
button = Button(label="Click")
button.on_click(lambda: say("click"))
curdoc().add_root(button)
