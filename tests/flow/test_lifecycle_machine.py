"""Any order of login events, on a real server with a real kernel, against a model.

The model is plain Python and knows nothing of the server's code: when a login may act, and as which
user. The server's clocks stand still unless the machine moves them, so the model gives the exact
result, and not the approximate time.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from local_server import LocalServer
from people import LEGACY, V1, KernelSocket, Person
from servers import DEMO, EXTENSION, PASSWORDS, no_traceback, own_server, until_it_answers
from tornado.httpclient import HTTPClientError

#: The minimum number of steps in total. Hypothesis ends some examples early.
STEPS = 5_000
EXAMPLES, STEPS_PER_EXAMPLE = 98, 70
TIMEOUT_S = 900  # a failure is shortened, which takes Hypothesis some minutes
PATIENCE_S = 60

IDLE_S, ABSOLUTE_S = 1_000, 5_000
RECONNECT = 4400
TABS = 6
BROWSERS = ("alice at home", "alice at work", "bob at home", "bob at work")
ADMIN = "alice"
OVER = {"expired": "SessionExpired", "revoked": "SessionRevoked", "signed_out": "SessionRevoked"}

TOKEN = "the-observers-own"
OPTIONS = (
    *DEMO[1:],
    "--ServerApp.identity_provider_class=clock_extension.RemovingIdentityProvider",
    "--DemoIdentityProvider.token_visitors=True",
    f"--IdentityProvider.token={TOKEN}",
    "--JupyterSessionUser.jwt_cookie=ticket",
    f"--JupyterSessionUser.idle_timeout={IDLE_S}",
    f"--JupyterSessionUser.absolute_timeout={ABSOLUTE_S}",
    "--JupyterSessionUser.revalidate_interval=None",
    f"--JupyterSessionUser.admin_users={ADMIN}",
)

SETUP = """
import json
import jupyter_session_user as _jsu
_ran = []
def _cell(number):
    name = _jsu.get_current_user().username
    _ran.append([number, name])
    print(name)
"""

browsers = st.sampled_from(BROWSERS)
jumps = st.sampled_from((1, 300, 600, 999, 1_000, 4_000))


# ---------------------------------------------------------------------------------- the model


@dataclass
class Clocks:
    """The times of the server's clocks."""

    wall: float
    monotonic: float

    def copy(self) -> Clocks:
        """Return the present times of the clocks."""
        return Clocks(self.wall, self.monotonic)

    def passed(self, since: Clocks) -> float:
        """Return the elapsed seconds, by the clock that shows more."""
        return max(self.wall - since.wall, self.monotonic - since.monotonic)


@dataclass(eq=False)
class Login:
    """A login, and its state in the model."""

    person: str
    cookies: dict[str, str] = field(repr=False)
    since: Clocks
    active_at: Clocks
    session: str = ""
    state: str = "active"
    for_good: bool = False
    told_end: float | None = None  # as in the latest token
    deadline: float = 0.0  # the same on the other clock, when the token was first sent

    def timed_out(self, now: Clocks) -> bool:
        """Tell whether a timeout of the server's own has passed."""
        return now.passed(self.since) >= ABSOLUTE_S or now.passed(self.active_at) >= IDLE_S

    def ran_out(self, now: Clocks) -> bool:
        """Tell whether the end that the token names has come."""
        if self.told_end is None:
            return False
        return now.wall >= self.told_end or now.monotonic >= self.deadline

    def look(self, now: Clocks) -> None:
        """Apply timeouts."""
        if self.state == "active" and (self.timed_out(now) or self.ran_out(now)):
            self.state = "expired"
        if self.state == "expired" and self.timed_out(now):
            self.for_good = True

    def end(self, state: str) -> None:
        """End the login permanently; the first such end is the one reported."""
        self.for_good = True
        if self.state in {"active", "expired"}:
            self.state = state

    def touch(self, now: Clocks) -> None:
        """Record user activity."""
        if self.state == "active":
            self.active_at = now.copy()


@dataclass(eq=False)
class Browser:
    """One browser."""

    person: str
    client: Person = field(repr=False)
    login: Login | None = None
    ticket_end: float | None = None


@dataclass(eq=False)
class Tab:
    """One open kernel websocket; its rights are those of its login, not of its browser."""

    login: Login
    socket: KernelSocket


# ------------------------------------------------------------------------ the driven server


