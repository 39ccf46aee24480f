"""Gives kernels database logins: decides which kernel may have one, and ends each one.

Rules of this file:
- a login is about the user of one login of this server that is open now, on the kernel that asks;
- a kernel that may run other users' code gets none, and what it has ends as soon as another user
  joins, before the other user's first message. So does what it has when its user's login ends;
- the rules count when the answer leaves, too: the database may have taken seconds;
- nothing here waits for a database: threads do, a few at a time, each with a deadline.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_session_user.core.database_login import (
    DatabaseTerms,
    is_fresh,
    login_role,
    role_of,
    terms_of,
)
from jupyter_session_user.core.session import OVER
from jupyter_session_user.errors import DatabaseUnavailable, SessionExpired
from jupyter_session_user.server.auth.named import exact_end, is_named
from jupyter_session_user.server.auth.postgres import Draft, NoRole, Postgres

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.store.base import Record

__all__ = ["Databases", "databases"]

_THREADS = 4
#: Logins that are being made; further ones are refused.
_MAX_WAITING = 64
#: A kernel waits 5 s for an answer.
_ANSWER_S = 4.0
_RETRY_S = (0.5, 1, 2, 5, 10, 30, 60)
#: How long the end of the server may wait for the databases, in seconds.
_CLOSE_S = 5.0
#: Another server may still end its own login, and clocks differ.
_LEFT_BEHIND_S = 120


@dataclass(eq=False, slots=True)
class _Login:
    """One login role, from the first request for it until its end."""

    database: str
    kernel_id: str
    session_id: str
    login: str
    name: str
    password: str = field(repr=False)
    seconds: int
    until: float
    made: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    over: bool = False

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is lent again for."""
        return self.kernel_id, self.session_id, self.database


