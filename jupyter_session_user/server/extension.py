"""The Jupyter Server extension: settings, and the wiring of the parts. Nothing else."""

from __future__ import annotations

import functools
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, cast

from jupyter_server.extension.application import ExtensionApp
from traitlets import Bool, Float, Int, List, TraitError, Unicode, validate

from jupyter_session_user.core.policy import DEFAULT_CREDENTIAL_COOKIES, CookiePolicy
from jupyter_session_user.core.protocol import REPLY_TYPE, REQUEST_TYPE
from jupyter_session_user.core.rate import TokenBucket
from jupyter_session_user.server.bridge import Answers, Bridge
from jupyter_session_user.server.capture import Capture
from jupyter_session_user.server.context import ServerContext
from jupyter_session_user.server.handlers import ROUTES
from jupyter_session_user.server.kernels import Kernels
from jupyter_session_user.server.origin import Origin
from jupyter_session_user.server.runners.nbmodel import watch_nbmodel
from jupyter_session_user.server.websocket import SETTING, stamped_class
from jupyter_session_user.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_server.serverapp import ServerApp

    from jupyter_session_user.store.base import SessionStore

__all__ = ["JupyterSessionUser"]

_CONNECTION_CLASS = "kernel_websocket_connection_class"


class JupyterSessionUser(ExtensionApp):
    """Tells every kernel whose request it is running."""

    name = "jupyter_session_user"
    extension_url = "/lab"
    load_other_extensions = True

    credential_cookies = List(
        Unicode(),
        default_value=list(DEFAULT_CREDENTIAL_COOKIES),
        config=True,
        help="""Names of cookies that never go to any kernel, as shell patterns (`*`, `?`):
        whoever holds their value is logged in as that person. The default names the login
        cookies of Jupyter, JupyterHub and the common SSO proxies. An empty list keeps nothing
        back but the login cookie of this server's own identity provider.""",
    )

    share_cookies = List(
        Unicode(),
        config=True,
        help="""Names of cookies, exact, that go to a kernel that somebody else started.
        The default, an empty list, gives no cookie to other people's kernels.""",
    )

    admin_users = List(
        Unicode(),
        config=True,
        help="""Usernames that count as administrators, besides those that the identity
        provider marks with `admin = True`: they see everybody's sessions. The default, an
        empty list, adds none.""",
    )

    max_sessions = Int(
        10_000,
        min=1,
        config=True,
        help="""How many sessions are kept in memory, in records; beyond that the one that was
        seen longest ago is forgotten. There is no value that means unlimited.""",
    )

    comm_rate = Float(
        20.0,
        config=True,
        help="""How many requests of one kernel are answered per second, in the long run.
        Others are dropped, and time out in the kernel. Must be above 0.""",
    )

    comm_burst = Int(
        100,
        min=1,
        config=True,
        help="""How many requests of one kernel are answered at once, in requests, before
        `comm_rate` counts.""",
    )

    websocket_nodelay = Bool(
        True,
        config=True,
        help="""Whether kernel websockets send small messages at once (TCP_NODELAY). Without
        it a trivial cell waits some 40 ms for the network. False leaves the sockets as
        Jupyter Server makes them.""",
    )

    def initialize_settings(self) -> None:
        """Wire the parts and stand in the path of the messages."""
        policy = CookiePolicy(
            credential=tuple(self.credential_cookies), share=tuple(self.share_cookies)
        )
        store = MemoryStore(self.max_sessions)
        capture = Capture(store, policy, frozenset(self.admin_users), _utc_now)
        context = self._wire(store, policy, capture)
        self.settings[SETTING] = context
        self._server.web_app.settings[SETTING] = context
        self._stand_in_the_path()
        self._look_at_every_request()
        kernels = self._server.kernel_manager
        # A trait: a new list, not a change in place, so that its default stays as it is.
        ours = {REPLY_TYPE, REQUEST_TYPE} - set(kernels.untracked_message_types)
        kernels.untracked_message_types = [*kernels.untracked_message_types, *sorted(ours)]

    def initialize_handlers(self) -> None:
        """Serve the REST API."""
        self.handlers.extend(ROUTES)

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:  # noqa: ARG002
        """Look for the runners, now that all extensions have loaded."""
        watch_nbmodel(self._context.origin, self.log)

    def _look_at_every_request(self) -> None:
        """Look at the connection class again before each request, hence each handshake.

        An extension that replaces the class after us, however late, would take our stamps,
        and the check for forged ones, out of the path. All requests meet at ``get_user``.
        """
        provider = self._server.identity_provider
        get_user = provider.get_user

        @functools.wraps(get_user)
        def get_user_behind_us(handler: Any) -> Any:
            self._stand_in_the_path()
            return get_user(handler)

        setattr(provider, "get_user", get_user_behind_us)  # noqa: B010 - mypy

    async def stop_extension(self) -> None:
        """Give the sockets to the kernels back."""
        self._context.bridge.close()

    @validate("credential_cookies", "share_cookies", "admin_users")
    def _check_names(self, proposal: Any) -> Any:
        """Refuse what a command line made of a Python list: it would match no name at all."""
        for name in proposal["value"]:
            if "'" in name or '"' in name:
                option = f"--JupyterSessionUser.{proposal['trait'].name}"
                raise TraitError(f"{name} is no name; write {option}=one {option}=another")
        return proposal["value"]

    @property
    def _server(self) -> ServerApp:
        return cast("ServerApp", self.serverapp)  # None only before it is linked

    @property
    def _context(self) -> ServerContext:
        context: ServerContext = self.settings[SETTING]
        return context

    def _wire(self, store: SessionStore, policy: CookiePolicy, capture: Capture) -> ServerContext:
        origin = Origin(capture)
        secret = self._server.web_app.settings["cookie_secret"]
        answers = Answers(store, policy, self._owns, secret)
        bridge = Bridge(answers, self._limiter, self.log)

        def on_gone(kernel_id: str) -> None:
            bridge.detach(kernel_id)
            store.drop_kernel(kernel_id)

        kernels = Kernels(origin, bridge.attach, on_gone)
        return ServerContext(
            store, capture, origin, kernels, bridge, websocket_nodelay=self.websocket_nodelay
        )

    def _stand_in_the_path(self) -> None:
        settings = self._server.web_app.settings
        settings[_CONNECTION_CLASS] = stamped_class(settings[_CONNECTION_CLASS])
        self._context.kernels.watch(self._server.kernel_manager)

    def _owns(self, person: str, kernel_id: str) -> bool:
        kernels = self._server.kernel_manager
        if kernel_id not in kernels:
            return False
        return self._context.kernels.owns(person, kernels.get_kernel(kernel_id))

    def _limiter(self) -> Callable[[], bool]:
        bucket = TokenBucket(self.comm_rate, self.comm_burst)
        return functools.partial(_take, bucket)


def _take(bucket: TokenBucket) -> bool:
    return bucket.take(time.monotonic())


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)
