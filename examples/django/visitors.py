"""A Django site in one file that greets its visitor by name. See docs/hosts/django.md."""

import os
import sys
import tempfile
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command, execute_from_command_line

DATABASE = os.environ.setdefault(
    "VISITORS_DATABASE", str(Path(tempfile.mkdtemp()) / "visitors.sqlite3")
)
settings.configure(
    SECRET_KEY="an example",
    DEBUG=True,
    ROOT_URLCONF=__name__,
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "jupyter_session_user.hosts.django.SessionUserMiddleware",
    ],
)
django.setup()

from django.contrib.auth import get_user_model, login  # noqa: E402 - after the settings
from django.http import HttpResponse  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.shortcuts import redirect  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils.html import format_html, format_html_join  # noqa: E402

from jupyter_session_user import get_current_user, require_user  # noqa: E402

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}
NAMES = {"alice": ("Alice", "Adams"), "bob": ("Bob", "Brown")}

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Visitors</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 0 auto; padding: 1rem }}
h1 {{ font-size: 1.8rem; line-height: 1.2 }}
table {{ width: 100%; border-collapse: collapse; margin-bottom: 1rem }}
th, td {{ text-align: left; padding: .4rem .6rem .4rem 0; border-bottom: 1px solid #8886 }}
</style>
{}
"""
BUTTON = """<button type="button">Who clicks?</button><p role="status">Nobody has clicked yet.</p>
<script>
document.querySelector("button").onclick = async () => {{
    const headers = {{"X-CSRFToken": "{}"}};
    const answer = await fetch("click", {{method: "POST", headers}});
    document.querySelector("[role=status]").textContent = await answer.text();
}};
</script>"""


def bookings_of(username):
    """Name the visitor anywhere below a view, without the request."""
    rows = format_html_join(
        "", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>", BOOKINGS.get(username, [])
    )
    return format_html("<table><tr><th>When<th>What<th>How long</tr>{}</table>", rows)


def page(request):
    visitor = get_current_user()
    if visitor.is_anonymous:
        people = format_html_join(
            "",
            '<li><a href="as/{}">{}</a></li>',
            ((name, " ".join(full)) for name, full in NAMES.items()),
        )
        return HttpResponse(format_html(PAGE, format_html("<h1>Who are you?</h1>{}", people)))
    body = format_html(
        "<h1>Hello, {}</h1><p>Your bookings:</p>{}{}",
        visitor.name,
        bookings_of(visitor.username),
        format_html(BUTTON, get_token(request)),
    )
    return HttpResponse(format_html(PAGE, body))


async def click(_request):
    with require_user() as user:
        return HttpResponse(f"{user.name} ({user.username}) clicked.", content_type="text/plain")


def log_in(request, username):
    """Log in without a password: this page is for a demo only."""
    login(request, get_user_model().objects.get(username=username))
    return redirect("/")


urlpatterns = [path("", page), path("click", click), path("as/<username>", log_in)]

if __name__ == "__main__":
    if not Path(DATABASE).exists():
        call_command("migrate", verbosity=0)
        for username, (first, last) in NAMES.items():
            get_user_model().objects.create(username=username, first_name=first, last_name=last)
    execute_from_command_line(sys.argv)
