"""The logins of a server, with a clock that the test sets."""

from __future__ import annotations

import dataclasses
import logging
import math

import pytest

from jupyter_session_user.core.lifecycle import Expiry, Limits, Moment
from jupyter_session_user.core.session import Session
from jupyter_session_user.core.stamp import session_stamp
from jupyter_session_user.core.user import User
from jupyter_session_user.server.auth.ended_logins import MOST_ENDS, EndedLogins
from jupyter_session_user.server.auth.logins import Logins
from jupyter_session_user.store.base import Record
from jupyter_session_user.store.ended import MemoryEnded
from jupyter_session_user.store.memory import MemoryStore

START = 1_000_000.0


@dataclasses.dataclass(frozen=True)
class Shown:
    """The login data of a request: one browser of one user."""

    key: str
    principal: str
    credential: str = "cookie"
    expiry: Expiry | None = None
    issued_at: int | None = None
    parent: str = ""


ALICE = Shown("alice's cookie", "user:alice")
ALICE_AT_HOME = Shown("alice's other cookie", "user:alice")
BOB = Shown("bob's cookie", "user:bob")
PROXIED = Shown("alice behind a proxy", "user:alice", credential="")


class Clock:
    """Both clocks of a machine."""

    def __init__(self) -> None:
        self.now = Moment(START, 0.0)

    def __call__(self) -> Moment:
        """Return the times of both."""
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Moment(self.now.wall + seconds, self.now.monotonic + seconds)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock by that much, as an administrator or NTP does."""
        self.now = Moment(self.now.wall + seconds, self.now.monotonic)


class Socket:
    """The server's end of a websocket, which records its calls."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def login_over(self, state: str) -> None:
        """Record the call."""
        self.told.append(state)

    def login_back(self) -> None:
        """Record the call."""
        self.told.append("back")


class World:
    """Logins, their store, and the events of listeners."""

    def __init__(self, limits: Limits) -> None:
        self.clock = Clock()
        self.store = MemoryStore(100)
        self.ended = MemoryEnded()
        ended = EndedLogins(self.ended, self.clock)
        self.logins = Logins(self.store, ended, self.clock, limits, logging.getLogger("test"))
        self.heard: list[tuple[str, str]] = []
        self.logins.on_change(lambda event, r: self.heard.append((event, r.session.id)))

    def comes(self, shown: Shown, *, page: bool = False) -> bool:
        """Tell whether the server accepts a request that the authority accepts."""
        if self.logins.refuses(shown, navigation=page):
            return False
        self.logins.saw(shown, active=page)
        return True

    def session(self, shown: Shown) -> Session:
        """Put a session of this login on a kernel, and return it."""
        user = User(shown.principal.removeprefix("user:"))
        session = Session(f"{shown.key} on k", user, "test", True, "k")
        stamp = session_stamp(session)
        self.store.put(Record(session, shown.key, shown.principal, stamp, credential="cookie"))
        return session

    def state(self, shown: Shown) -> str:
        """Return the state that the session on the kernel shows."""
        record = self.store.find(shown.key, "k")
        assert record is not None
        return record.session.state

    def opens_socket(self, shown: Shown) -> Socket:
        """Return a new websocket of this login."""
        socket = Socket()
        self.logins.attach(shown.key, socket)
        return socket


@pytest.fixture
def world() -> World:
    """Return a server on which alice has two browsers and bob has one, each on the kernel."""
    return peopled(World(Limits()))


def peopled(world: World, *shown: Shown) -> World:
    """Log users in."""
    for each in shown or (ALICE, ALICE_AT_HOME, BOB):
        assert world.comes(each, page=True)
        world.session(each)
    return world


@pytest.mark.parametrize("state", ["revoked", "signed_out"])
def test_a_login_that_is_ended_is_refused_for_good_and_no_other_is(world, state):
    """A replayed cookie is refused; alice's other browser and bob continue."""
    world.logins.end(ALICE.key, state)
    for _ in range(3):
        assert not world.comes(ALICE, page=True)
        world.clock.pass_(86_400)
    assert world.logins.over(ALICE.key) == state
    assert world.comes(ALICE_AT_HOME)
    assert world.comes(BOB)
    assert [world.logins.over(s.key) for s in (ALICE_AT_HOME, BOB)] == [None, None]
    assert [world.state(s) for s in (ALICE, ALICE_AT_HOME, BOB)] == [state, "active", "active"]


