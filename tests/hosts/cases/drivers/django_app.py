"""The project of the driver for Django, in one file: settings, views and servers."""

import sys, threading  # noqa: E401
from concurrent.futures import ThreadPoolExecutor

import django
from django.conf import settings
from django.core.management import call_command, execute_from_command_line

settings.configure(
    SECRET_KEY="of-a-test",
    DEBUG=True,
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["127.0.0.1"],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db.sqlite3"}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "jupyter_session_user.hosts.django.SessionUserMiddleware",
    ],
)
django.setup()

from django.contrib.auth import get_user_model, login
from django.core.cache import cache
from django.http import JsonResponse, StreamingHttpResponse
from django.urls import path
from outcome import outcome

from jupyter_session_user import bind_current_user, get_current_user

POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread starts without a user
AT_IMPORT = outcome()
said = {}


def prepare():
    call_command("migrate", verbosity=0)
    for name in ("alice", "bob"):
        get_user_model().objects.get_or_create(username=name)


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def answer(function):
    """Return a view that answers with a function's result."""
    return lambda request: JsonResponse(function(), safe=False)


def log_in(request, name):
    login(request, get_user_model().objects.get(username=name))
    return JsonResponse(name, safe=False)


async def callback(request):
    return JsonResponse(outcome(), safe=False)


def outliving(request):
    key, go = request.GET["key"], threading.Event()

    def later():
        go.wait(60)
        said[key] = outcome()

    said[key + "task"] = POOL.submit(later), go
    return JsonResponse(None, safe=False)


def what_was_said(request):
    task, go = said[request.GET["key"] + "task"]
    go.set()
    task.result()
    return JsonResponse(said[request.GET["key"]], safe=False)


def cached(request):
    found = cache.get_or_set(f"page of {get_current_user().username}", outcome)
    return JsonResponse(found, safe=False)


def generator(request):
    def parts():
        yield '"'
        yield outcome()
        yield '"'

    return StreamingHttpResponse(parts(), content_type="application/json")


urlpatterns = [
    path("as/<name>", log_in),
    path("page", answer(outcome)),
    path("callback", callback),
    path("thread", answer(lambda: in_thread(outcome))),
    path("bound_thread", answer(lambda: in_thread(bind_current_user(outcome)))),
    path("pool", answer(lambda: POOL.submit(bind_current_user(outcome)).result())),
    path("outliving", outliving),
    path("said", what_was_said),
    path("cache", cached),
    path("generator", generator),
    path("warm", answer(lambda: AT_IMPORT)),
    path("none", answer(int)),
]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
else:
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
