"""Voila's preheated kernels: started without a visitor, in the previous visitor's request."""

from __future__ import annotations

import pytest
from voila_pages import HEADER, PREHEATED, seen_by, visits, voila

pytestmark = pytest.mark.browser

_POLL_MS, _POLLS = 50, 1200


@pytest.fixture
def server(_voila):
    """Run Voila with one kernel in its pool, refilled at once, and the obvious names in each.

    Each test gets a new server: it counts the files that its kernels leave in the directory.
    """
    config = {
        "VoilaConfiguration": {"multi_kernel_manager_class": "obvious.ObviousKernelManager"},
        "MappingKernelManager": {"kernel_manager_class": "obvious.ObviousClients"},
    }
    with voila(
        *HEADER,
        "--preheat_kernel=True",
        "--pool_size=1",
        "--VoilaKernelManager.fill_delay=0",
        files={"page.ipynb": PREHEATED},
        config=config,
    ) as running:
        yield running


def _until(page, condition):
    """Wait, with the page's event loop running."""
    for _ in range(_POLLS):
        if condition():
            return
        page.wait_for_timeout(_POLL_MS)
    pytest.fail("it did not happen")


def test_the_visitor_before(chromium, server):
    """Trap: Voila refills its pool inside the request of the previous visitor.

    The obvious implementation (``CallContext``, at the kernel's start or when a message is sent)
    names alice. Bob gets a kernel that was started in alice's request, while her page is still
    loading. Code that ran before his request has no user. The cell that waited for him, and all
    later code, have bob.
    """
    work = server.home / "work"
    early = work / "early"
    with visits(chromium, server.url, "alice", "bob") as (alice, bob):
        _until(alice.page, lambda: early.is_dir() and len(list(early.iterdir())) == 1)
        alice.open("?meet=here&people=2")  # her page continues only when bob's is there, too
        meeting = work / "meetings" / "here" / "page"
        _until(alice.page, lambda: meeting.is_dir() and len(list(early.iterdir())) == 2)
        assert len(list(meeting.iterdir())) == 1, "her page is not loading any more"
        bob.open("?meet=here&people=2")
        seen = {name: visit.told("page")["here"] for name, visit in _named(alice, bob)}
        assert seen == {"alice": "alice", "bob": "bob"}
        assert alice.told("early") == {"here": "unknown_at_server", "start": "", "send": ""}
        trapped = {"here": "unknown_at_server", "start": "alice", "send": "alice"}
        assert bob.told("early") == trapped
        blocked = {name: visit.told("blocked") for name, visit in _named(alice, bob)}
        # Her kernel is no trap, whether Voila sent the cell before her request or after
        obvious = {name: facts.pop("send") for name, facts in blocked.items()}
        assert obvious["bob"] == "alice"
        assert blocked == {name: seen_by(name) for name in ("alice", "bob")}
        assert [visit.click()["here"] for visit in (alice, bob)] == ["alice", "bob"]


def test_two_visitors(chromium, server):
    """Page, threads, cookies and callbacks have their visitor, as in Voila's other kernels.

    The same holds after a reload as the other user; another user's websocket is refused.
    """
    with visits(chromium, server.url, "alice", "bob") as (alice, bob):
        for visit in (alice, bob):
            visit.open()
        assert [v.told("page") for v in (alice, bob)] == [seen_by("alice"), seen_by("bob")]
        channels = [f"/api/kernels/{visit.kernel()}/channels" for visit in (alice, bob)]
        assert [bob.websocket(path) for path in channels] == ["refused", "open"]
        alice.reload_as("bob")
        bob.reload_as("alice")
        swapped = [seen_by("bob", "alice"), seen_by("alice", "bob")]
        assert [v.told("page") for v in (alice, bob)] == swapped
        assert [v.click() for v in (alice, bob)] == swapped


def _named(alice, bob):
    return (("alice", alice), ("bob", bob))