class Databases:
    """The logins of one server.

    Args:
        terms: What the administrator allows, by the database's name.
        is_alone: ``(record, kernel_id) -> bool``: whether this user started that kernel, and no
            other has ever used it.
        log: Log for failures.

    Raises:
        ConfigurationError: A connection string is malformed, or psycopg is missing.
    """

    def __init__(
        self,
        terms: Mapping[str, DatabaseTerms],
        is_alone: Callable[[Record, str], bool],
        log: logging.Logger,
    ) -> None:
        self._terms = terms
        self._databases = {name: Postgres(name, each) for name, each in terms.items()}
        self._is_alone = is_alone
        self._log = log
        self._threads = futures.ThreadPoolExecutor(_THREADS, "jupyter-session-user-database")
        self._lent: dict[tuple[str, str, str], _Login] = {}
        self._all: set[_Login] = set()
        self._ending: dict[asyncio.Task[None], str] = {}
        self._waiting = 0

    async def lend(self, record: Record, database: str, kernel_id: str) -> dict[str, Any]:
        """Return a login for the kernel that asks, the same one until shortly before its end.

        Args:
            record: The user's session, open at this moment.
            database: Its name in the settings.
            kernel_id: The kernel.

        Returns:
            ``address``, ``user``, ``password``, and ``seconds`` that the password counts.

        Raises:
            DatabaseUnavailable: This kernel gets no such login.
            SessionExpired: The login ends at this moment.
        """
        self._check(record, database, kernel_id)
        login = self._lent.get((kernel_id, record.session.id, database))
        left = 0.0 if login is None else login.until - time.monotonic()
        if login is None or not is_fresh(left, login.seconds):
            login = self._begin(record, database, kernel_id)
        if login.made is not None:
            done, _ = await asyncio.wait({login.made}, timeout=_ANSWER_S)
            if not done:
                raise _unreachable()
            login.made.result()
        self._check(record, database, kernel_id)
        if login.over:
            raise SessionExpired("the login is over")
        return {
            "address": self._databases[database].address,
            "user": login.name,
            "password": login.password,
            "seconds": max(0, int(login.until - time.monotonic())),
        }

    def left_behind(self) -> None:
        """Start to end what a crashed server has left in the databases; only the log tells."""
        for name in self._databases:
            task = asyncio.ensure_future(self._sweep(name))
            self._ending[task] = ""
            task.add_done_callback(lambda done: self._ending.pop(done, None))

    def on_change(self, event: str, record: Record) -> None:
        """End the logins of a login of this server that is over."""
        del event
        if record.session.state in OVER:
            self._end_where(lambda each: each.login == record.key)

    def kernel_changed(self, kernel_id: str) -> None:
        """End the logins of a kernel that another user joins, or that is gone."""
        self._end_where(lambda each: each.kernel_id == kernel_id)

    async def settled(self, kernel_id: str) -> bool:
        """Wait until the ended logins of a kernel are worth nothing; tell whether they are."""
        tasks = [task for task, kernel in self._ending.items() if kernel == kernel_id]
        return not tasks or not (await asyncio.wait(tasks, timeout=_ANSWER_S))[1]

    def is_unsettled(self, kernel_id: str) -> bool:
        """Tell whether an ended login of a kernel may still be worth something."""
        return kernel_id in self._ending.values()

    def close(self) -> None:
        """End all logins, and wait for that for a few seconds."""
        for task in list(self._ending):
            task.cancel()
        logins, self._all = self._all, set()
        pending = []
        for name, database in self._databases.items():
            roles = [each.name for each in logins if each.database == name]
            if roles:
                pending.append(self._threads.submit(database.end, roles))
        for each in logins:
            _finish(each)
        _, late = futures.wait(pending, _CLOSE_S)
        if late:
            self._log.warning("JupyterSessionUser: a database does not answer; logins remain in it")
        self._threads.shutdown(wait=False, cancel_futures=True)

    # ------------------------------------------------------------------------------ rules

    def _check(self, record: Record, database: str, kernel_id: str) -> None:
        if database not in self._terms:
            raise DatabaseUnavailable(
                f"this server knows no database {database[:64]!r}; its administrator can add it to "
                "c.JupyterSessionUser.databases",
                reason="unknown_database",
            )
        if not is_named(record):
            raise DatabaseUnavailable(
                "this server has not authenticated the user by name, so it can ask no database for "
                "that user's rights; log in with an account",
                reason="not_verified",
            )
        if not self._is_alone(record, kernel_id):
            raise DatabaseUnavailable(
                "another user started this kernel, or has sent messages to it, and could read the "
                "database as you; call connect_as_user() in a kernel of your own",
                reason="shared_kernel",
            )

    # ------------------------------------------------------------------------------ making

    def _begin(self, record: Record, database: str, kernel_id: str) -> _Login:
        terms = self._terms[database]
        person = role_of(terms.role, record.session.user.username)
        if person is None:
            raise NoRole("cannot be the name of a user's role")
        if self._waiting >= _MAX_WAITING:
            raise _unreachable()
        now, end = time.time(), exact_end(record.session)
        seconds = terms.lifetime if end is None else min(terms.lifetime, int(end - now))
        if seconds <= 0:
            raise SessionExpired("the login is over")
        whole = seconds + terms.connection_lifetime
        login = _Login(
            database=database,
            kernel_id=kernel_id,
            session_id=record.session.id,
            login=record.key,
            name=login_role(now + whole, secrets.token_hex(12)),
            password=secrets.token_urlsafe(32),
            seconds=seconds,
            until=time.monotonic() + seconds,
        )
        actor = record.session.actor
        through = "" if actor is None else f" through the agent {actor.client_id}"
        comment = f"jupyter-session-user: {record.session.user.username}{through}"
        draft = Draft(login.name, login.password, person, seconds, comment)
        self._lent[login.key] = login
        self._all.add(login)
        login.made = asyncio.ensure_future(self._make(login, draft))
        login.made.add_done_callback(lambda task: task.cancelled() or task.exception())
        loop = asyncio.get_running_loop()
        login.timer = loop.call_later(whole, self._end_where, lambda each: each is login)
        return login

    async def _make(self, login: _Login, draft: Draft) -> None:
        database = self._databases[login.database]
        self._waiting += 1
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, database.make, draft)
        except NoRole as refusal:
            self._forget(login)
            self._log.warning(
                "JupyterSessionUser: no login at the database %s: the role %r %s",
                *(login.database, draft.person, refusal.why),
            )
            raise
        except Exception as error:  # noqa: BLE001 - also what psycopg does not name
            failure = error
        else:
            self._log.info(
                "JupyterSessionUser: made the login %s at the database %s for %r",
                *(login.name, login.database, draft.person),
            )
            return
        finally:
            self._waiting -= 1
        self._log.warning(
            "JupyterSessionUser: the database %s made no login: %s",
            *(login.database, _reason(failure)),
        )
        self._end_where(lambda each: each is login)  # it may have made it all the same
        raise _unreachable()

    # ------------------------------------------------------------------------------ ending

    def _forget(self, login: _Login) -> None:
        _finish(login)
        self._all.discard(login)
        if self._lent.get(login.key) is login:
            del self._lent[login.key]

    def _end_where(self, applies: Callable[[_Login], bool]) -> None:
        for login in [each for each in self._all if applies(each)]:
            self._forget(login)
            task = asyncio.ensure_future(self._end(login))
            self._ending[task] = login.kernel_id
            task.add_done_callback(lambda done: self._ending.pop(done, None))

    async def _end(self, login: _Login) -> None:
        database = self._databases[login.database]
        loop = asyncio.get_running_loop()
        made = login.made
        if made is not None and not made.done():
            await asyncio.wait({made})
        attempt = 0
        while True:
            try:
                remain = await loop.run_in_executor(self._threads, database.end, [login.name])
            except Exception as error:  # noqa: BLE001 - whatever it is, try again
                self._log.warning(
                    "JupyterSessionUser: the login %s at the database %s has not ended yet: %s",
                    *(login.name, login.database, _reason(error)),
                )
            else:
                for name in remain:
                    self._log.warning(_REMAINS, name, login.database)
                return
            await asyncio.sleep(_RETRY_S[min(attempt, len(_RETRY_S) - 1)])
            attempt += 1

    async def _sweep(self, name: str) -> None:
        before = time.time() - _LEFT_BEHIND_S
        loop = asyncio.get_running_loop()
        try:
            count, is_superuser = await loop.run_in_executor(
                self._threads, self._databases[name].sweep, before
            )
        except Exception as error:  # noqa: BLE001 - the server starts without its databases
            self._log.warning(
                "JupyterSessionUser: the database %s is not usable now: %s", name, _reason(error)
            )
            return
        if count:
            self._log.info("JupyterSessionUser: ended %d old logins at %s", count, name)
        if is_superuser:
            self._log.warning(_SUPERUSER, name)


