import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from people import of_cookies, report


class Account:
    """An account of a login of the site's own."""

    is_authenticated = True

    def __init__(self, user):
        self.user = user

    def get_username(self):
        return self.user.username

    @property
    def groups(self):
        return self

    def values_list(self, *_, **__):
        return self.user.groups


class Stranger:
    is_authenticated = False


def log_in(get_response):
    def middleware(request):
        user = of_cookies(request.headers.get("Cookie", ""))
        request.user = Account(user) if user else Stranger()
        return get_response(request)

    return middleware


settings.configure(
    DEBUG=True,  # the page of an error is then the traceback
    SECRET_KEY="of these tests",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[f"{__name__}.log_in", "jupyter_session_user.hosts.django.SessionUserMiddleware"],
)
django.setup()
urlpatterns = [path("", lambda _: HttpResponse(report()))]
app = get_wsgi_application()
