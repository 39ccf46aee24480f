"""Gets access tokens of the institution: decides which kernel may have one, for which user.

Rules of this file:
- a token is about the user of one login of this server that is open now, on the kernel that asks;
- a kernel that may run other users' code gets none, unless the administrator allows it for that
  service. An agent gets none, since the token could not say that an agent has it;
- the rules count when the answer leaves, too: the provider may have taken seconds;
- the provider is asked once for all who ask at the same time, and its answer counts for one login
  of one user until shortly before its end. The end of that login forgets it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from jupyter_session_user.core.exchange_terms import EXCHANGE, REFRESH
from jupyter_session_user.core.login_tokens import LoginTokens
from jupyter_session_user.core.secret import Secret
from jupyter_session_user.core.session import OVER
from jupyter_session_user.core.token_exchange import Issued, kept_for
from jupyter_session_user.errors import AccessTokenUnavailable, ConsentRequired, SessionExpired
from jupyter_session_user.server.auth.consents import Consents, LoginPage
from jupyter_session_user.server.auth.named import is_named

if TYPE_CHECKING:
    import logging

    from jupyter_session_user.server.auth.login_tokens.base import TokenSource
    from jupyter_session_user.server.auth.token_provider import TokenProvider
    from jupyter_session_user.store.base import Record

__all__ = ["AccessTokens"]

#: A kernel waits 5 s for an answer.
_ANSWER_S = 4.0
_MAX_KEPT = 4096
_UNKNOWN_PAGE = (
    ". This server does not know the page for that: its administrator can set login_url in "
    "c.JupyterSessionUser.token_exchange"
)
_T = TypeVar("_T")


class _Key(NamedTuple):
    """What a token is kept for. Hashes, and the name of the entry."""

    login: str
    principal: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """A token, and until when it is given again, in monotonic seconds."""

    token: Secret
    until: float


class AccessTokens:
    """The access tokens that one server gets for its users.

    Args:
        providers: The clients of the identity providers, by the name of the entry.
        source: Has the tokens of logins.
        may_use: ``(record, kernel_id, shared) -> bool``: whether that user may use secrets on that
            kernel; ``shared``: whether kernels with several users count.
        login_page: Returns where the user of a record can log in again.
        log: Log for failures, without tokens.
        monotonic: A clock, in seconds.

    Attributes:
        consents: Which services wait for the consent of a login's user.
    """

    def __init__(
        self,
        providers: Mapping[str, TokenProvider],
        source: TokenSource,
        may_use: Callable[[Record, str, bool], bool],
        login_page: Callable[[Record], LoginPage],
        log: logging.Logger,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._providers = providers
        self._source = source
        self._may_use = may_use
        self._login_page = login_page
        self._log = log
        self._monotonic = monotonic
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._asking: dict[_Key, asyncio.Task[_Kept]] = {}
        #: A refresh token may count once, so those of one login are used one after the other.
        self._turns: dict[str, asyncio.Lock] = {}
        self.consents = Consents()

    async def give(self, record: Record, name: str, kernel_id: str) -> dict[str, Any]:
        """Return a token for the kernel that asks.

        Args:
            record: The user's session, open at this moment.
            name: The name of the entry in the setting.
            kernel_id: The kernel.

        Returns:
            ``token``, and ``seconds`` that the kernel may use it again.

        Raises:
            AccessTokenUnavailable: This kernel gets no such token.
            ConsentRequired: The user has to agree, or to log in again.
            SessionExpired: The login ends at this moment.
        """
        self._check(record, name, kernel_id)
        key = _Key(record.key, record.principal, name)
        kept = self._kept.get(key)
        if kept is None or kept.until <= self._monotonic():
            try:
                kept = await self._answer(key, record)
            except ConsentRequired:
                link = self._providers[name].terms.login_url or self._login_page(record).link
                self.consents.require(record, name, link)
                raise
        self._check(record, name, kernel_id)
        if self._kept.get(key) is not kept:
            raise SessionExpired("the login is over")
        self.consents.give(record, name)
        return {
            "token": kept.token.reveal(),
            "seconds": max(0, int(kept.until - self._monotonic())),
        }

    def on_change(self, event: str, record: Record) -> None:
        """Forget what belongs to a login that is over; a listener for changes of logins."""
        del event
        state = record.session.state
        if state not in OVER:
            return
        self.consents.forget(record.key)
        for key in [key for key in self._kept if key.login == record.key]:
            del self._kept[key]
        tasks = [self._asking.pop(key) for key in list(self._asking) if key.login == record.key]
        if state != "expired":  # it may come back
            self._source.forget(record)
            for task in tasks:  # it may have a new refresh token
                task.add_done_callback(lambda _: self._source.forget(record))

    def close(self) -> None:
        """Forget all tokens, and ask no more."""
        for task in self._asking.values():
            task.cancel()
        self._asking.clear()
        self._kept.clear()
        self._source.close()

    # ------------------------------------------------------------------------------ rules

    def _check(self, record: Record, name: str, kernel_id: str) -> None:
        provider = self._providers.get(name)
        if provider is None:
            raise AccessTokenUnavailable(
                f"this server gives no access tokens for {name[:128]!r}; its administrator can add "
                "it to c.JupyterSessionUser.token_exchange",
                reason="audience",
            )
        if record.session.actor is not None or record.credential == "agent":
            raise AccessTokenUnavailable(
                "an agent asks, and the identity provider's token would name you alone; call "
                "get_access_token() yourself, in a kernel of your own",
                reason="agent",
            )
        if not is_named(record):
            raise AccessTokenUnavailable(
                "this server has not authenticated the user by name, so it gets no token with that "
                "user's rights; log in with an account",
                reason="not_verified",
            )
        if not self._may_use(record, kernel_id, provider.terms.shared_kernels):
            raise AccessTokenUnavailable(
                "another user started this kernel, or has sent messages to it, and could use your "
                "access token; call get_access_token() in a kernel of your own",
                reason="shared_kernel",
            )

    # ------------------------------------------------------------------------------ asking

    async def _answer(self, key: _Key, record: Record) -> _Kept:
        """Return the answer to all who ask now."""
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.ensure_future(self._ask(key, record))
            task.add_done_callback(lambda done: self._asked(key, done))
        done, _ = await asyncio.wait({task}, timeout=_ANSWER_S)
        if not done:
            raise AccessTokenUnavailable(
                f"the identity provider did not answer within {_ANSWER_S:g} s; try again",
                reason="unreachable",
            )
        if task.cancelled():
            raise SessionExpired("the login is over")
        return task.result()

    def _asked(self, key: _Key, task: asyncio.Task[_Kept]) -> None:
        if self._asking.get(key) is task:
            del self._asking[key]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.warning(
                "JupyterSessionUser: no access token for %r: %s",
                *(key.name, getattr(error, "code", type(error).__name__)),
            )

    async def _ask(self, key: _Key, record: Record) -> _Kept:
        provider = self._providers[key.name]
        try:
            issued = await self._issued(provider, record)
        except ConsentRequired as needed:
            url = provider.terms.login_url or self._login_page(record).url
            where = f": open {url}" if url else _UNKNOWN_PAGE
            raise ConsentRequired(f"{needed}{where}", login_url=url) from None
        kept = _Kept(issued.token, self._monotonic() + kept_for(issued.seconds))
        if self._asking.get(key) is asyncio.current_task():  # else the login has ended meanwhile
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        return kept

    async def _issued(self, provider: TokenProvider, record: Record) -> Issued:
        grant = await provider.grant()
        if grant == EXCHANGE:
            return _some(await provider.issue(grant, await self._fresh(provider, record)))
        async with self._turn(record):
            tokens = await self._tokens(record)
            issued = _some(await provider.issue(REFRESH, tokens))
            new = issued.tokens.refresh_token
            if new is not None and new != tokens.refresh_token:
                await self._source.keep(record, _with(tokens, issued.tokens))
            return issued

    async def _fresh(self, provider: TokenProvider, record: Record) -> LoginTokens:
        """Return the tokens of the login, with an access token that has not ended."""
        tokens = await self._tokens(record)
        if not tokens.has_ended(time.time()):
            return tokens
        if not self._source.refreshes:
            raise ConsentRequired(
                f"your login's token at the identity provider has ended, so it gives no access "
                f"token for {provider.terms.name!r}. Reload the page, or log in again"
            )
        async with self._turn(record):
            tokens = await self._tokens(record)
            if tokens.has_ended(time.time()):  # another entry's request may have renewed it
                tokens = await provider.renew(tokens)
                await self._source.keep(record, tokens)
            return tokens

    async def _tokens(self, record: Record) -> LoginTokens:
        return _some(await self._source.tokens(record))

    def _turn(self, record: Record) -> asyncio.Lock:
        if len(self._turns) > _MAX_KEPT:
            self._turns = {key: lock for key, lock in self._turns.items() if lock.locked()}
        return self._turns.setdefault(record.key, asyncio.Lock())


def _some(found: _T | None) -> _T:
    """Return what was found.

    Raises:
        AccessTokenUnavailable: Nothing was.
    """
    if found is None:
        raise AccessTokenUnavailable(
            "this server has no tokens of your login that it could exchange: the login began "
            "before the server's last start, or the identity provider hands none over. Log out, "
            "and log in again; if that does not help, ask the administrator to look at "
            "c.JupyterSessionUser.login_tokens",
            reason="no_tokens",
        )
    return found


def _with(tokens: LoginTokens, new: LoginTokens) -> LoginTokens:
    """Return a login's tokens after its refresh token was used for a service's token."""
    return LoginTokens(tokens.access_token, new.refresh_token, tokens.id_token, tokens.ends_at)
