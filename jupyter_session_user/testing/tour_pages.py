"""The pages of the demo: the tour, its links that log a user in, and its login page."""

from __future__ import annotations

import functools
import importlib.resources
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import jinja2
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.auth.login import LoginFormHandler
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado import web

from jupyter_session_user.testing.demo_identity import PEOPLE

__all__ = ["PAGE", "TOUR", "TourLoginHandler"]

#: The page's path, from the server's base address.
PAGE = "session-user-demo"

#: The two names of this machine. A browser keeps the cookies of each apart, so that one browser
#: has a window for each user.
_HOSTS = {"alice": "127.0.0.1", "bob": "localhost"}
_NOTEBOOK = "whoami.ipynb"
#: A page of this server that a link may lead to, such as ``lab/tree/alice/orders.ipynb``.
_PATH = re.compile(r"[\w.-]+(/[\w.-]+)+", re.ASCII)


@dataclass(frozen=True)
class Dashboard:
    """A program that shows a dashboard on this server, if it is installed.

    Attributes:
        name: For people.
        extension: Its server extension; the first part of the module's name.
        path: The address of the demo's page in it; ``{folder}`` is the folder of the files.
        install: Packages that it needs.
        text: What the visitor sees.
    """

    name: str
    extension: str
    path: str
    install: str
    text: str


DASHBOARDS = {
    "voila": Dashboard(
        "Voila",
        "voila",
        "voila/render/{folder}voila/visitors.ipynb",
        "voila ipywidgets",
        "A notebook as a page: each visitor sees only their own orders.",
    ),
    "panel": Dashboard(
        "Panel",
        "panel",
        "panel-preview/render/{folder}panel/visitors.py",
        "panel",
        "A preview of an app: each visitor sees only their own bookings.",
    ),
}


@functools.cache
def _read(name: str) -> str:
    """Return a template or the style; the script is built from ``labextension/src/pages``."""
    folder = "dist" if name.endswith(".js") else "testing/tour_files"
    files = importlib.resources.files("jupyter_session_user") / folder
    return (files / name).read_text(encoding="utf-8")


_ENVIRONMENT = jinja2.Environment(loader=jinja2.FunctionLoader(_read), autoescape=True)


class _Page(JupyterHandler):
    """Base class of the demo's pages: no caching, no foreign content, no key for other sites."""

    _track_activity = False

    @property
    def provider(self) -> Any:
        """The ``TourIdentityProvider``."""
        return self.identity_provider

    @property
    def content_security_policy(self) -> str:
        """Jupyter's policy, plus only our own script and style."""
        own = "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'"
        return f"{super().content_security_policy}; {own}"

    def set_default_headers(self) -> None:
        """Keep the page, and the key in its links, out of caches and other sites' logs."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")
        # Without any referrer, a form's Origin would be null, and Jupyter would refuse it.
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("X-Content-Type-Options", "nosniff")

    def show(self, template: str, **values: Any) -> None:
        """Answer with a page."""
        self.set_header("Content-Type", "text/html; charset=UTF-8")
        page = _ENVIRONMENT.get_template(template)
        self.finish(page.render(base=url_path_join(self.base_url, PAGE), **values))

    def refuse(self) -> None:
        """Say where the right address is."""
        self.set_status(HTTPStatus.FORBIDDEN)
        self.show("refused.html")


class TourHandler(_Page):
    """The page of the demo."""

    @allow_unauthenticated
    def get(self) -> None:
        """Show the page to a browser that has shown the key, without the key in the address."""
        if not self.provider.admits(self):
            self.refuse()
        elif self.request.query:
            self.redirect(url_path_join(self.base_url, PAGE))
        else:
            apart = self._host in _HOSTS.values()
            self.show(
                "tour.html",
                people=[self._person(name, apart=apart) for name in PEOPLE],
                apart=apart,
                tiles=[self._tile(key) for key in DASHBOARDS],
                xsrf=self.xsrf_token.decode(),
            )

    @property
    def _host(self) -> str:
        return urlsplit(f"//{self.request.host}").hostname or ""

    def _person(self, name: str, *, apart: bool) -> dict[str, Any]:
        """Return what the page shows of a user."""
        person = PEOPLE[name]
        user = self.current_user
        return {
            "name": name,
            "first": str(person["name"]).partition(" ")[0],
            "full": person["name"],
            "initials": person["initials"],
            "group": person["groups"][0],
            "left": self.provider.seconds_left(name),
            "here": not apart and user is not None and user.username == name,
            "links": {to: self._link(name, to, apart=apart) for to in ("notebook", *DASHBOARDS)},
        }

    def _link(self, name: str, to: str, *, apart: bool) -> str:
        """Return the address that logs a user in, on the host with the user's cookies."""
        port = urlsplit(f"//{self.request.host}").port
        host = f"{_HOSTS[name]}:{port}" if apart and port else self.request.host
        path = url_path_join(self.base_url, self.provider.link(name, to))
        return f"{self.request.protocol}://{host}{path}"

    def _tile(self, key: str) -> dict[str, Any]:
        """Return what the page shows of a dashboard."""
        tile = DASHBOARDS[key]
        on = any(
            name.partition(".")[0] == tile.extension and package.enabled
            for name, package in self.provider.parent.extension_manager.extensions.items()
        )
        return {"key": key, "on": on, **vars(tile)}