def databases(
    settings: Mapping[str, Any],
    is_alone: Callable[[Record, str], bool],
    log: logging.Logger,
    *,
    kernels_elsewhere: bool,
) -> Databases | None:
    """Return the giver of logins; None if the administrator names no database.

    Args:
        settings: The setting ``databases``.
        is_alone: As for ``Databases``.
        log: Log for warnings.
        kernels_elsewhere: Whether a gateway runs the kernels.

    Raises:
        ConfigurationError: A setting cannot work.
    """
    if not settings:
        return None
    made = Databases({name: terms_of(name, each) for name, each in settings.items()}, is_alone, log)
    if not kernels_elsewhere:
        log.warning(_SAME_ACCOUNT)
    made.left_behind()
    return made


def _finish(login: _Login) -> None:
    login.over, login.password = True, ""
    if login.timer is not None:
        login.timer.cancel()


def _reason(error: Exception) -> str:
    """Return what went wrong, without text that may quote a statement or a connection string."""
    state = getattr(error, "sqlstate", None)
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return f"{type(error).__name__} {state or ''} {primary or ''}".strip()


def _unreachable() -> DatabaseUnavailable:
    return DatabaseUnavailable(
        "the database does not answer in time, or cannot make a login now; try again, and ask the "
        "administrator to look at the server's log",
        reason="unreachable",
    )


_REMAINS = (
    "JupyterSessionUser: the role %s at the database %s is worth nothing any more, but owns "
    "objects in another database of that server: remove them with DROP OWNED there"
)
_SUPERUSER = (
    "JupyterSessionUser: the dsn of the database %s names a superuser; a role with CREATEROLE is "
    "enough, see docs/database.md"
)
_SAME_ACCOUNT = (
    "JupyterSessionUser: the kernels of this server run as its own account, and can read the "
    "connection strings in its configuration: their code can then make a login for any user. Run "
    "the kernels as other accounts, for example behind a gateway, unless all users trust each "
    "other."
)