@dataclass
class Stage:
    """Shared by all examples: one server, one kernel, and its observer."""

    server: LocalServer
    loop: asyncio.AbstractEventLoop
    observer: Person
    kernel: str = ""
    seen: KernelSocket | None = None
    start: float = 0.0
    restarts: int = 0
    steps: Counter[str] = field(default_factory=Counter)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end."""
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, PATIENCE_S))

    async def open(self) -> None:
        """Start the kernel and its observer."""
        self.kernel = await self.observer.start_kernel()
        self.observer.cookies.clear()  # or it would be a login like any other
        self.seen = await self.observer.connect(self.kernel)
        await self.seen.execute(SETUP)

    async def close(self) -> None:
        """End the kernel."""
        assert self.seen is not None
        await self.seen.close()
        await self.observer.fetch(f"api/kernels/{self.kernel}", method="DELETE")

    async def ran(self) -> list[list[Any]]:
        """Return the cells that have run since the last call, with their users."""
        assert self.seen is not None
        result = await self.seen.execute("print(json.dumps(_ran)); _ran.clear()")
        assert not result.errors, result.errors
        answer: list[list[Any]] = json.loads(result.text)
        return answer

    async def clocks(self, wall: float = 0, monotonic: float = 0, *, look: bool) -> Clocks:
        """Move the server's clocks."""
        self.observer.cookies.clear()
        body = {"wall": wall, "monotonic": monotonic, "look": look}
        now = await self.observer.json("api/clock", method="POST", body=body)
        return Clocks(**now)

    async def as_at_the_start(self) -> Clocks:
        """Set the wall clock back to its earlier time."""
        now = await self.clocks(look=True)
        self.start = self.start or now.wall
        return await self.clocks(self.start - now.wall, look=True)

    async def let_in_all_but(self, removed: set[str]) -> None:
        """Remove users at the provider, or add them again; the server asks the provider at once."""
        self.observer.cookies.clear()
        body = {"removed": sorted(removed)}
        await self.observer.json("api/clock/people", method="POST", body=body)


@contextmanager
def staged(*options: str) -> Iterator[Stage]:
    """Run the server and its kernel for the block."""
    loop = asyncio.new_event_loop()
    extensions = (EXTENSION, "clock_extension")
    try:
        with own_server(*OPTIONS, *options, extensions=extensions) as running:
            headers = {"Authorization": f"token {TOKEN}"}
            stage = Stage(running, loop, Person(running.url, headers))
            stage.run(stage.open())
            yield stage
            stage.run(stage.close())
    finally:
        loop.close()


def ticket(end: float) -> str:
    """Return an unsigned JWT that says when a login ends."""
    parts = [json.dumps(part).encode() for part in ({"alg": "none"}, {"exp": end})]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + "."


def steps(function: Callable[..., None]) -> Callable[..., None]:
    """Count a rule's runs, and note whether one failed."""

    def counted(self: Machine, **drawn: Any) -> None:
        self.sound = False
        function(self, **drawn)
        self.sound = True
        self.stage.steps[function.__name__] += 1

    counted.__doc__, counted.__name__ = function.__doc__, function.__name__
    return counted


# -------------------------------------------------------------------------------- the machine


