"""Panel apps inside FastAPI, which names the user.

python mounted.py PORT APP [no-middleware] [threads] [bokeh-first]
"""

import sys
from pathlib import Path

import uvicorn
from fastapi import FastAPI

if "bokeh-first" in sys.argv:  # Panel then replaces functions that we have wrapped
    import bokeh_fastapi  # noqa: F401

from jupyter_session_user import SessionUserMiddleware, get_current_user

import panel as pn  # isort: skip  # after us: the order of the imports must not matter
from panel.io.fastapi import add_applications  # isort: skip

if "threads" in sys.argv:
    pn.config.nthreads = 2


def named(scope):
    """Return the user that a proxy names."""
    return dict(scope["headers"]).get(b"x-forwarded-user", b"").decode()


app = FastAPI()


@app.get("/me")
async def me():
    return get_current_user().username


probe = Path(sys.argv[2])
add_applications({f"/{probe.stem}": str(probe)}, app=app)
if "no-middleware" not in sys.argv:
    app.add_middleware(SessionUserMiddleware, user=named)
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
