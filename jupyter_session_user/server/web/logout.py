"""The addresses to which an identity provider sends the end of logins.

The token is the proof, so these routes need no login and no XSRF check, and ask neither the
identity provider nor the authorizer. OpenID Connect Back-Channel Logout 1.0, sections 2.5 to 2.8;
RFC 8935 (push delivery of security event tokens).
"""

from __future__ import annotations

import json
import math
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qs

from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler
from tornado import web

from jupyter_session_user.core.logout_token import LOGOUT, SECURITY_EVENT, Kind, TokenRefused
from jupyter_session_user.errors import StoreUnavailable
from jupyter_session_user.server.messages.websocket import SETTING
from jupyter_session_user.upstream.jupyter_server import forget_user

if TYPE_CHECKING:
    from jupyter_session_user.server.auth.provider_logout import ProviderLogout
    from jupyter_session_user.server.context import ServerContext

__all__ = ["LOGOUT_ROUTES"]

_MAX_BYTES = 32_768
_MAX_FIELDS = 16
_MAX_DIGITS = 9
_OFF = "this server receives no such tokens; see docs/logout_push.md"
_UNSAVED = "the logins have ended, and a restart would forget that; send the token again"


class _TokenHandler(APIHandler):
    """Base class: one POST with one token, from a client without a login."""

    _track_activity = False
    kind: ClassVar[Kind]
    content_type: ClassVar[str]
    #: The members of an error.
    code_name: ClassVar[str]
    text_name: ClassVar[str]

    async def prepare(self) -> None:  # type: ignore[override]
        """Refuse what need not be read. Nobody is logged in, whatever the request shows."""
        forget_user(self)
        if not self.check_host():
            raise web.HTTPError(403)
        context: ServerContext = self.settings[SETTING]
        receiver = context.provider_logout
        if receiver is None or not receiver.accepts(self.kind):
            raise web.HTTPError(404, _OFF)
        self.receiver: ProviderLogout = receiver
        self.body = bytearray()
        # Larger bodies end the connection, also those that do not say their size.
        self.request.connection.set_max_body_size(_MAX_BYTES)  # type: ignore[union-attr]
        size = self.request.headers.get("Content-Length", "0")
        if not size.isdecimal() or len(size) > _MAX_DIGITS or int(size) > _MAX_BYTES:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {_MAX_BYTES} bytes")
            return
        wait = self.receiver.failures.blocked_for(self.address, time.monotonic())
        # Everybody behind one proxy may have one address, the provider too: see the documentation.
        if wait and not self.receiver.reserve.take(time.monotonic()):
            self.set_header("Retry-After", str(math.ceil(wait)))
            text = "too many refused tokens came from this address; wait, and send valid ones"
            self.refuse(HTTPStatus.TOO_MANY_REQUESTS, text)

    def check_xsrf_cookie(self) -> None:
        """Do nothing: no cookie of a browser counts here."""

    def set_default_headers(self) -> None:
        """Forbid caching: section 2.8 of the specification."""
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def data_received(self, chunk: bytes) -> None:
        """Collect the body, whose size is limited."""
        self.body += chunk

    @property
    def address(self) -> str:
        """The peer; a trusted proxy may name it."""
        return str(self.request.remote_ip or "")

    def sent_token(self) -> str:
        """Return the token in the body.

        Raises:
            TokenRefused: There is none, or more than one.
        """
        raise NotImplementedError

    async def receive(self) -> bool | None:
        """End the logins that the token names; return whether the token is new, None if refused."""
        try:
            self._check_content_type()
            return await self.receiver.receive(self.sent_token(), self.kind)
        except TokenRefused as refused:
            self.receiver.failures.failed(self.address, time.monotonic())
            self.log.info("%s refused: %s", self.kind.name, refused)
            self.refuse(HTTPStatus.BAD_REQUEST, str(refused), refused.code)
        except StoreUnavailable:
            self.set_header("Retry-After", "5")
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, _UNSAVED)
        return None

    def _check_content_type(self) -> None:
        given = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if given != self.content_type:
            raise TokenRefused(f"the Content-Type is another; send {self.content_type}")

    def refuse(self, status: int, text: str, code: str = "invalid_request") -> None:
        """Finish with an error."""
        self.set_status(status)
        self.set_header("Content-Language", "en")
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({self.code_name: code, self.text_name: text}))


@web.stream_request_body
class BackchannelLogoutHandler(_TokenHandler):
    """OpenID Connect Back-Channel Logout 1.0: a ``logout_token`` in a form."""

    kind = LOGOUT
    content_type = "application/x-www-form-urlencoded"
    code_name, text_name = "error", "error_description"

    @allow_unauthenticated
    async def post(self) -> None:
        """End the logins of a session or a user; 200 also if none is known here."""
        new = await self.receive()
        if new is None:
            return
        if new:
            self.finish()
        else:
            self.refuse(HTTPStatus.BAD_REQUEST, "this token came before; send a new one")

    def sent_token(self) -> str:
        """Return the field ``logout_token``; other fields are ignored."""
        try:
            form = parse_qs(self.body.decode("ascii"), max_num_fields=_MAX_FIELDS)
        except ValueError:
            form = {}
        tokens = form.get("logout_token", [])
        if len(tokens) != 1:
            raise TokenRefused("the form needs the field logout_token, once")
        return tokens[0]

    def refuse(self, status: int, text: str, code: str = "invalid_request") -> None:
        """Finish with an error of OAuth 2.0 (RFC 6749 section 5.2), which has fewer codes."""
        del code
        super().refuse(status, text)


@web.stream_request_body
class SecurityEventsHandler(_TokenHandler):
    """RFC 8935: a security event token as the body."""

    kind = SECURITY_EVENT
    content_type = "application/secevent+jwt"
    code_name, text_name = "err", "description"

    @allow_unauthenticated
    async def post(self) -> None:
        """End the logins of a session or a user; 202 also if none is, or if the token is known."""
        if await self.receive() is not None:
            self.set_status(HTTPStatus.ACCEPTED)
            self.finish()

    def sent_token(self) -> str:
        """Return the body."""
        return self.body.decode("ascii", "replace").strip()


LOGOUT_ROUTES: list[tuple[str, type[APIHandler]]] = [
    (r"api/session-user/backchannel-logout", BackchannelLogoutHandler),
    (r"api/session-user/security-events", SecurityEventsHandler),
]
