"""What the probe says, and the tasks of the process.

They outlive the session of the page that starts them, whose module Bokeh empties.
"""

import asyncio
import json
import os
import threading
from pathlib import Path

import panel as pn

from jupyter_session_user import (
    IdentityUnavailable,
    SessionUserError,
    get_access_token,
    get_cookies,
    get_session,
)


def own_token():
    """Return the access token of the visitor's login, or the code of the error."""
    try:
        return str(get_access_token("trino"))
    except SessionUserError as error:
        return error.code


def who():
    try:
        session = get_session()
    except IdentityUnavailable as error:
        return {"error": error.reason, "text": str(error)}
    return {
        "user": "-" if session.user.is_anonymous else session.user.username,
        "source": session.source,
        "verified": session.verified,
        "cookies": sorted(get_cookies()),
        "headers": session.headers,
        "name": session.user.name,
        "groups": session.user.groups,
        "expires_at": str(session.expires_at),
        "pid": os.getpid(),
        "token": own_token(),
        "pn_user": pn.state.user,
        "pn_header": pn.state.headers.get("X-Forwarded-User") if pn.state.curdoc else None,
    }


def say(tag, where, **more):
    line = {"tag": tag, "where": where, **who(), **more}
    line["pool"] = threading.current_thread() is not threading.main_thread()
    with Path(os.environ["PROBE_LOG"]).open("a") as log:
        log.write(json.dumps(line) + "\n")
    return line


async def forever():
    """One task for the process, like a data feed."""
    while True:
        await asyncio.sleep(0.1)
        say("", "process-wide")


def scheduled():
    """A task of the process: Panel does not accept one from the app's own file."""
    say("", "scheduled")