def test_sockets_sessions_and_listeners_hear_of_it_once(world):
    """The sockets of that login are told, not those of the same user's other browser."""
    hers, at_home, his = (world.opens_socket(s) for s in (ALICE, ALICE_AT_HOME, BOB))
    world.logins.end(ALICE.key, "revoked")
    world.logins.end(ALICE.key, "signed_out")
    assert (hers.told, at_home.told, his.told) == (["revoked"], [], [])
    assert world.heard == [("revoked", f"{ALICE.key} on k")]


def test_all_logins_of_a_person_end_together(world):
    """All logins of alice end, also one that only has a record; bob's continues."""
    assert world.logins.end_principal("user:alice", "revoked") == 2
    assert world.logins.end_principal("user:alice", "revoked") == 0
    assert [world.comes(s) for s in (ALICE, ALICE_AT_HOME, BOB)] == [False, False, True]


def test_the_stamp_is_made_anew_when_the_state_changes(world):
    """A message that is sent under the policy ``flag`` says that the session is over."""
    before = world.store.find(ALICE.key, "k")
    world.logins.end(ALICE.key, "revoked")
    after = world.store.find(ALICE.key, "k")
    assert b'"state":"revoked"' in after.stamp
    assert after.session.revision == before.session.revision + 1
    assert world.store.find(BOB.key, "k").session.revision == 0


def test_the_authoritys_no_expires_and_its_yes_renews(world):
    """The socket gets both, in that order, and is not released in between."""
    hers, his = world.opens_socket(ALICE), world.opens_socket(BOB)
    world.logins.refused(world.logins.get(ALICE.key))
    assert [world.logins.over(s.key) for s in (ALICE, BOB)] == ["expired", None]
    assert world.comes(ALICE)  # a new request that the provider accepts
    assert world.logins.over(ALICE.key) is None
    assert (hers.told, his.told) == (["expired", "back"], [])
    assert [event for event, _ in world.heard] == ["expired", "renewed"]


@pytest.mark.parametrize("state", ["revoked", "signed_out"])
def test_what_ends_after_it_has_expired_does_not_come_back(world, state):
    """The socket is not released again; the session says how it ended."""
    hers = world.opens_socket(ALICE)
    world.logins.refused(world.logins.get(ALICE.key))
    world.logins.end(ALICE.key, state)
    assert hers.told == ["expired"]
    assert world.logins.over(ALICE.key) == state
    assert world.state(ALICE) == state
    assert world.comes(BOB)


def test_the_authorizers_no_is_not_undone_by_the_identity_provider(world):
    """Alice is still logged in but not permitted: only the authorizer can lift that."""
    login = world.logins.get(ALICE.key)
    world.logins.refused(login, barred=True)
    assert world.comes(ALICE)
    assert world.logins.over(ALICE.key) == "revoked"
    before = world.store.find(ALICE.key, "k").session.id
    world.logins.accepted(login, authorized=True)
    assert world.logins.over(ALICE.key) is None
    assert world.store.find(ALICE.key, "k").session.id != before  # in a kernel, ended stays ended


def test_access_that_comes_back_prolongs_no_login():
    """Alice is barred while her absolute timeout passes; bob is not affected."""
    world = peopled(World(Limits(absolute=600.0)))
    login = world.logins.get(ALICE.key)
    world.clock.pass_(500)
    world.logins.refused(login, barred=True)
    world.clock.pass_(50)
    world.logins.accepted(login, authorized=True)
    assert world.logins.over(ALICE.key) is None
    world.logins.refused(login, barred=True)
    world.clock.pass_(60)
    world.logins.accepted(login, authorized=True)
    assert world.logins.over(ALICE.key) == "expired"
    world.logins.accepted(login, authorized=True)
    assert world.logins.over(ALICE.key) == "expired"


def test_access_that_comes_back_undoes_no_revocation_on_another_server(world):
    """Alice is barred here while "log out everywhere" reaches this server from another one."""
    login = world.logins.get(ALICE.key)
    world.logins.refused(login, barred=True)
    login.issued_at = int(START) - 10
    world.logins.ended.end_principal(ALICE.principal)
    world.logins.accepted(login, authorized=True)
    assert world.logins.over(ALICE.key) == "revoked"


