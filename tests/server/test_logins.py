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
from jupyter_session_user.server.logins import Logins
from jupyter_session_user.store.base import Record
from jupyter_session_user.store.memory import MemoryStore

START = 1_000_000.0


@dataclasses.dataclass(frozen=True)
class Shown:
    """What a request shows: one browser of somebody's."""

    key: str
    person: str
    credential: str = "cookie"
    expiry: Expiry | None = None


ALICE = Shown("alice's cookie", "user:alice")
ALICE_AT_HOME = Shown("alice's other cookie", "user:alice")
BOB = Shown("bob's cookie", "user:bob")
PROXIED = Shown("alice behind a proxy", "user:alice", credential="")


class Clock:
    """Both clocks of a machine."""

    def __init__(self) -> None:
        self.now = Moment(START, 0.0)

    def __call__(self) -> Moment:
        """Return what both show."""
        return self.now

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.now = Moment(self.now.wall + seconds, self.now.monotonic + seconds)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock by that much, as an administrator or NTP does."""
        self.now = Moment(self.now.wall + seconds, self.now.monotonic)


class Socket:
    """The server's end of a websocket, which notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def login_over(self, state: str) -> None:
        """Note it."""
        self.told.append(state)

    def login_back(self) -> None:
        """Note it."""
        self.told.append("back")


class World:
    """Logins, their store, and what listeners have heard."""

    def __init__(self, limits: Limits) -> None:
        self.clock = Clock()
        self.store = MemoryStore(100)
        self.logins = Logins(self.store, self.clock, limits, logging.getLogger("test"))
        self.heard: list[tuple[str, str]] = []
        self.logins.on_change(lambda event, r: self.heard.append((event, r.session.id)))

    def comes(self, shown: Shown, *, page: bool = False) -> bool:
        """Return whether a request that the authority accepts is let in."""
        if self.logins.refuses(shown, navigation=page):
            return False
        self.logins.saw(shown, active=page)
        return True

    def session(self, shown: Shown) -> Session:
        """Put a session of this login on a kernel, and return it."""
        user = User(shown.person.removeprefix("user:"))
        session = Session(f"{shown.key} on k", user, "test", True, "k")
        stamp = session_stamp(session)
        self.store.put(Record(session, shown.key, shown.person, stamp, credential="cookie"))
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
    """Let people log in."""
    for each in shown or (ALICE, ALICE_AT_HOME, BOB):
        assert world.comes(each, page=True)
        world.session(each)
    return world


@pytest.mark.parametrize("state", ["revoked", "ended"])
def test_a_login_that_is_ended_is_refused_for_good_and_no_other_is(world, state):
    """A replayed cookie is worth nothing; alice's other browser and bob go on."""
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
    """Those of that login, and not those of the same person's other browser."""
    hers, at_home, his = (world.opens_socket(s) for s in (ALICE, ALICE_AT_HOME, BOB))
    world.logins.end(ALICE.key, "revoked")
    world.logins.end(ALICE.key, "ended")
    assert (hers.told, at_home.told, his.told) == (["revoked"], [], [])
    assert world.heard == [("revoked", f"{ALICE.key} on k")]


def test_all_logins_of_a_person_end_together(world):
    """Also one that is known by its record only; bob's does not; none is counted twice."""
    assert world.logins.end_person("user:alice", "revoked") == 2
    assert world.logins.end_person("user:alice", "revoked") == 0
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
    """The socket is told both, in that order, and is not released in between."""
    hers, his = world.opens_socket(ALICE), world.opens_socket(BOB)
    world.logins.refused(world.logins.get(ALICE.key))
    assert [world.logins.over(s.key) for s in (ALICE, BOB)] == ["expired", None]
    assert world.comes(ALICE)  # a new request that the provider accepts
    assert world.logins.over(ALICE.key) is None
    assert (hers.told, his.told) == (["expired", "back"], [])
    assert [event for event, _ in world.heard] == ["expired", "renewed"]


@pytest.mark.parametrize("state", ["revoked", "ended"])
def test_what_ends_after_it_has_expired_does_not_come_back(world, state):
    """The socket is not told that all is well again; the session says how it ended."""
    hers = world.opens_socket(ALICE)
    world.logins.refused(world.logins.get(ALICE.key))
    world.logins.end(ALICE.key, state)
    assert hers.told == ["expired"]
    assert world.logins.over(ALICE.key) == state
    assert world.state(ALICE) == state
    assert world.comes(BOB)


def test_the_authorizers_no_is_not_undone_by_the_identity_provider(world):
    """She is still logged in, and still may not: only the authorizer can take that back."""
    login = world.logins.get(ALICE.key)
    world.logins.refused(login, barred=True)
    assert world.comes(ALICE)
    assert world.logins.over(ALICE.key) == "expired"
    world.logins.accepted(login, authorized=True)
    assert world.logins.over(ALICE.key) is None


