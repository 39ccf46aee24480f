"""One suite for every store of session records: the contract of ``SessionStore``."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User
from jupyter_session_user.store.base import Record, SessionStore
from jupyter_session_user.store.memory import MemoryStore

#: ``limit -> store``: a new implementation is one more line.
STORES: dict[str, Callable[[int], SessionStore]] = {"memory": MemoryStore}

KEYS = ["key-a", "key-b", "key-c"]
KERNELS = [None, "kernel-1", "kernel-2", "kernel-3"]


def record(session_id: str, key: str, kernel_id: str | None, revision: int = 0) -> Record:
    """Return a record of alice's or bob's."""
    user = User("alice" if key == "key-a" else "bob")
    session = Session(session_id, user, "test", True, kernel_id, revision=revision)
    return Record(session, key, f"user:{user.username}", b"{}")


@pytest.fixture(params=STORES)
def make(request: pytest.FixtureRequest) -> Callable[[int], SessionStore]:
    """Return the constructor of each implementation in turn."""
    return STORES[request.param]


def test_what_was_put_is_found_by_id_and_by_login_and_kernel(make):
    """Two users on one kernel and on none are four records."""
    store = make(10)
    records = [record(f"{k}{n}", k, n) for k in KEYS[:2] for n in KERNELS[:2]]
    for each in records:
        store.put(each)
    for each in records:
        assert store.get(each.session.id) is each
        assert store.find(each.key, each.session.kernel_id) is each
    assert len(store) == 4


def test_what_is_not_there_is_none(make):
    """Unknown ids, keys and kernels are no error; forgetting an unknown kernel is harmless."""
    store = make(10)
    store.put(record("1", "key-a", "kernel-1"))
    assert store.get("2") is None
    assert store.find("key-b", "kernel-1") is None
    assert store.find("key-a", None) is None
    assert store.on_kernel("kernel-2") == []
    store.drop_kernel("kernel-2")
    assert len(store) == 1


def test_one_login_has_one_record_on_a_kernel(make):
    """A new session of the same login and kernel replaces the old one, and its id is unknown."""
    store = make(10)
    store.put(record("old", "key-a", "kernel-1"))
    store.put(record("new", "key-a", "kernel-1"))
    assert store.get("old") is None
    assert [r.session.id for r in store.on_kernel("kernel-1")] == ["new"]
    assert len(store) == 1


def test_a_kernel_that_is_gone_takes_its_records_along(make):
    """The records of every user of that kernel, and of no other."""
    store = make(100)
    for number, key in enumerate(KEYS):
        for kernel_id in KERNELS:
            store.put(record(f"{number}-{kernel_id}", key, kernel_id))
    store.drop_kernel("kernel-1")
    assert store.on_kernel("kernel-1") == []
    assert len(store) == 9
    assert all(store.find(key, "kernel-1") is None for key in KEYS)


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_the_limit_is_kept_and_the_one_put_longest_ago_goes(make, limit):
    """There are never more records than the limit; putting a record again makes it the latest."""
    store = make(limit)
    for number in range(limit):
        store.put(record(str(number), f"key-{number}", "kernel-1"))
    store.put(record("0", "key-0", "kernel-1", revision=1))
    store.put(record("new", "key-new", "kernel-1"))
    assert len(store) == limit
    assert store.get("new") is not None
    oldest = "1" if limit > 1 else "0"
    assert store.get(oldest) is None
    assert (store.get("0") is None) is (limit == 1)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(make, limit):
    """There is no value that means unlimited."""
    with pytest.raises(ValueError, match="at least 1"):
        make(limit)


def test_many_records_of_one_user_drop_no_record_of_another(make):
    """Alice's script opens ten thousand kernels; bob's only record stays, and her latest ones."""
    store = make(100)
    store.put(bobs := record("bob", "key-b", "kernel-1"))
    for number in range(10_000):
        store.put(record(f"alice {number}", "key-a", f"kernel {number}"))
    assert store.get("bob") is bobs
    assert len(store) == 100
    assert store.get("alice 9999") is not None
    assert store.get("alice 9000") is None


def test_the_store_may_change_while_somebody_goes_through_it(make):
    """A loop over the sessions may change the store."""
    store = make(10)
    for number in range(5):
        store.put(record(str(number), f"key-{number}", "kernel-1"))
    for each in store:
        store.drop_kernel("kernel-1")
        store.put(record(each.session.id + "+", each.key, None))
    assert len(store) == 5


def test_a_record_does_not_show_keys_stamps_or_cookies():
    """``repr`` may be logged, so it has neither the hashes of a login nor its cookies."""
    text = repr(Record(record("1", "key-a", None).session, "the-key", "the-person", b"the-stamp"))
    assert "alice" in text
    assert not any(word in text for word in ("the-key", "the-person", "the-stamp", "cookies"))


def steps(action: Callable[[], Any]) -> int:
    """Return how many lines of Python run, here and below: a measure without a clock."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