def test_new_groups_are_in_the_next_stamp(world):
    """The provider names alice's groups anew; bob's session does not change."""
    old, bobs = (world.store.find(shown.key, "k") for shown in (ALICE, BOB))
    world.logins.sessions.set_user(
        ALICE.key, dataclasses.replace(old.session.user, groups=("team-x",))
    )
    new = world.store.find(ALICE.key, "k")
    assert new.session.user.groups == ("team-x",)
    assert new.session.revision == old.session.revision + 1
    assert b"team-x" in new.stamp
    assert world.store.find(BOB.key, "k") == bobs


def test_what_cannot_be_decided_changes_nothing_but_a_word(world):
    """If the provider is down, alice's session is degraded and continues; bob's is unchanged."""
    world.logins.undecided(world.logins.get(ALICE.key))
    session = world.store.find(ALICE.key, "k").session
    assert (session.state, session.degraded) == ("active", True)
    assert world.logins.over(ALICE.key) is None
    assert not world.store.find(BOB.key, "k").session.degraded
    assert world.comes(ALICE)
    assert not world.store.find(ALICE.key, "k").session.degraded


def until(shown: Shown, seconds: float, source: str = "jwt") -> Shown:
    """Return a request that says when the login ends, in seconds after the start."""
    return dataclasses.replace(shown, expiry=Expiry(START + seconds, source))


def test_an_exact_end_is_kept_to_the_second_by_whoever_asks():
    """After the end the next message is refused, without any tick; a warning came before."""
    world = peopled(World(Limits(warning=60.0)), until(ALICE, 100), until(BOB, 500))
    world.clock.pass_(50)
    assert world.logins.over(ALICE.key) is None
    assert world.state(ALICE) == "expiring"
    world.clock.pass_(50)
    assert world.logins.over(ALICE.key) == "expired"
    assert not world.comes(until(ALICE, 100))
    assert world.logins.over(BOB.key) is None


def test_a_tick_tells_those_from_whom_nothing_comes():
    """The socket is told, although no client sends anything."""
    world = peopled(World(Limits()), until(ALICE, 100), until(BOB, 500))
    hers, his = world.opens_socket(ALICE), world.opens_socket(BOB)
    world.clock.pass_(100)
    world.logins.tick()
    assert (hers.told, his.told) == (["expired"], [])


def test_a_clock_set_back_prolongs_nothing():
    """Neither a message nor a request with the same end makes the login valid again."""
    world = peopled(World(Limits()), until(ALICE, 100), until(BOB, 5_000))
    world.clock.set_wall(-3_600)
    assert world.comes(until(ALICE, 100))
    world.clock.pass_(100)
    assert world.logins.over(ALICE.key) == "expired"
    assert world.logins.over(BOB.key) is None


def test_a_new_token_in_time_renews_and_an_old_one_on_its_way_ends_nothing():
    """If a request with the former token arrives late, only this request is refused."""
    world = peopled(World(Limits(warning=60.0)), until(ALICE, 100))
    world.clock.pass_(90)
    assert world.comes(until(ALICE, 1_000))
    assert world.state(ALICE) == "active"
    world.clock.pass_(20)
    assert not world.comes(until(ALICE, 100))
    assert world.logins.over(ALICE.key) is None
    assert ("renewed", f"{ALICE.key} on k") in world.heard


def test_a_clock_set_back_lets_nobody_in_by_another_route():
    """The token ran out by the monotonic clock, although not by the wall clock."""
    world = peopled(World(Limits()), until(ALICE, 100), until(BOB, 5_000))
    world.clock.set_wall(-3_600)
    world.clock.pass_(100)
    assert not world.comes(until(ALICE, 100))
    assert not world.comes(ALICE)
    assert world.comes(until(BOB, 5_000))
    assert world.comes(until(ALICE, 9_000))  # a new token


def test_a_guess_does_not_undo_an_exact_end():
    """A request without the token, but with a cookie that is valid for a month, moves no end."""
    world = peopled(World(Limits()), until(ALICE, 100), until(BOB, 5_000))
    world.comes(until(ALICE, 2_600_000, "estimated"))
    world.clock.pass_(100)
    assert [world.logins.over(s.key) for s in (ALICE, BOB)] == ["expired", None]


