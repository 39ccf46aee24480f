"""The project of these tests: each path returns the user of another place. Runs in the server."""

import asyncio
import contextvars
import os
import threading
import time

import django
from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings
from django.core.management import call_command

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_app.acting_as",
    "jupyter_session_user.hosts.django.SessionUserMiddleware",
    "django_app.Obvious",
]
if "SYNC_OUTSIDE" in os.environ:
    MIDDLEWARE.insert(2, "django_app.sync_only")

settings.configure(
    SECRET_KEY="of-a-test",
    DEBUG=True,
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": "db.sqlite3",
            "OPTIONS": {"timeout": 30},
            "ATOMIC_REQUESTS": False,
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=MIDDLEWARE,
)
django.setup()

from django.contrib.auth import alogin, alogout, get_user_model, login, logout
from django.contrib.auth.models import Group
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.utils.functional import SimpleLazyObject
from who import who

from jupyter_session_user import (
    SessionUserMiddleware as AsgiMiddleware,
)
from jupyter_session_user import (
    SessionUserWSGIMiddleware,
    User,
    bind_current_user,
    get_cookies,
    get_current_user,
    require_user,
)
from jupyter_session_user.hosts.django import SessionUserMiddleware

ARRIVED = {}
NOTES = {}
GO = threading.Event()
obvious = threading.local()


def prepare():
    """Make the database, once for all servers' processes."""
    call_command("migrate", verbosity=0)
    for name in ("alice", "bob"):
        account = get_user_model().objects.create(username=name, last_name=name.title() + "son")
        if name == "alice":
            account.groups.add(Group.objects.create(name="staff"))


def account(name):
    return get_user_model().objects.get(username=name)


def sync_only(get_response):
    """Make Django run all inner code in a thread."""

    def serve(request):
        return get_response(request)

    return serve


def acting_as(get_response):
    """Let a user act as another user, as packages do."""

    def act(request):
        name = request.headers.get("X-Act-As")
        if name:
            request.user = SimpleLazyObject(lambda: account(name))

    if asyncio.iscoroutinefunction(get_response):

        async def serve(request):
            act(request)
            return await get_response(request)
    else:

        def serve(request):
            act(request)
            return get_response(request)

    return serve


acting_as.async_capable = acting_as.sync_capable = True


class Obvious:
    """A common pattern: keep the request in a variable of the thread."""

    def __init__(self, get_response):
        self.get_response = get_response

    async_capable = sync_capable = True

    def __new__(cls, get_response):
        def note(request):
            obvious.name = request.headers.get("X-Name", "")

        if asyncio.iscoroutinefunction(get_response):

            async def serve(request):
                note(request)
                return await get_response(request)
        else:

            def serve(request):
                note(request)
                return get_response(request)

        return serve


def log_in(request, name):
    login(request, account(name))
    return JsonResponse(name, safe=False)


def say(function):
    return lambda request: JsonResponse(function(), safe=False)


def asay(function):
    async def view(request):
        return JsonResponse(function(), safe=False)

    return view


async def both_async(request, name):
    ARRIVED[name] = True
    while len(ARRIVED) < 2:
        await asyncio.sleep(0.01)
    said = [who(), await sync_to_async(who)(), await asyncio.create_task(later())]
    return JsonResponse({"said": said, "obvious": getattr(obvious, "name", "")})


async def later():
    await asyncio.sleep(0)
    return who()


def both_sync(request, name):
    ARRIVED["sync " + name] = True
    while sum(key.startswith("sync") for key in ARRIVED) < 2:
        time.sleep(0.01)
    return JsonResponse([who(), async_to_sync(later)()], safe=False)


def switch(request):
    said = [who()]
    login(request, account("bob"))
    said.append(who())
    logout(request)
    said.append(who())
    login(request, account("alice"))
    return JsonResponse([*said, who()], safe=False)


async def aswitch(request):
    said = [who()]
    await alogin(request, await sync_to_async(account)("bob"))
    said.append(who())
    await alogout(request)
    said.append(who())
    await alogin(request, await sync_to_async(account)("alice"))
    return JsonResponse([*said, who()], safe=False)


def on_commit(request):
    said = []
    with transaction.atomic():
        transaction.on_commit(lambda: said.append(who()))
    return JsonResponse(said, safe=False)


def bare_thread(request):
    said = []
    for target in (who, bind_current_user(who)):
        thread = threading.Thread(target=lambda t=target: said.append(t()))
        thread.start()
        thread.join()
    return JsonResponse(said, safe=False)


def outliving(request):
    name = get_current_user().username
    copied = contextvars.copy_context()  # as sync_to_async and to_thread make it

    def note():
        GO.wait(60)
        NOTES[name] = who()

    NOTES[name + " thread"] = threading.Thread(target=copied.run, args=(note,))
    NOTES[name + " thread"].start()
    return JsonResponse(None, safe=False)


def notes(request):
    GO.set()
    threads = [NOTES.pop(name) for name in list(NOTES) if name.endswith(" thread")]
    for thread in threads:
        thread.join()
    return JsonResponse(NOTES)


def stream(request):
    def parts():
        yield '["'
        yield who()
        yield '"]'

    return StreamingHttpResponse(parts(), content_type="application/json")


async def astream(request):
    async def parts():
        yield '["'
        await asyncio.sleep(0.05)
        yield who()
        yield '"]'

    return StreamingHttpResponse(parts(), content_type="application/json")


def queries(request, asks):
    for _ in range(2):
        for question in asks.split("-"):
            if question == "user":
                get_current_user()
            if question == "groups":
                _ = get_current_user().groups
    return JsonResponse(len(connection.queries), safe=False)


def described():
    user = get_current_user()
    plain = User(user.username, user.name, groups=user.groups)
    return [
        user.name,
        list(user.groups),
        user.admin,
        user == plain and plain == user and hash(user) == hash(plain),
        get_cookies().get("theme"),
    ]


def no_login(request):
    """Call the middleware without AuthenticationMiddleware."""
    said = []
    SessionUserMiddleware(lambda request: said.append(who()) or JsonResponse({}))(HttpRequest())
    return JsonResponse(said, safe=False)


STAFF = require_user(groups="staff")
urlpatterns = [
    path("as/<name>", log_in),
    path("none", say(int)),
    path("sync", say(who)),
    path("async", asay(who)),
    path("async/none", asay(int)),
    path("both/async/<name>", both_async),
    path("both/sync/<name>", both_sync),
    path("switch/sync", switch),
    path("switch/async", aswitch),
    path("on-commit", on_commit),
    path("bare-thread", bare_thread),
    path("outliving", outliving),
    path("notes", notes),
    path("stream/sync", stream),
    path("stream/async", astream),
    path("queries/<asks>", queries),
    path("described/sync", say(described)),
    path("described/async", asay(described)),
    path("staff/sync", STAFF(say(who))),
    path("staff/async", STAFF(asay(who))),
    path("no-login", no_login),
]
application = SessionUserWSGIMiddleware(
    get_wsgi_application(), user=lambda environ: environ.get("HTTP_X_OUTER")
)
asgi = get_asgi_application()


async def nested(scope, receive, send):
    """Serve Django inside our ASGI middleware if the path says so."""
    name = dict(scope.get("headers", ())).get(b"x-outer", b"").decode()
    if name:
        await AsgiMiddleware(asgi, user=lambda _: name)(scope, receive, send)
    else:
        await asgi(scope, receive, send)
