"""A Shiny app that greets its visitor by name. To start it, see docs/hosts/shiny.md."""

import secrets

from shiny import App, reactive, render, ui
from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse
from starlette.routing import Route

from jupyter_session_user import SessionUserMiddleware, User, get_current_user

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}
PEOPLE = {"alice": User("alice", "Alice Adams"), "bob": User("bob", "Bob Brown")}
LOGINS = {}  # from the login cookie to the user; a real app uses a database


def page(request: Request):
    visitor = get_current_user()
    if visitor.is_anonymous:
        people = [ui.tags.li(ui.a(p.name, href=f"as/{n}")) for n, p in PEOPLE.items()]
        return ui.page_fixed(ui.h1("Who are you?"), ui.tags.ul(*people), title="Visitors")
    rows = [
        ui.tags.tr(*(ui.tags.td(cell) for cell in row))
        for row in BOOKINGS.get(visitor.username, [])
    ]
    return ui.page_fixed(
        ui.h1(f"Hello, {visitor.display_name}"),
        ui.p("Your bookings:" if rows else "You have no bookings."),
        ui.tags.table(*rows, class_="table"),
        ui.input_action_button("click", "Who clicks?"),
        ui.output_text("clicked"),
        title="Visitors",
    )


def server(input, output, session):
    @render.text
    @reactive.event(input.click)
    def clicked():
        user = get_current_user()
        return f"{user.display_name} ({user.username}) clicked."


def log_in(request: Request):
    """Log in without a password: this page is for a demo only."""
    login = secrets.token_urlsafe()
    LOGINS[login] = PEOPLE[request.path_params["name"]]
    answer = RedirectResponse("../")
    answer.set_cookie("visitors_login", login, httponly=True, samesite="lax")
    return answer


def whose_login(scope):
    return LOGINS.get(HTTPConnection(scope).cookies.get("visitors_login", ""))


app = App(page, server)
app.starlette_app.router.routes.insert(0, Route("/as/{name}", log_in))
app.starlette_app.add_middleware(SessionUserMiddleware, user=whose_login)
