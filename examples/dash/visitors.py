"""A Dash app that greets its visitor by name. To start it, see docs/hosts/dash.md."""

import flask
from dash import Dash, Input, Output, html

from jupyter_session_user import SessionUserWSGIMiddleware, User, get_current_user

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}
PEOPLE = {"alice": User("alice", "Alice Adams"), "bob": User("bob", "Bob Brown")}

# Otherwise Dash calls the layout once at its start, without a visitor, to validate callbacks.
app = Dash(title="Visitors", suppress_callback_exceptions=True)
server = app.server  # for gunicorn: visitors:server
server.secret_key = "of this example"  # a real app reads it from a secret store


def layout():
    visitor = get_current_user()
    if visitor.is_anonymous:
        people = [html.Li(html.A(p.name, href=f"/as/{n}")) for n, p in PEOPLE.items()]
        return html.Div([html.H1("Who are you?"), html.Ul(people)])
    rows = [html.Tr([html.Td(cell) for cell in row]) for row in BOOKINGS.get(visitor.username, [])]
    return html.Div(
        [
            html.H1(f"Hello, {visitor.display_name}"),
            html.P("Your bookings:" if rows else "You have no bookings."),
            html.Table(rows),
            html.Button("Who clicks?", id="click"),
            html.P(id="clicked"),
        ]
    )


app.layout = layout


@app.callback(Output("clicked", "children"), Input("click", "n_clicks"), prevent_initial_call=True)
def clicked(_):
    user = get_current_user()
    return f"{user.display_name} ({user.username}) clicked."


@server.get("/as/<name>")
def log_in(name):
    """Log in without a password: this page is for a demo only."""
    flask.session["user"] = name
    return flask.redirect("/")


server.wsgi_app = SessionUserWSGIMiddleware(
    server.wsgi_app, user=lambda _: PEOPLE.get(flask.session.get("user"))
)

if __name__ == "__main__":
    app.run()