def test_what_cannot_be_decided_changes_nothing_but_a_word(world):
    """The provider is down: her session is degraded and goes on; so is nobody else's."""
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
    """The next message is refused, without any tick; the warning came before."""
    world = peopled(World(Limits(warning=60.0)), until(ALICE, 100), until(BOB, 500))
    world.clock.pass_(50)
    assert world.logins.over(ALICE.key) is None
    assert world.state(ALICE) == "expiring"
    world.clock.pass_(50)
    assert world.logins.over(ALICE.key) == "expired"
    assert not world.comes(until(ALICE, 100))
    assert world.logins.over(BOB.key) is None


def test_a_tick_tells_those_from_whom_nothing_comes():
    """The socket hears of it although nobody sends anything."""
    world = peopled(World(Limits()), until(ALICE, 100), until(BOB, 500))
    hers, his = world.opens_socket(ALICE), world.opens_socket(BOB)
    world.clock.pass_(100)
    world.logins.tick()
    assert (hers.told, his.told) == (["expired"], [])


def test_a_clock_set_back_prolongs_nothing():
    """Neither by the message nor by a request that tells the same end again."""
    world = peopled(World(Limits()), until(ALICE, 100), until(BOB, 5_000))
    world.clock.set_wall(-3_600)
    assert world.comes(until(ALICE, 100))
    world.clock.pass_(100)
    assert world.logins.over(ALICE.key) == "expired"
    assert world.logins.over(BOB.key) is None


def test_a_new_token_in_time_renews_and_an_old_one_on_its_way_ends_nothing():
    """A request that was sent with the token of before arrives late: it alone is refused."""
    world = peopled(World(Limits(warning=60.0)), until(ALICE, 100))
    world.clock.pass_(90)
    assert world.comes(until(ALICE, 1_000))
    assert world.state(ALICE) == "active"
    world.clock.pass_(20)
    assert not world.comes(until(ALICE, 100))
    assert world.logins.over(ALICE.key) is None
    assert ("renewed", f"{ALICE.key} on k") in world.heard


def test_a_clock_set_back_lets_nobody_in_by_another_route():
    """The token ran out by the clock that nobody can set; the wall clock says that it did not."""
    world = peopled(World(Limits()), until(ALICE, 100), until(BOB, 5_000))
    world.clock.set_wall(-3_600)
    world.clock.pass_(100)
    assert not world.comes(until(ALICE, 100))
    assert not world.comes(ALICE)
    assert world.comes(until(BOB, 5_000))
    assert world.comes(until(ALICE, 9_000))  # a new token


def test_a_guess_does_not_undo_an_exact_end():
    """One request without the token, whose cookie has a month to go."""
    world = peopled(World(Limits()), until(ALICE, 100), until(BOB, 5_000))
    world.comes(until(ALICE, 2_600_000, "estimated"))
    world.clock.pass_(100)
    assert [world.logins.over(s.key) for s in (ALICE, BOB)] == ["expired", None]


@pytest.mark.parametrize("limits", [Limits(idle=600.0), Limits(absolute=600.0)])
def test_no_answer_of_the_authority_takes_a_timeout_back(limits):
    """Whether it says yes or no, first or last, and wherever the wall clock has been meanwhile."""
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
    """Alice's token has run out; then the timeout passes; then the wall clock is set back.

    A new token renews bob's login, whose timeout never passed by any clock.
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
    """Output of an expired login still arrives; after logging out everywhere none does."""
    world = peopled(World(Limits(absolute=600.0)))
    hers = world.opens_socket(ALICE)
    world.clock.pass_(600)
    world.logins.tick()
    assert world.logins.end_person("user:alice", "revoked") == 2
    assert world.logins.over(ALICE.key) == "revoked"
    assert hers.told == ["expired"]


def test_a_socket_that_opens_by_itself_is_no_activity():
    """Browsers reconnect on their own; a message is what a person does."""
    world = peopled(World(Limits(idle=600.0)))
    for _ in range(5):
        world.clock.pass_(119)
        world.logins.over(ALICE.key, active=False)
        world.logins.over(BOB.key)
    world.clock.pass_(10)
    assert [world.logins.over(s.key) for s in (ALICE, BOB)] == ["expired", None]


def test_an_estimate_outlived_costs_nothing():
    """The provider still accepts her: her job goes on, and the session says expiring."""
    world = peopled(World(Limits(warning=60.0)), until(ALICE, 100, "estimated"))
    world.clock.pass_(10_000)
    world.logins.tick()
    assert world.logins.over(ALICE.key) is None
    assert world.state(ALICE) == "expiring"
    assert world.comes(until(ALICE, 100, "estimated"))


def test_a_renewed_cookie_is_the_same_login(world):
    """Also after a second renewal; what ends it ends all its cookies."""
    for old, new in (("alice's cookie", "second"), ("second", "third")):
        world.logins.renewed(old, new)
    assert world.logins.canonical("third") == ALICE.key
    world.logins.end(world.logins.canonical("third"), "ended")
    for key in ("alice's cookie", "second", "third"):
        assert world.logins.refuses(dataclasses.replace(ALICE, key=key), navigation=True)
    assert world.comes(BOB)


def test_a_renewal_never_joins_two_logins_that_are_both_known(world):
    """Bob's cookie is set in an answer to alice (a shared browser): they stay two."""
    world.logins.renewed(ALICE.key, BOB.key)
    assert world.logins.canonical(BOB.key) == BOB.key


