from dash import Dash, Input, Output, html, set_props
from people import IN_CALLBACK, WHOLE, finance, of_environ, report

from jupyter_session_user import AccessDenied, SessionUserWSGIMiddleware


def refused(error):
    if not isinstance(error, AccessDenied):
        raise error
    set_props("refusal", {"children": error.sentence})


dash = Dash(__name__, on_error=refused, suppress_callback_exceptions=True)
app = dash.server
app.wsgi_app = SessionUserWSGIMiddleware(app.wsgi_app, user=of_environ)
page = html.Div(
    [html.Button("Book", id="book"), html.P(id="shown"), html.P(id="refusal", role="alert")]
)
dash.layout = page
if WHOLE:
    dash.layout = finance(lambda: page)
elif not IN_CALLBACK:

    @app.before_request
    def guard():
        finance.user()


@dash.callback(
    Output("shown", "children"), Input("book", "n_clicks"), prevent_initial_call=IN_CALLBACK
)
def book(_):
    return report()
