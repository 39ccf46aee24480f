"""An OAuth provider for the tests: any name gets a token.

python provider.py PORT
"""

import asyncio
import base64
import json
import sys
import time
from urllib.parse import urlencode

from tornado.web import Application, RequestHandler

GROUPS = {"alice": ["finance"], "bob": ["sales"]}


def part(value):
    """Return a part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


class Authorize(RequestHandler):
    """The login page; ``login`` replaces the typed name."""

    def get(self):
        name = self.get_cookie("login") or self.get_argument("login", "alice")
        query = {"code": name, "state": self.get_argument("state")}
        self.redirect(f"{self.get_argument('redirect_uri')}?{urlencode(query)}")


class Token(RequestHandler):
    """The endpoint at which the app's server exchanges the code."""

    def post(self):
        name = self.get_argument("code")
        claims = {
            "email": f"{name}@example.org",
            "name": name.title(),
            "groups": GROUPS[name],
            "exp": int(time.time()) + 600,
        }
        token = f"{part({'alg': 'none'})}.{part(claims)}.x"
        self.write({"access_token": token, "id_token": token, "expires_in": 600})


class User(RequestHandler):
    """The endpoint with the user of a token."""

    def get(self):
        payload = self.request.headers["Authorization"].split(".")[1]
        self.write(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


async def main(port):
    """Serve until the process is ended."""
    rules = [("/authorize", Authorize), ("/token", Token), ("/user", User)]
    Application(rules).listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
