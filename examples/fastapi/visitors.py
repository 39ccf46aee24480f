"""A FastAPI app that greets its visitor by name. To start it, see docs/hosts/asgi.md."""

import secrets
from html import escape

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse

from jupyter_session_user import SessionUserMiddleware, User, get_current_user, require_user

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}
PEOPLE = {"alice": User("alice", "Alice Adams"), "bob": User("bob", "Bob Brown")}
LOGINS = {}  # from the value of the login cookie to the user; a real app uses a database

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
document.querySelector("button").onclick = async () => {
    const answer = await fetch("click", {method: "POST"});
    document.querySelector("[role=status]").textContent = await answer.text();
};
</script>"""

app = FastAPI()


def login_of(request: Request):
    return request.cookies.get("visitors_login", "")


@app.get("/")
def page() -> HTMLResponse:
    visitor = get_current_user()
    if visitor.is_anonymous:
        people = "".join(f'<li><a href="as/{n}">{p.name}</a></li>' for n, p in PEOPLE.items())
        return HTMLResponse(PAGE.format(f"<h1>Who are you?</h1><ul>{people}</ul>"))
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in BOOKINGS.get(visitor.username, [])
    )
    table = f"<table><tr><th>When</th><th>What</th><th>How long</th></tr>{rows}</table>"
    shown = f"<p>Your bookings:</p>{table}" if rows else "<p>You have no bookings.</p>"
    return HTMLResponse(
        PAGE.format(f"<h1>Hello, {escape(visitor.display_name)}</h1>{shown}{BUTTON}")
    )


@app.post("/click")
async def click() -> PlainTextResponse:
    with require_user() as user:
        return PlainTextResponse(f"{user.display_name} ({user.username}) clicked.")


@app.get("/as/{name}")
def log_in(name: str) -> RedirectResponse:
    """Log in without a password: this page is for a demo only."""
    login = secrets.token_urlsafe()
    LOGINS[login] = PEOPLE[name]
    answer = RedirectResponse("/")
    answer.set_cookie("visitors_login", login, httponly=True, samesite="lax")
    return answer


app.add_middleware(SessionUserMiddleware, user=lambda scope: LOGINS.get(login_of(Request(scope))))
