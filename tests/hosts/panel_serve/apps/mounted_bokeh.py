"""A Bokeh app inside FastAPI, without Panel.

python mounted_bokeh.py PORT APP
"""

import sys
from pathlib import Path

import uvicorn
from bokeh.application import Application
from bokeh.application.handlers.script import ScriptHandler
from bokeh_fastapi import BokehFastAPI
from fastapi import FastAPI

from jupyter_session_user import SessionUserMiddleware


def named(scope):
    """Return the user that a proxy names."""
    return dict(scope["headers"]).get(b"x-forwarded-user", b"").decode()


app = FastAPI()
probe = Path(sys.argv[2])
BokehFastAPI({f"/{probe.stem}": Application(ScriptHandler(filename=str(probe)))}, app=app)
app.add_middleware(SessionUserMiddleware, user=named)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
