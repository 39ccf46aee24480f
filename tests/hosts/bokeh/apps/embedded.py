"""An app that a Flask site embeds, behind a platform's cookie."""

import json
import os
from pathlib import Path

from bokeh.io import curdoc
from bokeh.models import Button, Column, Div

from jupyter_session_user import get_cookies, get_session, identity_from_cookie

identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")
TAG = curdoc().session_context.request.arguments.get("tag", [b""])[0].decode()


def say(where):
    session = get_session()
    line = {
        "tag": TAG,
        "where": where,
        "user": "-" if session.user.is_anonymous else session.user.username,
        "verified": session.verified,
        "cookies": sorted(get_cookies()),
    }
    with Path(os.environ["PROBE_LOG"]).open("a") as log:
        log.write(json.dumps(line) + "\n")
    return line["user"]


def clicked():
    div.text = f"clicked by {say('click')}"
    curdoc().add_timeout_callback(lambda: say("timeout"), 20)


button = Button(label="Click")
button.on_click(clicked)
div = Div(text=f"page of {say('page')}")
curdoc().add_periodic_callback(lambda: say("periodic"), 300)
curdoc().add_root(Column(div, button))
