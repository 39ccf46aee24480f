"""An app that reports the visitor of its page, also if the page was made in advance."""

import json
import os
from pathlib import Path

import panel as pn

from jupyter_session_user import IdentityUnavailable, get_current_user

try:
    line = {"user": get_current_user().username}
except IdentityUnavailable as error:
    line = {"error": error.reason, "text": str(error)}
with Path(os.environ["PROBE_LOG"]).open("a") as log:
    log.write(json.dumps({"where": "page", **line}) + "\n")
pn.pane.Str("Hello").servable()