@pytest.mark.parametrize("limits", [Limits(idle=600.0), Limits(absolute=600.0)])
def test_no_answer_of_the_authority_takes_a_timeout_back(limits):
    """However the authority answers and the wall clock is set, a timed-out login stays over."""
    world = peopled(World(limits))
    for shown, answers in ((ALICE, ("no", "yes")), (ALICE_AT_HOME, ("yes", "no", "yes"))):
        login = world.logins.get(shown.key)
        world.clock.set_wall(600)
        for answer in answers:
            if answer == "no":
                world.logins.refused(login)
            else:
                world.logins.tick()
                world.clock.set_wall(-600)
                world.logins.accepted(login, authorized=True)
        assert world.logins.over(shown.key) == "expired"
        assert not world.comes(shown, page=True)


@pytest.mark.parametrize("limits", [Limits(idle=600.0), Limits(absolute=600.0)])
@pytest.mark.parametrize("notices", ["the tick", "a request"])
def test_a_timeout_that_passes_after_another_end_is_not_taken_back_either(limits, notices):
    """Alice's token ends, then the timeout passes, and then the wall clock is set back.

    A new token renews bob's login, which never timed out by any clock.
    """
    world = peopled(World(limits), until(ALICE, 100), until(BOB, 100))
    world.clock.pass_(100)
    world.logins.tick()
    assert world.state(ALICE) == "expired"
    assert world.comes(until(BOB, 2_000))
    world.clock.set_wall(500)
    if notices == "the tick":
        world.logins.tick()
    else:
        assert not world.comes(until(ALICE, 3_000))
    world.clock.set_wall(-500)
    assert not world.comes(until(ALICE, 3_000))


def test_who_timed_out_is_revoked_with_the_others():
    """Output of an expired login still arrives; after "log out everywhere" no output does."""
    world = peopled(World(Limits(absolute=600.0)))
    hers = world.opens_socket(ALICE)
    world.clock.pass_(600)
    world.logins.tick()
    assert world.logins.end_principal("user:alice", "revoked") == 2
    assert world.logins.over(ALICE.key) == "revoked"
    assert hers.told == ["expired"]


def test_a_socket_that_opens_by_itself_is_no_activity():
    """Browsers reconnect by themselves, which is no activity; a message is activity."""
    world = peopled(World(Limits(idle=600.0)))
    for _ in range(5):
        world.clock.pass_(119)
        world.logins.over(ALICE.key, active=False)
        world.logins.over(BOB.key)
    world.clock.pass_(10)
    assert [world.logins.over(s.key) for s in (ALICE, BOB)] == ["expired", None]


def test_an_estimate_outlived_costs_nothing():
    """The provider still accepts alice: the job continues, and the session is ``expiring``."""
    world = peopled(World(Limits(warning=60.0)), until(ALICE, 100, "estimated"))
    world.clock.pass_(10_000)
    world.logins.tick()
    assert world.logins.over(ALICE.key) is None
    assert world.state(ALICE) == "expiring"
    assert world.comes(until(ALICE, 100, "estimated"))


def test_a_renewed_cookie_is_the_same_login(world):
    """A login with two renewed cookies is one login; its end ends all its cookies."""
    for old, new in (("alice's cookie", "second"), ("second", "third")):
        world.logins.renewed(old, new)
    assert world.logins.canonical("third") == ALICE.key
    world.logins.end(world.logins.canonical("third"), "signed_out")
    for key in ("alice's cookie", "second", "third"):
        assert world.logins.refuses(dataclasses.replace(ALICE, key=key), navigation=True)
    assert world.comes(BOB)


def test_a_renewal_never_joins_two_logins_that_are_both_known(world):
    """Bob's cookie is set in a response to alice (a shared browser): the logins stay distinct."""
    world.logins.renewed(ALICE.key, BOB.key)
    assert world.logins.canonical(BOB.key) == BOB.key


@pytest.mark.parametrize("limits", [Limits(idle=600.0), Limits(absolute=600.0)])
def test_a_timeout_asks_for_a_new_login(limits):
    """The cookie of a timed-out login is refused, although the provider would accept it."""
    world = peopled(World(limits))
    world.clock.pass_(600)
    assert world.logins.over(ALICE.key) == "expired"
    assert not world.comes(ALICE, page=True)
    world.logins.accepted(world.logins.get(ALICE.key), authorized=True)
    assert world.logins.over(ALICE.key) == "expired"
    assert world.comes(Shown("alice's new cookie", "user:alice"), page=True)


