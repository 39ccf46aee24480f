"""A login form for the example, with two users: alice (password a) and bob (password b)."""

from tornado.web import RequestHandler

PASSWORDS = {"alice": "a", "bob": "b"}
FORM = """<!doctype html><html lang="en"><title>Sign in</title>
<form method="post" style="font: 16px/2 system-ui; max-width: 20rem; margin: 3rem auto">
{xsrf}<p><label>Name <input name="name" autofocus></label>
<p><label>Password <input name="password" type="password"></label>
<p><button>Sign in</button></form>"""

login_url = "/login"
logout_url = "/logout"


def get_user(handler):
    user = handler.get_signed_cookie("user")  # signed with bokeh serve --cookie-secret
    return user.decode() if user else None


class LoginHandler(RequestHandler):
    def get(self):
        self.write(FORM.format(xsrf=self.xsrf_form_html()))

    def post(self):
        name = self.get_argument("name")
        if PASSWORDS.get(name) == self.get_argument("password"):
            self.set_signed_cookie("user", name, httponly=True, samesite="Lax")
            self.redirect(self.application.prefix or "/")
        else:
            self.redirect("login")


class LogoutHandler(RequestHandler):
    def get(self):
        self.clear_cookie("user")
        self.redirect("login")
