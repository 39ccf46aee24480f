"""What the parts of the server share, in one value, and how they are wired."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tornado.ioloop import PeriodicCallback
from traitlets import TraitError

from jupyter_session_user.core.lifecycle import Moment
from jupyter_session_user.core.protocol import NEWS_TYPE, REPLY_TYPE, REQUEST_TYPE
from jupyter_session_user.core.rate import TokenBucket
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.bridge import Answers, Bridge
from jupyter_session_user.server.capture import Capture, Sources
from jupyter_session_user.server.events import SessionEvents
from jupyter_session_user.server.gate import Gate
from jupyter_session_user.server.kernels import Kernels
from jupyter_session_user.server.logins import KnownLogin, Logins
from jupyter_session_user.server.origin import Origin
from jupyter_session_user.server.resolvers.base import load_resolvers
from jupyter_session_user.server.revalidation import Authority, Revalidation
from jupyter_session_user.store.memory import MemoryStore

if TYPE_CHECKING:
    import logging

    from jupyter_client.multikernelmanager import MultiKernelManager

    from jupyter_session_user.server.operator import Operator
    from jupyter_session_user.server.settings import Settings
    from jupyter_session_user.store.base import Record, SessionStore

__all__ = ["Host", "ServerContext", "build_context", "ends_the_program"]

#: How often the clock is looked at for those from whom nothing comes, in milliseconds.
TICK_MS = 250


@contextmanager
def ends_the_program(log: logging.Logger) -> Iterator[None]:
    """Turn any failure into the program's end: Jupyter would log it and go on without us.

    Kernels would then believe a stamp that a browser made up.
    """
    try:
        yield
    except ConfigurationError as error:
        log.critical("JupyterSessionUser.%s", error)
        raise SystemExit(1) from None
    except Exception as error:
        log.critical(
            "jupyter_session_user cannot start: %s. Mend c.JupyterSessionUser, or run "
            "'jupyter server extension disable jupyter_session_user'",
            error,
            exc_info=not isinstance(error, TraitError),
        )
        raise SystemExit(1) from None


@dataclass(frozen=True, slots=True)
class Host:
    """What the parts need of the program that they run in.

    Attributes:
        cookie_secret: Gives the key that its Tornado signs cookies with.
        application: Gives its web application; None as long as there is none.
        events: Its event logger; None where it has none.
        log: Its log.
        before: Called before each authenticated request.
        operator: Who may manage sessions from the shell; None where nobody can.
    """

    cookie_secret: Callable[[], Any]
    application: Callable[[], Any]
    events: Any
    log: logging.Logger
    before: Callable[[], None] = lambda: None
    operator: Operator | None = None


@dataclass(frozen=True, slots=True)
class ServerContext:
    """The wired parts of one server.

    Attributes:
        store: Session records.
        capture: Requests to records.
        logins: How it stands with each login.
        gate: Refuses those that are over, on every route.
        origin: Whose message a server-side client sends.
        kernels: Owners, and stamping sessions.
        bridge: Answers and news to kernels.
        session_policy: What becomes of a websocket whose login is over.
        max_connection_age: How old a kernel's websocket may get, in seconds; None: no limit.
        websocket_nodelay: Whether kernel websockets send small messages at once.
        close: Ends what runs in the background.
        operator: Who may manage sessions from the shell; None where nobody can.
    """

    store: SessionStore
    capture: Capture
    logins: Logins
    gate: Gate
    origin: Origin
    kernels: Kernels
    bridge: Bridge
    session_policy: str
    max_connection_age: float | None
    websocket_nodelay: bool
    close: Callable[[], None]
    operator: Operator | None = None


def build_context(settings: Settings, kernels: MultiKernelManager, host: Host) -> ServerContext:
    """Wire the parts of one server, and follow its kernels from now on.

    Args:
        settings: What the administrator set.
        kernels: The server's kernel manager.
        host: What the server offers.

    Raises:
        ConfigurationError: A setting cannot work.
    """
    store = MemoryStore(settings.max_sessions)
    logins = _logins(settings, store, host)
    admins = frozenset(settings.admin_users)
    capture = Capture(store, settings.policy(), admins, _utc_now, logins, _sources(settings))

    def signed_out(login: KnownLogin) -> None:
        revalidation.ask(login)

    gate = Gate(capture, logins, host.before, signed_out)
    revalidation = _revalidation(settings, logins, Authority(host.application, gate, capture), host)
    flags = settings.expired_session_policy == "flag"
    origin = Origin(capture, (lambda _: None) if flags else logins.over)
    followed, bridge = _kernels(settings, kernels, host, capture, origin, store)
    _tell_everybody(logins, bridge, SessionEvents(host.events, host.log))
    return ServerContext(
        store,
        capture,
        logins,
        gate,
        origin,
        followed,
        bridge,
        session_policy=settings.expired_session_policy,
        max_connection_age=settings.max_connection_age,
        websocket_nodelay=settings.websocket_nodelay,
        close=_in_background(logins, revalidation, bridge),
        operator=host.operator,
    )


def _logins(settings: Settings, store: SessionStore, host: Host) -> Logins:
    return Logins(
        store,
        _now,
        settings.limits(),
        host.log,
        proxy_block=settings.revoked_block,
        limit=settings.max_sessions,
    )


def _kernels(
    settings: Settings,
    kernels: MultiKernelManager,
    host: Host,
    capture: Capture,
    origin: Origin,
    store: SessionStore,
) -> tuple[Kernels, Bridge]:
    """Follow the kernels, and open the way to each that somebody speaks to."""

    def owns(person: str, kernel_id: str) -> bool:
        return kernel_id in kernels and followed.owns(person, kernels.get_kernel(kernel_id))

    def visitor(kernel_id: str) -> Record | None:
        return followed.visitor(kernels.get_kernel(kernel_id)) if kernel_id in kernels else None

    def limiter() -> Callable[[], bool]:
        bucket = TokenBucket(settings.comm_rate, settings.comm_burst)
        return lambda: bucket.take(time.monotonic())

    def on_gone(kernel_id: str) -> None:
        bridge.detach(kernel_id)
        store.drop_kernel(kernel_id)

    answers = Answers(store, settings.policy(), owns, visitor, host.cookie_secret)
    bridge = Bridge(answers, limiter, host.log)
    followed = Kernels(
        capture, origin, bridge.attach, on_gone, exclusive=settings.exclusive_kernels
    )
    followed.watch(kernels)
    _leave_untracked(kernels)
    return followed, bridge


def _revalidation(
    settings: Settings, logins: Logins, authority: Authority, host: Host
) -> Revalidation:
    return Revalidation(
        logins,
        authority,
        interval=settings.revalidate_interval,
        timeout=settings.revalidate_timeout,
        concurrency=settings.revalidate_concurrency,
        monotonic=time.monotonic,
        log=host.log,
    )


def _tell_everybody(logins: Logins, bridge: Bridge, events: SessionEvents) -> None:
    def tell_kernel(event: str, record: Record) -> None:
        if record.session.kernel_id is not None:
            bridge.news(record.session.kernel_id, event, record.session)

    logins.on_change(tell_kernel)
    logins.on_change(events)


def _in_background(
    logins: Logins, revalidation: Revalidation, bridge: Bridge
) -> Callable[[], None]:
    """Look at the clock from now on, and return what ends everything that goes on."""

    def tick() -> None:
        logins.tick()
        revalidation.ask_those_due()

    ticking = PeriodicCallback(tick, TICK_MS)
    ticking.start()

    def close() -> None:
        ticking.stop()
        revalidation.close()
        bridge.close()

    return close


def _sources(settings: Settings) -> Sources:
    return Sources(
        resolvers=load_resolvers(settings.resolvers, settings),
        platform=settings.platform_cookie(),
        proxies=settings.networks(),
    )


def _leave_untracked(kernels: Any) -> None:
    """Keep the talk between helper and server from counting as a kernel's activity.

    A trait: a new list, not a change in place, so that its default stays as it is.
    """
    ours = {NEWS_TYPE, REPLY_TYPE, REQUEST_TYPE} - set(kernels.untracked_message_types)
    kernels.untracked_message_types = [*kernels.untracked_message_types, *sorted(ours)]


def _utc_now() -> datetime:
    return datetime.now(timezone.utc)


def _now() -> Moment:
    return Moment(wall=time.time(), monotonic=time.monotonic())
