"""The auth module of the Bokeh and Panel apps."""

from people import of_cookies

login_url = "/login"


def get_user(handler):
    return of_cookies(handler.request.headers.get("Cookie", ""))