def test_what_a_page_fetches_by_itself_is_no_activity():
    """Polling is no activity; a message to a kernel or an opened page is."""
    world = peopled(World(Limits(idle=600.0)))
    for _ in range(5):
        world.clock.pass_(119)
        world.comes(ALICE)
        world.logins.over(BOB.key)  # bob runs a cell
    world.clock.pass_(10)
    assert world.logins.over(ALICE.key) == "expired"
    assert world.logins.over(BOB.key) is None


@pytest.mark.parametrize("credential", ["token", "open"])
def test_timeouts_are_for_logins_of_people(credential):
    """Neither the server's shared token nor a server without logins has a timeout."""
    world = peopled(
        World(Limits(idle=600.0, absolute=600.0)),
        dataclasses.replace(ALICE, credential=credential),
        BOB,
    )
    world.clock.pass_(10_000)
    assert world.logins.over(ALICE.key) is None
    assert world.logins.over(BOB.key) == "expired"


def test_behind_a_proxy_opening_a_page_begins_anew_after_signing_out():
    """A new page begins a new login; requests of an open tab do not."""
    world = peopled(World(Limits()), PROXIED, BOB)
    hers = world.opens_socket(PROXIED)
    world.logins.end(PROXIED.key, "signed_out")
    assert not world.comes(PROXIED)
    assert world.comes(PROXIED, page=True)
    assert world.logins.over(PROXIED.key) is None
    assert hers.told == ["signed_out", "back"]


def test_behind_a_proxy_a_revocation_holds_for_a_while():
    """If nothing distinguishes the next login from the revoked one, it is refused for a time."""
    world = peopled(World(Limits()), PROXIED, BOB)
    world.logins.end(PROXIED.key, "revoked")
    assert not world.comes(PROXIED, page=True)
    world.clock.pass_(599)
    assert not world.comes(PROXIED, page=True)
    world.clock.pass_(1)
    assert world.comes(PROXIED)
    assert world.logins.over(PROXIED.key) is None


def test_behind_a_proxy_a_timeout_is_over_when_a_page_is_opened():
    """A new login has the whole timeout again."""
    world = peopled(World(Limits(absolute=600.0)), PROXIED)
    world.clock.pass_(600)
    assert not world.comes(PROXIED)
    assert world.comes(PROXIED, page=True)
    world.clock.pass_(599)
    assert world.logins.over(PROXIED.key) is None
    world.clock.pass_(1)
    assert world.logins.over(PROXIED.key) == "expired"


def test_one_that_got_over_while_its_handshake_was_on_the_way_is_over(world):
    """The request was accepted, but its later messages do not reach a kernel."""
    newcomer = Shown("carol's cookie", "user:carol")
    world.logins.end(newcomer.key, "revoked")
    world.logins.saw(newcomer)
    assert world.logins.over(newcomer.key) == "revoked"


def test_a_listener_that_fails_keeps_nothing_from_the_others(world, caplog):
    """A listener that raises does not affect others; the log has only the type of the error."""

    def fails(event: str, record: Record) -> None:
        raise ValueError("alice's secret")

    world.logins._listeners._listeners.insert(0, fails)
    hers = world.opens_socket(ALICE)
    world.logins.end(ALICE.key, "revoked")
    assert hers.told == ["revoked"]
    assert [event for event, _ in world.heard] == ["revoked"]
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_a_tick_looks_only_at_logins_that_are_due():
    """A thousand logins with a later end cost nothing; a clock that is set has all looked at."""
    clock = Clock()
    ended = EndedLogins(MemoryEnded(), clock)
    limits = Limits(absolute=1_000.0, warning=100.0)
    logins = Logins(MemoryStore(10), ended, clock, limits, logging.getLogger("test"))
    logins.tick()
    logins.saw(ALICE)
    clock.pass_(500)
    for number in range(1_000):
        logins.saw(Shown(f"key {number}", f"user:{number}"))
    looks, advance = [], logins._advance
    logins._advance = lambda login, now: looks.append(login.key) or advance(login, now)
    for _ in range(10):
        logins.tick()
    assert looks == []
    clock.pass_(400)
    logins.tick()
    assert (looks, logins.get(ALICE.key).status.state) == ([ALICE.key], "expiring")
    clock.pass_(100)
    logins.tick()
    assert (looks, logins.get(ALICE.key).status.state) == ([ALICE.key] * 2, "expired")
    clock.set_wall(400)
    logins.tick()
    assert len(looks) == 2 + 1_001
    assert {logins.get(f"key {number}").status.state for number in range(1_000)} == {"expiring"}