def test_the_cost_of_a_call_does_not_grow_with_the_store(make):
    """Each call runs as many lines of code with 5,000 records on a kernel as with 10."""

    def costs(size: int) -> list[int]:
        store = make(size)
        for number in range(size):
            store.put(record(str(number), f"key-{number}", "kernel-1"))
        some = str(random.randrange(size))
        return [
            steps(lambda: store.get(some)),
            steps(lambda: store.find(f"key-{some}", "kernel-1")),
            steps(lambda: store.put(record(some, f"key-{some}", "kernel-1", revision=1))),
            steps(lambda: store.put(record("new", "key-new", "kernel-1"))),  # one leaves
            steps(lambda: store.drop_kernel("kernel-2")),
            steps(lambda: len(store)),
        ]

    assert costs(10) == costs(5_000)


class StoreMachine(RuleBasedStateMachine):
    """Any sequence of calls, compared with a list of records in the order of their calls."""

    make: Callable[[int], SessionStore] = staticmethod(MemoryStore)

    @initialize(limit=st.integers(1, 6))
    def start(self, limit: int) -> None:
        """Make both."""
        self.limit = limit
        self.store = type(self).make(limit)
        self.model: dict[str, Record] = {}
        self.added: dict[str, int] = {}
        self.count = 0

    def _put(self, new: Record) -> None:
        place = (new.key, new.session.kernel_id)
        for old in list(self.model.values()):
            if (old.key, old.session.kernel_id) == place and old.session.id != new.session.id:
                del self.model[old.session.id]
        self.count += 1
        known = self.model.pop(new.session.id, None)
        if known is None:
            self.added[new.session.id] = self.count
        self.model[new.session.id] = new
        users = [each.session.id for each in self.model.values() if each.principal == new.principal]
        crowded = users if len(users) > max(1, self.limit // 10) else list(self.model)
        if len(self.model) > self.limit:
            del self.model[crowded[0]]
        self.store.put(new)

    @rule(key=st.sampled_from(KEYS), kernel_id=st.sampled_from(KERNELS))
    def new_login(self, key: str, kernel_id: str | None) -> None:
        """Put a record with a new id."""
        self._put(record(f"id-{self.count}", key, kernel_id))

    @rule(data=st.data())
    def seen_again(self, data: st.DataObject) -> None:
        """Put a known session again, as each request does."""
        if self.model:
            old = self.model[data.draw(st.sampled_from(sorted(self.model)))]
            revision = old.session.revision + 1
            self._put(record(old.session.id, old.key, old.session.kernel_id, revision))

    @rule(kernel_id=st.sampled_from(KERNELS[1:]))
    def kernel_gone(self, kernel_id: str) -> None:
        """Forget a kernel."""
        self.store.drop_kernel(kernel_id)
        self.model = {i: r for i, r in self.model.items() if r.session.kernel_id != kernel_id}

    @invariant()
    def agrees(self) -> None:
        """Compare all results."""
        assert list(self.store) == list(self.model.values())
        assert len(self.store) == len(self.model) <= self.limit
        for number in range(self.count + 1):
            assert self.store.get(f"id-{number}") is self.model.get(f"id-{number}")
        for kernel_id in KERNELS:
            here = [r for r in self.model.values() if r.session.kernel_id == kernel_id]
            if kernel_id is not None:
                here.sort(key=lambda r: self.added[r.session.id])
                assert self.store.on_kernel(kernel_id) == here
            for key in KEYS:
                mine = [r for r in self.model.values() if r.key == key]
                assert sorted(r.session.id for r in self.store.of_login(key)) == sorted(
                    r.session.id for r in mine
                )
                expected = next((r for r in here if r.key == key), None)
                assert self.store.find(key, kernel_id) is expected


@pytest.mark.parametrize("name", STORES)
def test_any_sequence_of_calls_agrees_with_a_plain_model(name):
    """Hypothesis: puts, replacements, limits and dropped kernels in any order."""
    from hypothesis.stateful import run_state_machine_as_test

    machine = type("Machine", (StoreMachine,), {"make": staticmethod(STORES[name])})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=60, stateful_step_count=30, deadline=None)
    )
