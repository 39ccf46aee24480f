"""A NiceGUI app that greets its visitor by name. To start it, see docs/hosts/nicegui.md."""

import os
import secrets

from fastapi import Request
from fastapi.responses import RedirectResponse
from nicegui import app, ui

from jupyter_session_user import SessionUserMiddleware, User, get_current_user, require_user

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}
PEOPLE = {"alice": User("alice", "Alice Adams"), "bob": User("bob", "Bob Brown")}
LOGINS = {}  # from the login cookie to the user; a real app uses a database


def login(scope):
    return LOGINS.get(Request({**scope, "type": "http"}).cookies.get("visitors_login", ""))


@app.get("/as/{name}")
def log_in(name: str) -> RedirectResponse:
    """Log in without a password: this page is for a demo only."""
    token = secrets.token_urlsafe()
    LOGINS[token] = PEOPLE[name]
    answer = RedirectResponse("/")
    answer.set_cookie("visitors_login", token, httponly=True, samesite="lax")
    return answer


@ui.page("/", title="Visitors")
def page():
    visitor = get_current_user()
    if visitor.is_anonymous:
        ui.html("<h1>Who are you?</h1>", sanitize=False)
        for name, person in PEOPLE.items():
            ui.link(person.name, f"/as/{name}")
        return

    def click():
        # Call it again here: a callback runs for the visitor of its page.
        with require_user() as user:
            clicked.set_text(f"{user.display_name} ({user.username}) clicked.")

    with ui.element("h1").classes("text-2xl"):
        ui.label(f"Hello, {visitor.display_name}")
    for row in BOOKINGS.get(visitor.username, []):
        with ui.row():
            for cell in row:
                ui.label(cell)
    ui.button("Who clicks?", on_click=click).props("no-caps")
    clicked = ui.label("Nobody has clicked yet.")


app.add_middleware(SessionUserMiddleware, user=login)
ui.run(host="127.0.0.1", port=int(os.environ.get("PORT", "8080")), show=False, reload=False)