class Machine(RuleBasedStateMachine):
    """Two users with two browsers each, and actions in any order."""

    stage: ClassVar[Stage]

    def __init__(self) -> None:
        super().__init__()
        self.may_restart, self.sound = False, True
        self.removed: set[str] = set()
        self.logins: list[Login] = []
        self.tabs: list[Tab] = []
        self.left_behind: list[Tab] = []
        self.expected: list[list[Any]] = []
        self.cells = 0
        self.clocks: Clocks = self.run(self.stage.as_at_the_start())
        self.browsers = {name: self._browser(name) for name in BROWSERS}

    def _browser(self, name: str) -> Browser:
        return Browser(name.partition(" ")[0], Person(self.stage.server.url))

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine to its end."""
        return self.stage.run(coroutine)

    # ------------------------------------------------------------------ the model's rules

    def lets_in(self, browser: Browser, *, active: bool) -> bool:
        """Tell whether a request of this browser must be accepted, and apply its effects."""
        login, now = browser.login, self.clocks
        if login is None or browser.person in self.removed:
            return False
        login.look(now)
        if login.for_good or (browser.ticket_end or now.wall + 1) <= now.wall:
            return False
        self._learn(login, browser.ticket_end)
        if login.state == "expired" and not self._revives(login):
            return False
        if active:
            login.touch(now)
        return True

    def _learn(self, login: Login, told_end: float | None) -> None:
        if told_end is not None and told_end != login.told_end:
            login.told_end = told_end
            login.deadline = self.clocks.monotonic + told_end - self.clocks.wall

    def _revives(self, login: Login) -> bool:
        """Make a login valid again that the authority accepts, unless its time is over.

        The login's open tabs are closed, and a new handshake names the browser's user.
        """
        if login.for_good or login.timed_out(self.clocks) or login.ran_out(self.clocks):
            return False
        login.state = "active"
        self._leave_behind(login)
        return True

    def _leave_behind(self, login: Login) -> None:
        self.left_behind += [tab for tab in self.tabs if tab.login is login]
        self.tabs = [tab for tab in self.tabs if tab.login is not login]

    def expect(self, tab: Tab, number: int) -> tuple[str, str]:
        """Return the expected result of a cell: its output, or the name of its error."""
        login = tab.login
        login.look(self.clocks)
        if login.state != "active":
            return "", OVER[login.state]
        login.touch(self.clocks)
        self.expected.append([number, login.person])
        return f"{login.person}\n", ""

    # ------------------------------------------------------------------------- actions

    @initialize(restarts=st.booleans())
    def begin(self, restarts: bool) -> None:
        """Log all users in and open a tab each: most of the actions need these."""
        self.may_restart = restarts  # once: it takes as long as a hundred other steps
        for number, browser in enumerate(self.browsers.values()):
            self.run(self._log_in(browser))
            self._open(browser, (V1, LEGACY)[number % 2])
        if not self.stage.restarts:  # drawn at random, it might be refused in every example
            self.may_restart = True
            self.restart(name=BROWSERS[0])

    @rule(name=browsers)
    @steps
    def log_in(self, name: str) -> None:
        """Log in with the form, which ends the browser's earlier login; its tabs reconnect."""
        browser = self.browsers[name]
        former = browser.login if self.lets_in(browser, active=True) else None
        self.run(self._log_in(browser))
        if former is not None and browser.login is not None:
            former.end("expired")
            self._leave_behind(former)

    async def _log_in(self, browser: Browser) -> None:
        old = dict(browser.client.cookies)
        browser.client.cookies.pop("ticket", None)
        browser.ticket_end = None
        try:
            await browser.client.log_in(PASSWORDS[browser.person], browser.person)
        except RuntimeError:
            assert browser.person in self.removed
            browser.client.cookies, browser.login = {}, None
            return
        assert browser.client.cookies != old
        now = self.clocks
        login = Login(browser.person, dict(browser.client.cookies), now.copy(), now.copy())
        browser.login = login
        self.logins.append(login)
        login.session = (await browser.client.json("api/session-user/me"))["id"]

    @rule(name=browsers)
    @steps
    def log_out(self, name: str) -> None:
        """Go to the logout page; the browser forgets its cookie."""
        browser = self.browsers[name]
        if self.lets_in(browser, active=False):
            browser.login.end("signed_out")
        assert self.run(browser.client.fetch("logout")).code == 200
        assert not any(cookie.startswith("username-") for cookie in browser.client.cookies)
        self._forget(browser)

    def _forget(self, browser: Browser) -> None:
        browser.login, browser.ticket_end = None, None
        browser.client.cookies.pop("ticket", None)

    @rule(data=st.data(), name=browsers)
    @steps
    def replay(self, data: st.DataObject, name: str) -> None:
        """Replay a copied cookie of any login of this user, ended or not."""
        browser = self.browsers[name]
        kept = [login for login in self.logins if login.person == browser.person]
        browser.login = data.draw(st.sampled_from(kept), "login")
        browser.client.cookies, browser.ticket_end = dict(browser.login.cookies), None
        self._ask(browser)

    @rule(name=browsers)
    @steps
    def ask(self, name: str) -> None:
        """Ask the server for the current user: the name, or a refusal."""
        self._ask(self.browsers[name])

    def _ask(self, browser: Browser) -> None:
        good = self.lets_in(browser, active=False)
        answer = self.run(browser.client.fetch("api/session-user/me"))
        assert answer.code == (200 if good else 403), browser.login
        if good:
            assert json.loads(answer.body)["user"]["username"] == browser.person
        self._check_cookie(browser)

    @rule(name=browsers, left=st.sampled_from((1, 300, 2_000, 9_000)))
    @steps
    def get_ticket(self, name: str, left: int) -> None:
        """Have the authority state an exact end of this login, perhaps later than before."""
        self._get_ticket(self.browsers[name], left)

    def _get_ticket(self, browser: Browser, left: int) -> None:
        browser.ticket_end = self.clocks.wall + left
        browser.client.cookies["ticket"] = ticket(browser.ticket_end)
        self._ask(browser)

    @rule(name=browsers, left=st.sampled_from((1, 300)), back=st.sampled_from((0, 301)))
    @steps
    def expire(self, name: str, left: int, back: int) -> None:
        """Let such an end pass, perhaps while the wall clock is set back."""
        browser = self.browsers[name]
        self._get_ticket(browser, left)
        self._move(left - back, left, look=False)
        self._ask(browser)

    @precondition(lambda self: len(self.tabs) < TABS)
    @rule(name=browsers, protocol=st.sampled_from((V1, LEGACY)))
    @steps
    def open_tab(self, name: str, protocol: str | None) -> None:
        """Open a websocket with this browser's cookies; the server may refuse it."""
        self._open(self.browsers[name], protocol)

    def _open(self, browser: Browser, protocol: str | None) -> None:
        good = self.lets_in(browser, active=False)  # pages open them again by themselves
        socket = self.run(self._connect(browser, protocol))
        assert (socket is not None) == good, browser.login
        if socket is not None and browser.login is not None:
            self.tabs.append(Tab(browser.login, socket))

    async def _connect(self, browser: Browser, protocol: str | None) -> KernelSocket | None:
        try:
            return await browser.client.connect(self.stage.kernel, protocol=protocol)
        except HTTPClientError as error:
            if error.code != 403:
                raise
            return None

    @precondition(lambda self: self.tabs)
    @rule(data=st.data())
    @steps
    def close_tab(self, data: st.DataObject) -> None:
        """Close one websocket."""
        tab = self.tabs.pop(data.draw(st.integers(0, len(self.tabs) - 1), "tab"))
        self.run(tab.socket.close())

    @precondition(lambda self: self.tabs)
    @rule(data=st.data())
    @steps
    def run_cell(self, data: st.DataObject) -> None:
        """Run a cell."""
        self._cell(data.draw(st.sampled_from(self.tabs), "tab"))

    @precondition(lambda self: len(self.tabs) > 1)
    @rule()
    @steps
    def run_cells_everywhere(self) -> None:
        """Run a cell in each tab of every user."""
        for tab in list(self.tabs):
            self._cell(tab)

    def _cell(self, tab: Tab) -> None:
        self.cells += 1
        text, error = self.expect(tab, self.cells)
        result = self.run(tab.socket.execute(f"_cell({self.cells})"))
        names = [line.partition(":")[0] for line in result.errors]
        assert (result.text, names) == (text, [error] if error else []), tab.login

    @rule(name=browsers, data=st.data())
    @steps
    def revoke(self, name: str, data: st.DataObject) -> None:
        """Revoke any login: the caller's, another browser's, or another user's."""
        browser = self.browsers[name]
        login = data.draw(st.sampled_from(self.logins), "login")
        code = 403
        if self.lets_in(browser, active=True):
            allowed = browser.person in {login.person, ADMIN}
            code = 204 if allowed else 404
            if allowed:
                login.end("revoked")
        path = f"api/session-user/sessions/{login.session}"
        assert self.run(browser.client.fetch(path, method="DELETE")).code == code
        self._check_cookie(browser)

    @rule(name=browsers)
    @steps
    def log_out_everywhere(self, name: str) -> None:
        """End all logins of the caller."""
        browser = self.browsers[name]
        good = self.lets_in(browser, active=True)
        if good:
            for login in self.logins:
                if login.person == browser.person:
                    login.end("revoked")
        path = "api/session-user/logout-everywhere"
        answer = self.run(browser.client.fetch(path, method="POST", body={}))
        assert answer.code == (200 if good else 403)
        self._check_cookie(browser)

    def _check_cookie(self, browser: Browser) -> None:
        """Forget the login if the server cleared its cookie, as Jupyter does for removed users."""
        if not any(cookie.startswith("username-") for cookie in browser.client.cookies):
            self._forget(browser)

    @rule(name=browsers)
    @steps
    def throw_out(self, name: str) -> None:
        """Remove this user at the provider, and have the server ask the provider again."""
        person = self.browsers[name].person
        self.removed.add(person)
        self.run(self.stage.let_in_all_but(self.removed))
        for login in {tab.login for tab in self.tabs if tab.login.person == person}:
            login.look(self.clocks)
            if login.state == "active":
                login.state = "expired"
        self._ask_again()

    @precondition(lambda self: self.removed)
    @rule()
    @steps
    def let_in_again(self) -> None:
        """Add all users again, and have the server ask the provider."""
        self.removed.clear()
        self.run(self.stage.let_in_all_but(self.removed))
        self._ask_again()

    def _ask_again(self) -> None:
        for login in {tab.login for tab in self.tabs}:
            login.look(self.clocks)
            if login.person not in self.removed and login.state == "expired":
                self._revives(login)

    @rule(seconds=jumps)
    @steps
    def wait(self, seconds: int) -> None:
        """Let time pass; the server detects it by itself, at the next message at the latest."""
        self._move(seconds, seconds, look=False)

    @rule(seconds=jumps, sign=st.sampled_from((-1, 1)))
    @steps
    def set_the_clock(self, seconds: int, sign: int) -> None:
        """Set the wall clock; setting it back prolongs nothing."""
        self._move(sign * seconds, 0, look=True)

    @rule(seconds=jumps, back=jumps)
    @steps
    def wait_with_a_wrong_clock(self, seconds: int, back: int) -> None:
        """Let time pass while the wall clock is set back."""
        self._move(-back, seconds, look=False)

    def _move(self, wall: float, monotonic: float, *, look: bool) -> None:
        if wall < monotonic:  # else the clock may go back before the server's next look, in 0.25 s
            self.run(self.stage.clocks(look=True))
        self.clocks = self.run(self.stage.clocks(wall, monotonic, look=look))
        for login in self.logins:
            login.look(self.clocks)

    @precondition(lambda self: self.may_restart)
    @rule(name=browsers)
    @steps
    def restart(self, name: str) -> None:
        """Restart the kernel; the server refuses this to an ended login."""
        if not self._restarts(self.browsers[name]):
            return
        self.may_restart = False
        self.stage.restarts += 1
        may_run = [tab.socket for tab in self.tabs if self.expect(tab, 0)[0]]
        self.run(self._all_answer(self.stage.seen, *may_run))
        self.run(self.stage.seen.execute(SETUP))
        self.expected.clear()

    async def _all_answer(self, *sockets: KernelSocket) -> None:
        await asyncio.gather(*(until_it_answers(socket) for socket in sockets))

    @precondition(lambda self: self.shut_out())
    @rule(data=st.data())
    @steps
    def restart_in_vain(self, data: st.DataObject) -> None:
        """Restart with an ended login: the kernel's variables are still there."""
        assert not self._restarts(data.draw(st.sampled_from(self.shut_out()), "browser"))

    def shut_out(self) -> list[Browser]:
        """Return the browsers that need a new login."""
        return [b for b in self.browsers.values() if b.login is None or b.login.for_good]

    def _restarts(self, browser: Browser) -> bool:
        good = self.lets_in(browser, active=True)
        path = f"api/kernels/{self.stage.kernel}/restart"
        answer = self.run(browser.client.fetch(path, method="POST", body={}))
        assert answer.code == (200 if good else 403), browser.login
        self._check_cookie(browser)
        return good

    # ----------------------------------------------------------------------- invariants

    @invariant()
    def tabs_of_revived_logins_are_closed(self) -> None:
        """The tabs of renewed logins are closed with the code to reconnect."""
        while self.left_behind:
            socket = self.left_behind.pop().socket
            self.run(socket.closed.wait())
            assert socket.connection.close_code == RECONNECT
            self.run(socket.close())

    @invariant()
    def exactly_the_allowed_cells_ran(self) -> None:
        """The kernel's own record of cells and users matches the model."""
        assert self.run(self.stage.ran()) == self.expected
        self.expected.clear()

    def teardown(self) -> None:
        """Check the rights of each tab at the end, and clean up."""
        try:
            if self.sound:  # else an error may be on its way
                self.run_cells_everywhere()
                self.exactly_the_allowed_cells_ran()
        finally:
            self.run(self._clear())

    async def _clear(self) -> None:
        for tab in self.tabs + self.left_behind:
            await tab.socket.close()
        await self.stage.let_in_all_but(set())
        if not self.sound:
            await self.stage.seen.execute(SETUP)
        await self.stage.ran()


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S)
def test_any_order_of_events_agrees_with_a_plain_model():
    """Hypothesis: the users that may run cells match the model, in 5,000 steps."""
    with staged() as stage:
        machine = type("StagedMachine", (Machine,), {"stage": stage})
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS_PER_EXAMPLE,
                deadline=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
        assert no_traceback(stage.server.log_text())
    assert sum(stage.steps.values()) >= STEPS, stage.steps
    assert stage.restarts, stage.steps