class EndHandler(_Page):
    """A button of the page."""

    @allow_unauthenticated
    def post(self, name: str) -> None:
        """End the logins of a user soon; Jupyter has checked that the page is our own."""
        if not self.provider.admits(self):
            self.refuse()
            return
        self.provider.end_soon(name)
        self.redirect(url_path_join(self.base_url, PAGE), status=HTTPStatus.SEE_OTHER)


class FileHandler(_Page):
    """The style and the script."""

    @allow_unauthenticated
    def get(self, name: str) -> None:
        """Answer with a file."""
        self.set_header("Content-Type", "text/css" if name.endswith("css") else "text/javascript")
        self.finish(_read(name))


class TourLoginHandler(_Page, LoginFormHandler):
    """A login page with a button for each user, in a browser that has shown the key."""

    def _render(self, message: dict[str, str] | None = None) -> None:
        del message
        if not self.provider.admits(self):
            self.refuse()
            return
        self.show(
            "login.html",
            people=[{"username": name, **person} for name, person in PEOPLE.items()],
            action=self.request.uri,
            xsrf=self.xsrf_token.decode(),
        )

    @allow_unauthenticated
    def get(self) -> None:
        """Show the buttons. A link with the key that leads elsewhere leads to the page first."""
        wanted = parse_qs(urlsplit(self.get_argument("next", "")).query)
        shown = [value for name in ("key", "token") for value in wanted.get(name, ())]
        if self.current_user is None and any(map(self.provider.is_key, shown)):
            self.provider.remember(self)
            self.redirect(url_path_join(self.base_url, PAGE))
        else:
            super().get()  # type: ignore[no-untyped-call]


class AsHandler(TourLoginHandler):
    """A link of the page: it logs a user in, and opens what the user came for."""

    @allow_unauthenticated
    def get(self, name: str) -> None:  # type: ignore[override]
        """Log in; the key must be in the link, so that no other site can make one."""
        if not self.provider.is_key(self.get_query_argument("key", "")):
            self.refuse()
            return
        self.provider.remember(self)
        if self.current_user is None or self.current_user.username != name:
            user = self.current_user = self.provider.introduce(self, name)
            self.provider.set_login_cookie(self, user)
        self.redirect(url_path_join(self.base_url, self._target(name)))

    def post(self, name: str) -> None:  # type: ignore[override]
        """Refuse: the link is to be opened."""
        raise web.HTTPError(HTTPStatus.METHOD_NOT_ALLOWED, json.dumps(name))

    def _target(self, name: str) -> str:
        folder = self.provider.folder
        folder = f"{quote(folder.strip('/'))}/" if folder else ""
        to = self.get_query_argument("to", "")
        if _PATH.fullmatch(to):
            return to
        dashboard = DASHBOARDS.get(to)
        if dashboard is not None:
            return dashboard.path.format(folder=folder)
        # A workspace each: JupyterLab would open one user's documents for the other.
        return f"lab/workspaces/{name}/tree/{folder}{_NOTEBOOK}"


_NAMES = "|".join(PEOPLE)

TOUR: list[tuple[str, object]] = [
    (rf"/{PAGE}", TourHandler),
    (rf"/{PAGE}/as/({_NAMES})", AsHandler),
    (rf"/{PAGE}/end/({_NAMES})", EndHandler),
    (rf"/{PAGE}/(tour\.css|tour\.js)", FileHandler),
]