def test_many_logins_of_one_user_make_no_other_login_forgotten():
    """Alice logs in a thousand times; bob's login stays known, and so do alice's open ones."""
    clock = Clock()
    ended = EndedLogins(MemoryEnded(), clock)
    logins = Logins(MemoryStore(10), ended, clock, Limits(), logging.getLogger("test"), limit=100)
    logins.saw(BOB)
    sockets = []
    for number in range(1_000):
        logins.saw(Shown(f"key {number}", ALICE.principal))
        if number < 20:
            logins.attach(f"key {number}", socket := Socket())
            sockets.append(socket)
    assert logins.get(BOB.key) is not None
    assert logins.get("key 999") is not None
    assert all(logins.get(f"key {number}") for number in range(20))
    assert len(list(logins)) <= 100 + len(sockets)


def test_memory_is_bounded_and_open_sockets_are_not_forgotten():
    """A million requests with random logins leave only as many logins as the limit allows."""
    clock = Clock()
    ended = EndedLogins(MemoryEnded(), clock)
    logins = Logins(MemoryStore(10), ended, clock, Limits(), logging.getLogger("test"), limit=10)
    logins.saw(ALICE)
    logins.attach(ALICE.key, socket := Socket())
    for number in range(1_000):
        logins.saw(Shown(f"key {number}", f"user:{number}"))
        logins.renewed(ALICE.key, f"renewed {number}")
    assert len(list(logins)) <= 11
    logins.end(ALICE.key, "revoked")
    assert socket.told == ["revoked"]
    assert logins.canonical("renewed 0") == "renewed 0"
    assert logins.canonical("renewed 999") == ALICE.key
    assert math.isinf(logins.get(ALICE.key).due)


def test_one_sign_out_too_many_ends_the_logins_of_that_user_alone():
    """Alice's open websockets learn it; her next login and bob's continue."""
    clock = Clock()
    ended = EndedLogins(MemoryEnded(), clock)
    logins = Logins(MemoryStore(10), ended, clock, Limits(), logging.getLogger("test"))
    people = {
        name: Shown(name, principal, issued_at=at)
        for name, principal, at in (
            ("early", "user:alice", 2),
            ("late", "user:alice", int(START) + 1),
            ("bob", "user:bob", 2),
        )
    }
    sockets = {}
    for name, shown in people.items():
        logins.saw(shown)
        logins.attach(shown.key, socket := Socket())
        sockets[name] = socket
    for number in range(MOST_ENDS + 1):
        logins.saw(Shown(f"key {number}", "user:alice", issued_at=10 + number))
        logins.end(f"key {number}", "signed_out")
    assert {name: socket.told for name, socket in sockets.items()} == {
        "early": ["revoked"],
        "late": [],
        "bob": [],
    }


def test_what_another_server_ends_costs_no_look_at_the_other_logins():
    """A thousand known logins: a change looks at the login, or the user's, that it names."""
    clock = Clock()
    ended = EndedLogins(MemoryEnded(), clock)
    logins = Logins(MemoryStore(10), ended, clock, Limits(), logging.getLogger("test"))
    logins.saw(Shown("alice 1", "user:alice", issued_at=5))
    logins.saw(Shown("alice 2", "user:alice", issued_at=6))
    for number in range(1_000):
        logins.saw(Shown(f"key {number}", f"user:{number}", issued_at=5))
    asked, state = [], ended.state
    ended.state = lambda key: asked.append(key) or state(key)
    ended.end("alice 1", "user:alice", "revoked")
    asked.clear()
    logins.ended_elsewhere([ended.names_of("alice 1", "user:alice")[0], "unknown"])
    assert (asked, logins.get("alice 1").status.state) == (["alice 1"], "revoked")
    asked.clear()
    ended.end_principal("user:alice")
    logins.ended_elsewhere([ended.name_of("user:alice")])
    assert sorted(asked) == ["alice 1", "alice 2"]
    assert logins.get("alice 2").status.state == "revoked"
    assert all(logins.get(f"key {number}").status.state == "active" for number in range(1_000))
