"""A background callback of Dash, and its cache by user. Runs in the server's process."""

from pathlib import Path

import diskcache
import flask
from dash import Dash, DiskcacheManager, Input, Output, html
from who import who

from jupyter_session_user import SessionUserWSGIMiddleware, get_current_user

LOGINS = {"a-token": "alice", "b-token": "bob"}
MANAGER = DiskcacheManager(
    diskcache.Cache(str(Path(__file__).with_name("cache"))),
    cache_by=[lambda: get_current_user().username],
)

page = Dash(__name__)
page.layout = html.Div([html.Button(id="button"), html.P(id="said")])


@page.callback(
    Output("said", "children"), Input("button", "n_clicks"), background=True, manager=MANAGER
)
def clicked(_):
    return who()


app = SessionUserWSGIMiddleware(
    page.server.wsgi_app, user=lambda _: LOGINS.get(flask.request.headers.get("X-Login"))
)
