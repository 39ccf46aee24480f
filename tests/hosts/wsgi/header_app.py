"""An app that trusts a proxy's header, on the WSGI server that the command line names."""

import json
import sys

from who import who

from jupyter_session_user import SessionUserError, SessionUserWSGIMiddleware, get_current_user


def app(environ, start_response):
    """Return the current user, or the whole text of the error."""
    start_response("200 OK", [("Content-Type", "application/json")])
    try:
        get_current_user()
    except SessionUserError as error:
        return [json.dumps(str(error)).encode()]
    return [json.dumps(who()).encode()]


OPTIONS = {"trusted_header": "X-Forwarded-User", "trusted_proxies": ["127.0.0.1"]}
plain = SessionUserWSGIMiddleware(app, **OPTIONS)
exact = SessionUserWSGIMiddleware(app, **OPTIONS, header_is_exact=True)


def application(environ, start_response):
    """Serve the app with or without the setting that the proxy cleans the header."""
    chosen = exact if environ["PATH_INFO"] == "/exact" else plain
    return chosen(environ, start_response)


def wsgiref(port):
    from wsgiref.simple_server import make_server

    make_server("127.0.0.1", port, application).serve_forever()


def tornado(port):
    from tornado.httpserver import HTTPServer
    from tornado.ioloop import IOLoop
    from tornado.wsgi import WSGIContainer

    HTTPServer(WSGIContainer(application)).listen(port, "127.0.0.1")
    IOLoop.current().start()


def werkzeug(port):
    from werkzeug.serving import run_simple

    run_simple("127.0.0.1", port, application)


def waitress(port):
    import waitress

    waitress.serve(application, host="127.0.0.1", port=port)


def gevent(port):
    from gevent.pywsgi import WSGIServer

    WSGIServer(("127.0.0.1", port), application).serve_forever()


def gunicorn(port):
    from gunicorn.app.wsgiapp import run

    sys.argv = ["gunicorn", "--bind", f"127.0.0.1:{port}", "header_app:application"]
    run()


if __name__ == "__main__":
    globals()[sys.argv[1]](int(sys.argv[2]))
