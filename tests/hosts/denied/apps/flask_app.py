import flask
from people import of_environ, report

from jupyter_session_user import SessionUserWSGIMiddleware

app = flask.Flask(__name__)
app.get("/")(report)
app.wsgi_app = SessionUserWSGIMiddleware(app.wsgi_app, user=of_environ)
