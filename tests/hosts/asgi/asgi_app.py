"""The app of these tests: each path returns the user of another place. Runs in the server."""

import asyncio
import threading
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse
from starlette.routing import Route
from who import who

from jupyter_session_user import (
    SessionUserMiddleware,
    bind_current_user,
    get_cookies,
    get_current_user,
    identity_from_cookie,
    require_user,
)

LOGINS = {"Bearer a": "alice", "Bearer b": "bob"}
NOTES = {}
TASKS = set()
ARRIVED = {}

inner = FastAPI()
inside = asyncio.Condition()


async def from_authorization(scope):
    """Look the login up, as an app would in a database."""
    await asyncio.sleep(0)
    headers = dict(scope["headers"])
    return LOGINS.get(headers.get(b"authorization", b"").decode())


@inner.get("/async")
async def in_coroutine():
    return who()


@inner.get("/sync")
def in_thread_pool():
    return who()


@inner.get("/both/{name}")
async def both(name: str):
    """Wait until the other visitor's request is here as well; then return the user."""
    async with inside:
        ARRIVED[name] = True
        inside.notify_all()
        await inside.wait_for(lambda: len(ARRIVED) >= 2)
    return [who(), await asyncio.to_thread(who), await asyncio.create_task(later(0))]


async def later(seconds):
    await asyncio.sleep(seconds)
    return who()


@inner.get("/bare-thread")
async def bare_thread():
    said = []
    for target in (who, bind_current_user(who)):
        thread = threading.Thread(target=lambda t=target: said.append(t()))
        thread.start()
        thread.join()
    return said


@inner.get("/background")
async def background(tasks: BackgroundTasks):
    name = get_current_user().username
    tasks.add_task(lambda: NOTES.update({f"background {name}": who()}))  # in the thread pool


@inner.get("/task")
async def outliving():
    """Start tasks that continue after the response."""
    name = get_current_user().username

    async def note(key, function):
        await asyncio.sleep(0.3)
        NOTES[f"{key} {name}"] = await function()

    async def ask():
        return who()

    for key, function in (("task", ask), ("bound task", bind_current_user(ask))):
        TASKS.add(asyncio.create_task(note(key, function)))


@inner.get("/notes")
async def notes():
    await asyncio.gather(*TASKS)
    return NOTES


@inner.get("/stream")
async def stream():
    async def lines():
        yield '["'
        await asyncio.sleep(0.05)
        yield who()
        yield '"]'

    return StreamingResponse(lines(), media_type="application/json")


@inner.get("/leaves-a-binding-open")
async def leaves_open():
    bind_current_user().__enter__()
    return who()


@inner.get("/username")
async def username():
    return get_current_user().username


@inner.get("/cookies")
async def cookies():
    return [who(), get_current_user().name, get_cookies().get("theme")]


@inner.websocket("/ws")
async def websocket(socket: WebSocket):
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_json([text, who(), await asyncio.to_thread(who)])


ALICE_ONLY = require_user(usernames=["alice"])


@inner.get("/staff/decorated")
@ALICE_ONLY
async def decorated():
    return who()


@inner.get("/staff/in-thread-pool")
@ALICE_ONLY
def decorated_in_thread_pool():
    return who()


@inner.get("/staff/depends")
async def depends(user: Annotated[object, Depends(ALICE_ONLY.user)]):
    return [user.username, who()]


@inner.websocket("/staff/ws")
async def staff_websocket(socket: WebSocket):
    with ALICE_ONLY:
        await socket.accept()
        await socket.send_json(who())


async def sub(request):
    return JSONResponse(who())


inner.mount("/mounted", Starlette(routes=[Route("/who", sub)]))


class Passing(BaseHTTPMiddleware):
    """Runs the inner app in its own task, as this class does."""

    async def dispatch(self, request, call_next):
        return await call_next(request)


inner.add_middleware(Passing)

ours = SessionUserMiddleware(inner, user=from_authorization)


class Backend(AuthenticationBackend):
    """A user of Starlette's own authentication."""

    async def authenticate(self, conn):
        name = LOGINS.get(conn.headers.get("authorization", ""))
        return (AuthCredentials(["authenticated"]), SimpleUser(name)) if name else None


def authenticated(*, inside):
    """Return an app in which Starlette authenticates inside or outside of our middleware."""
    order = [
        Middleware(SessionUserMiddleware),
        Middleware(AuthenticationMiddleware, backend=Backend()),
    ]
    return Starlette(
        routes=[Route("/who", sub)], middleware=order if inside else list(reversed(order))
    )


def proxied(*proxies):
    """Return an app behind a proxy that sends a header."""
    return SessionUserMiddleware(
        Starlette(routes=[Route("/who", sub)]),
        trusted_header="X-Forwarded-User",
        trusted_proxies=proxies,
    )


async def bare(scope, receive, send):
    """Answer without any middleware."""
    await JSONResponse(who())(scope, receive, send)


identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")

APPS = {
    "/bare": bare,
    "/inside": authenticated(inside=True),
    "/outside": authenticated(inside=False),
    "/proxied": proxied("127.0.0.0/8"),
    "/elsewhere": proxied("10.0.0.0/8"),
}


async def app(scope, receive, send):
    """Route each path to its app."""
    prefix = "/" + scope.get("path", "").split("/")[1]
    if prefix in APPS:
        scope = {**scope, "path": scope["path"].removeprefix(prefix)}
    await APPS.get(prefix, ours)(scope, receive, send)
