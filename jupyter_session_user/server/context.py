"""The server's shared components in one object, and their wiring."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_core.paths import jupyter_data_dir
from tornado.ioloop import IOLoop, PeriodicCallback
from traitlets import TraitError

from jupyter_session_user.core.lifecycle import Moment
from jupyter_session_user.core.protocol import REPLY_TYPE, REQUEST_TYPE, UPDATE_TYPE
from jupyter_session_user.core.rate import TokenBucket
from jupyter_session_user.errors import ConfigurationError
from jupyter_session_user.server.auth.agent_door import AgentDoor
from jupyter_session_user.server.auth.agents import Agents
from jupyter_session_user.server.auth.capture import Capture, Sources
from jupyter_session_user.server.auth.ended_logins import EndedLogins
from jupyter_session_user.server.auth.exchanging import Asking
from jupyter_session_user.server.auth.gate import Gate
from jupyter_session_user.server.auth.known_login import KnownLogin
from jupyter_session_user.server.auth.logins import Logins
from jupyter_session_user.server.auth.origin import Origin
from jupyter_session_user.server.auth.private_file import read_private
from jupyter_session_user.server.auth.provider_logout import ProviderLogout, provider_logout
from jupyter_session_user.server.auth.resolvers.base import load_resolvers
from jupyter_session_user.server.auth.revalidation import Authority, Pace, Revalidation
from jupyter_session_user.server.auth.subjects import Subjects
from jupyter_session_user.server.auth.succession import Succession
from jupyter_session_user.server.auth.watch import Watch
from jupyter_session_user.server.grants import Grants
from jupyter_session_user.server.messages.bridge import Answers, Bridge
from jupyter_session_user.server.messages.executions import Executions
from jupyter_session_user.server.messages.kernels import Kernels
from jupyter_session_user.server.messages.outside import separate_other_servers
from jupyter_session_user.server.messages.stdin import Questions
from jupyter_session_user.server.web.audit import Audit
from jupyter_session_user.server.web.events import SessionEvents
from jupyter_session_user.server.web.metrics import Metrics
from jupyter_session_user.store.memory import MemoryStore
from jupyter_session_user.store.url import open_ended
from jupyter_session_user.upstream import check

if TYPE_CHECKING:
    import logging

    from jupyter_client.multikernelmanager import MultiKernelManager

    from jupyter_session_user.core.login import Login
    from jupyter_session_user.server.auth.consents import Consents
    from jupyter_session_user.server.auth.databases import Databases
    from jupyter_session_user.server.auth.identity_tokens import IdentityTokens
    from jupyter_session_user.server.settings import Settings
    from jupyter_session_user.server.web.operator import Operator
    from jupyter_session_user.store.base import Record, SessionStore

__all__ = ["Host", "ServerContext", "build_context", "ends_the_program"]

#: How often expired entries are removed from the list of ended logins, in milliseconds.
FORGET_MS = 3_600_000

_WITHOUT = "jupyter server extension disable jupyter_session_user"


@contextlib.contextmanager
def ends_the_program(log: logging.Logger, without: str = _WITHOUT) -> Iterator[None]:
    """Exit the program on any failure: Jupyter would log it and continue without the extension.

    Kernels would then trust a stamp that a browser forged.

    Args:
        log: The program's log.
        without: The command after which the program starts without this package.
    """
    try:
        yield
    except ConfigurationError as error:
        log.critical("JupyterSessionUser.%s", error)
        raise SystemExit(1) from None
    except Exception as error:
        log.critical(
            "jupyter_session_user cannot start: %s. Fix c.JupyterSessionUser, or run '%s'",
            error,
            without,
            exc_info=not isinstance(error, TraitError),
        )
        raise SystemExit(1) from None


@dataclass(frozen=True, slots=True)
class Host:
    """The services of the program that hosts the components.

    Attributes:
        cookie_secret: Returns the key with which its Tornado signs cookies.
        application: Returns its web application; None until there is one.
        events: Its event logger; None if it has none.
        log: Its log.
        before: Called before each authenticated request.
        operator: Manages sessions from the shell; None if that is not possible.
    """

    cookie_secret: Callable[[], Any]
    application: Callable[[], Any]
    events: Any
    log: logging.Logger
    before: Callable[[], None] = lambda: None
    operator: Operator | None = None


@dataclass(frozen=True, slots=True)
class ServerContext:
    """The wired components of one server.

    Attributes:
        store: Session records.
        capture: Turns requests into records.
        logins: The state of each login.
        gate: Rejects ended logins on every route.
        agents: The tokens that people have given to their agents.
        origin: Finds the user of a server-side client's message.
        kernels: Owners and stamping sessions of kernels.
        bridge: Sends replies and session updates to kernels.
        questions: Which client each kernel asks for input.
        revalidation: Asks the authority again about open logins.
        executions: Records and counts what is run.
        session_policy: How to treat a websocket after its login has ended.
        max_connection_age: Maximum age of a kernel websocket, in seconds; None for no limit.
        websocket_nodelay: Whether kernel websockets send small messages immediately.
        close: Stops the background tasks.
        operator: Manages sessions from the shell; None if that is not possible.
        provider_logout: Receives the ends of logins from the identity provider; None if that is
            not configured.
        identity_tokens: Issues identity tokens; None if that is not configured.
        databases: Gives database logins; None if that is not configured.
        consents: Which services wait for a user's consent; None if no access tokens are configured.
    """

    store: SessionStore
    capture: Capture
    logins: Logins
    gate: Gate
    agents: Agents
    origin: Origin
    kernels: Kernels
    bridge: Bridge
    questions: Questions
    revalidation: Revalidation
    executions: Executions
    session_policy: str
    max_connection_age: float | None
    websocket_nodelay: bool
    close: Callable[[], None]
    operator: Operator | None = None
    provider_logout: ProviderLogout | None = None
    identity_tokens: IdentityTokens | None = None
    databases: Databases | None = None
    consents: Consents | None = None


def build_context(settings: Settings, kernels: MultiKernelManager, host: Host) -> ServerContext:
    """Wire the components of one server, and start following its kernels.

    Args:
        settings: The administrator's settings.
        kernels: The server's kernel manager.
        host: The services of the server.

    Raises:
        ConfigurationError: A setting is invalid.
    """
    separate_other_servers(host.log)
    check("jupyter_server", "jupyterhub", "tornado", "asyncio")
    store = MemoryStore(settings.max_sessions)
    logins = _logins(settings, store, host)
    capture = _capture(settings, store, logins)

    def signed_out(login: KnownLogin) -> None:
        revalidation.ask(login)

    def check_kernel(kernel_id: str, login: Login) -> None:
        followed.check(kernel_id, login)

    subjects = Subjects(logins, host.log)
    gate = Gate(capture, logins, host.before, signed_out, check_kernel, subjects)
    authority = Authority(host.application, gate, capture, tuple(settings.assertion_headers))
    revalidation = _revalidation(settings, logins, authority, host)
    agents = Agents(logins, _now, settings.max_agent_lifetime)
    gate.agents = AgentDoor(agents, authority, revalidation, capture, logins)
    origin = _origin(settings, capture, logins)
    succession = Succession(store, logins)
    audit = Audit(settings, host.events, host.log)
    followed, bridge = _kernels(settings, kernels, host, capture, origin, store, succession)
    _record(audit.executions, followed, bridge, origin, logins)
    asking = Asking(host.application, gate, capture, logins, authority)
    grants = Grants(settings, kernels, followed, asking, host.log).connect(bridge, logins)
    stop = _stopping(_metrics(store, audit, followed), bridge, audit, grants)
    _tell_everybody(logins, bridge, succession, host, capture, grants)
    return ServerContext(
        store,
        capture,
        logins,
        gate,
        agents,
        origin,
        followed,
        bridge,
        Questions(),
        revalidation,
        audit.executions,
        session_policy=settings.expired_session_policy,
        max_connection_age=settings.max_connection_age,
        websocket_nodelay=settings.websocket_nodelay,
        close=_in_background(logins, subjects, revalidation, agents, stop),
        operator=host.operator,
        provider_logout=provider_logout(settings, subjects, logins.ended, host.log),
        identity_tokens=grants.tokens,
        databases=grants.databases,
        consents=grants.consents,
    )


def _capture(settings: Settings, store: SessionStore, logins: Logins) -> Capture:
    sources = Sources(
        resolvers=load_resolvers(settings.resolvers, settings),
        platform=settings.platform_cookie(),
        proxies=settings.networks(),
        claims=frozenset(settings.claims),
        owner=os.environ.get("JUPYTERHUB_USER", ""),  # only the Hub's own logins compare with it
        provider=settings.logout_issuer,
        named_alike=settings.logout_subject == "username",
    )
    admins = frozenset(settings.admin_users)
    utc_now = functools.partial(datetime.now, timezone.utc)
    return Capture(store, settings.policy(), admins, utc_now, logins, sources)


def _origin(settings: Settings, capture: Capture, logins: Logins) -> Origin:
    flags = settings.expired_session_policy == "flag"
    return Origin(capture, (lambda _: None) if flags else logins.over)


def _logins(settings: Settings, store: SessionStore, host: Host) -> Logins:
    def failed(problem: str) -> None:
        if problem:
            host.log.error(
                "The list of ended logins cannot be saved (%s). It holds until this server ends, "
                "and is saved as soon as that is possible. See c.JupyterSessionUser.store_url",
                problem,
            )
        else:
            host.log.warning("The list of ended logins is saved again")

    path = settings.store_password_file
    password = read_private("store_password_file", Path(path).expanduser()) if path else None
    store_of_ended = open_ended(settings.store_url, jupyter_data_dir, failed, password)
    ended = EndedLogins(store_of_ended, _now, settings.realm)
    return Logins(store, ended, _now, settings.limits(), host.log, limit=settings.max_sessions)


def _kernels(
    settings: Settings,
    kernels: MultiKernelManager,
    host: Host,
    capture: Capture,
    origin: Origin,
    store: SessionStore,
    succession: Succession,
) -> tuple[Kernels, Bridge]:
    """Follow the kernels, and open a link to each kernel that has a client."""

    def owns(principal: str, kernel_id: str) -> bool:
        return kernel_id in kernels and followed.has_alone(principal, kernels.get_kernel(kernel_id))

    def gave(kernel_id: str) -> None:
        followed.speakers.give(kernels.get_kernel(kernel_id))

    def visitor(kernel_id: str) -> Record | None:
        return followed.visitor(kernels.get_kernel(kernel_id)) if kernel_id in kernels else None

    def limiter() -> Callable[[], bool]:
        bucket = TokenBucket(settings.comm_rate, settings.comm_burst)
        return lambda: bucket.take(time.monotonic())

    def on_gone(kernel_id: str) -> None:
        bridge.detach(kernel_id)
        store.drop_kernel(kernel_id)

    answers = Answers(store, settings.policy(), owns, visitor, host.cookie_secret, succession, gave)
    bridge = Bridge(answers, limiter, host.log)
    followed = Kernels(
        capture,
        origin,
        bridge.attach,
        on_gone,
        exclusive=settings.exclusive_kernels,
        log=host.log,
        loop=IOLoop.current(),
    )
    followed.watch(kernels)
    # Messages between helper and server are no activity of a kernel. A new list: the trait's
    # default, changed in place, would change for all.
    manager: Any = kernels
    ours = {UPDATE_TYPE, REPLY_TYPE, REQUEST_TYPE} - set(manager.untracked_message_types)
    manager.untracked_message_types = [*manager.untracked_message_types, *sorted(ours)]
    return followed, bridge


def _revalidation(
    settings: Settings, logins: Logins, authority: Authority, host: Host
) -> Revalidation:
    pace = Pace(
        interval=settings.revalidate_interval,
        timeout=settings.revalidate_timeout,
        concurrency=settings.revalidate_concurrency,
        rate=settings.revalidate_rate,
    )
    return Revalidation(logins, authority, pace, monotonic=time.monotonic, log=host.log)


def _record(
    executions: Executions, followed: Kernels, bridge: Bridge, origin: Origin, logins: Logins
) -> None:
    """Let everything that passes or refuses messages say so."""
    followed.executions = bridge.answers.executions = executions
    origin.on_refused = executions.on_refused
    logins.on_change(executions.on_change)


def _tell_everybody(
    logins: Logins,
    bridge: Bridge,
    succession: Succession,
    host: Host,
    capture: Capture,
    grants: Grants,
) -> None:
    def tell_kernels(event: str, record: Record) -> None:
        for kernel_id in succession.kernels_of(record, bridge.kernels()):
            bridge.send_update(kernel_id, event, record.session)

    logins.on_change(tell_kernels)
    events = SessionEvents(host.events, host.log, capture.may_see)
    logins.on_change(events)
    if grants.consents is not None:
        grants.consents.changed = events


def _in_background(
    logins: Logins,
    subjects: Subjects,
    revalidation: Revalidation,
    agents: Agents,
    stop: Callable[[], None],
) -> Callable[[], None]:
    """Start watching the logins; return a function that stops all background tasks."""

    def look() -> None:
        logins.tick()
        agents.prune()
        revalidation.ask_those_due()

    loop = asyncio.get_event_loop()
    watch = Watch(logins.known, look, loop)
    forgetting = PeriodicCallback(logins.ended.forget, FORGET_MS)
    forgetting.start()

    def run(function: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(function)

    logins.ended.follow(subjects.ended_elsewhere, run)

    def close() -> None:
        watch.close()
        forgetting.stop()
        revalidation.close()
        stop()
        logins.ended.close()

    return close


def _metrics(store: SessionStore, audit: Audit, followed: Kernels) -> Metrics:
    metrics = Metrics(store, audit.executions.counts, followed.senders.seen, audit.file)
    metrics.start()
    return metrics


def _stopping(metrics: Metrics, bridge: Bridge, audit: Audit, grants: Grants) -> Callable[[], None]:
    def stop() -> None:
        metrics.close()
        bridge.close()
        audit.close()
        grants.close()

    return stop


def _now() -> Moment:
    return Moment(wall=time.time(), monotonic=time.monotonic())
