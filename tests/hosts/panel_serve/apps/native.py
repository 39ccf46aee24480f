"""Bokeh's own ASGI app, alone on uvicorn, or with authentication around it.

python native.py PORT APP policy|middleware|starlette|both|disagreeing|nobody|mounted
"""

import sys
from pathlib import Path

import uvicorn
from bokeh.server.asgi import BokehASGI
from bokeh.server.auth import AuthPolicy

port, probe, kind = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]


def named(scope):
    """Return the user that a proxy names."""
    return dict(scope["headers"]).get(b"x-forwarded-user", b"").decode()


def policy(request):
    """Return the same from Bokeh's own request, as a framework's user object."""
    name = request.headers.get("x-forwarded-user")
    return {"username": name, "name": name.title()} if name else None


def starlette(app):
    """Put Starlette's own authentication around the app."""
    from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
    from starlette.middleware.authentication import AuthenticationMiddleware

    class Header(AuthenticationBackend):
        async def authenticate(self, conn):
            name = conn.headers.get("x-forwarded-user")
            return (AuthCredentials(), SimpleUser(name)) if name else None

    return AuthenticationMiddleware(app, backend=Header())


def middleware(app, user=named):
    """Put our middleware around it."""
    from jupyter_session_user import SessionUserMiddleware

    return SessionUserMiddleware(app, user=user)


def mounted(inner):
    """Mount the app in FastAPI, without authentication around it."""
    from fastapi import FastAPI

    app = FastAPI()
    app.mount("/", inner)
    return app


applications = {f"/{probe.stem}": str(probe)}
authenticated = kind in ("policy", "both", "disagreeing")
app = BokehASGI(applications, auth_policy=AuthPolicy(policy) if authenticated else None)
if kind in ("middleware", "both"):
    app = middleware(app)
elif kind == "disagreeing":
    app = middleware(app, lambda scope: "carol")
elif kind == "starlette":
    app = starlette(app)
elif kind == "mounted":
    app = mounted(app)
uvicorn.run(app, port=port, log_level="warning")
