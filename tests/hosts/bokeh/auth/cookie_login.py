"""Bokeh's login example, with a signed cookie: any name is accepted."""

from tornado.web import RequestHandler


def get_user(handler):
    return handler.get_signed_cookie("user")


login_url = "/login"


class LoginHandler(RequestHandler):
    def get(self):
        self.set_signed_cookie("user", self.get_argument("name"))
        self.redirect(self.get_argument("next", "/"))
