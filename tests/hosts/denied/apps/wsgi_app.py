"""A WSGI app without a framework."""

from people import of_environ, report

from jupyter_session_user import SessionUserWSGIMiddleware


def bare(environ, start_response):
    body = report().encode()
    start_response("200 OK", [("Content-Type", "text/html")])
    return [body]


app = SessionUserWSGIMiddleware(bare, user=of_environ)
