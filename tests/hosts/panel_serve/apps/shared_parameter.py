"""Pages that watch one parameter: a click of one visitor runs the functions of all pages."""

import json
import os
from pathlib import Path

import panel as pn
from bokeh.document import Document
from everyone import everyone

from jupyter_session_user import IdentityUnavailable, get_current_user, get_session

TAG = pn.state.session_args.get("tag", [b""])[0].decode()
DOCUMENT = pn.state.curdoc


def reason(document):
    try:
        return get_session(of=document).user.username
    except IdentityUnavailable as error:
        return error.reason


def changed(number):
    line = {
        "tag": TAG,
        "where": "changed" if number else "page",
        "user": get_current_user().username,
        "owner": get_session(of=DOCUMENT).user.username,
        "unknown": [reason(Document()), reason(None), get_session("nobody", of="text")],
    }
    with Path(os.environ["PROBE_LOG"]).open("a") as log:
        log.write(json.dumps(line) + "\n")
    return f"{number}"


def click(event):
    everyone.number += 1


pn.Column(
    pn.widgets.Button(name="Click", on_click=click), pn.bind(changed, everyone.param.number)
).servable()