@pytest.mark.parametrize("limits", [Limits(idle=600.0), Limits(absolute=600.0)])
def test_a_timeout_asks_for_a_new_login(limits):
    """The cookie that timed out is refused for good, though the provider would accept it."""
    world = peopled(World(limits))
    world.clock.pass_(600)
    assert world.logins.over(ALICE.key) == "expired"
    assert not world.comes(ALICE, page=True)
    world.logins.accepted(world.logins.get(ALICE.key), authorized=True)
    assert world.logins.over(ALICE.key) == "expired"
    assert world.comes(Shown("alice's new cookie", "user:alice"), page=True)


def test_what_a_page_fetches_by_itself_is_no_activity():
    """Polling keeps nobody logged in; a message to a kernel, or a page that is opened, does."""
    world = peopled(World(Limits(idle=600.0)))
    for _ in range(5):
        world.clock.pass_(119)
        world.comes(ALICE)
        world.logins.over(BOB.key)  # he runs a cell
    world.clock.pass_(10)
    assert world.logins.over(ALICE.key) == "expired"
    assert world.logins.over(BOB.key) is None


@pytest.mark.parametrize("credential", ["token", "open"])
def test_timeouts_are_for_logins_of_people(credential):
    """The server's own token is a secret that all share; and where nobody logs in, nobody ends."""
    world = peopled(
        World(Limits(idle=600.0, absolute=600.0)),
        dataclasses.replace(ALICE, credential=credential),
        BOB,
    )
    world.clock.pass_(10_000)
    assert world.logins.over(ALICE.key) is None
    assert world.logins.over(BOB.key) == "expired"


def test_behind_a_proxy_opening_a_page_begins_anew_after_signing_out():
    """What an open tab fetches does not; the socket of before is told to come back."""
    world = peopled(World(Limits()), PROXIED, BOB)
    hers = world.opens_socket(PROXIED)
    world.logins.end(PROXIED.key, "ended")
    assert not world.comes(PROXIED)
    assert world.comes(PROXIED, page=True)
    assert world.logins.over(PROXIED.key) is None
    assert hers.told == ["ended", "back"]


def test_behind_a_proxy_a_revocation_holds_for_a_while():
    """Nothing tells the next login from the revoked one: the proxy has to end it, too."""
    world = peopled(World(Limits()), PROXIED, BOB)
    world.logins.end(PROXIED.key, "revoked")
    assert not world.comes(PROXIED, page=True)
    world.clock.pass_(599)
    assert not world.comes(PROXIED, page=True)
    world.clock.pass_(1)
    assert world.comes(PROXIED)
    assert world.logins.over(PROXIED.key) is None


def test_behind_a_proxy_a_timeout_is_over_when_a_page_is_opened():
    """A new beginning has the whole time again."""
    world = peopled(World(Limits(absolute=600.0)), PROXIED)
    world.clock.pass_(600)
    assert not world.comes(PROXIED)
    assert world.comes(PROXIED, page=True)
    world.clock.pass_(599)
    assert world.logins.over(PROXIED.key) is None
    world.clock.pass_(1)
    assert world.logins.over(PROXIED.key) == "expired"


def test_one_that_got_over_while_its_handshake_was_on_the_way_is_over(world):
    """Its request had passed the gate; what comes over its socket does not reach a kernel."""
    newcomer = Shown("carol's cookie", "user:carol")
    world.logins.end(newcomer.key, "revoked")
    world.logins.saw(newcomer)
    assert world.logins.over(newcomer.key) == "revoked"


def test_a_listener_that_fails_keeps_nothing_from_the_others(world, caplog):
    """Nor from the sockets; the log has the type of the error, and not its text."""

    def fails(event: str, record: Record) -> None:
        raise ValueError("alice's secret")

    world.logins._listeners.insert(0, fails)
    hers = world.opens_socket(ALICE)
    world.logins.end(ALICE.key, "revoked")
    assert hers.told == ["revoked"]
    assert [event for event, _ in world.heard] == ["revoked"]
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_memory_is_bounded_and_open_sockets_are_not_forgotten():
    """A million requests with made-up logins leave as many logins as the limit allows."""
    store, clock = MemoryStore(10), Clock()
    logins = Logins(store, clock, Limits(), logging.getLogger("test"), limit=10)
    logins.saw(ALICE)
    logins.attach(ALICE.key, socket := Socket())
    for number in range(1_000):
        logins.saw(Shown(f"key {number}", f"user:{number}"))
        logins.renewed(f"key {number}", f"renewed {number}")
    assert len(list(logins)) <= 11
    logins.end(ALICE.key, "revoked")
    assert socket.told == ["revoked"]
    assert len(logins._aliases) <= 40
    assert math.isinf(logins.get(ALICE.key).due)
