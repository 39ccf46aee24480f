"""Bokeh's auth module behind a proxy that names the user in a header."""


def get_user(handler):
    return handler.request.headers.get("X-Forwarded-User")


login_url = "/login"
