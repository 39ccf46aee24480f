"""Voila's pages know their visitor, in each way that Voila makes them."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import servers
from voila_pages import HEADER, NOTEBOOK, seen_by, together, visits, voila

pytestmark = pytest.mark.browser

_PAGE = "page.ipynb"


def _extension():
    return servers.own_server(
        *servers.identity("HeaderIdentityProvider"),
        extensions=(servers.EXTENSION, "voila.server_extension"),
        files={_PAGE: NOTEBOOK},
    )


#: The command for each kind of server, and the path of its page.
KINDS = {
    "extension": (_extension, f"voila/render/{_PAGE}"),
    "standalone": (lambda: voila(*HEADER, files={_PAGE: NOTEBOOK}), ""),
    "progressive": (
        lambda: voila(
            *HEADER,
            "--progressive_rendering=True",
            "--show_tracebacks=True",
            files={_PAGE: NOTEBOOK},
        ),
        "",
    ),
}


@pytest.fixture(scope="module")
def start(_voila):
    """Return a function that starts a server of each kind once, and returns its page's address."""
    running = {}
    with ExitStack() as stack:

        def address(kind):
            if kind not in running:
                run, path = KINDS[kind]
                running[kind] = stack.enter_context(run()).url + path
            return running[kind]

        yield address


@pytest.fixture(params=KINDS)
def url(request, start):
    """Return the address of a page, on each kind of server."""
    return start(request.param)


def test_two_visitors(chromium, url):
    """Each visitor has their own user: in the page's cells, threads, cookies, and in callbacks.

    The same holds when both reload the page and each is then the other user.
    """
    with visits(chromium, url, "alice", "bob") as (alice, bob):
        together((alice, bob))
        assert [v.told("page") for v in (alice, bob)] == [seen_by("alice"), seen_by("bob")]
        assert [v.click() for v in (alice, bob)] == [seen_by("alice"), seen_by("bob")]
        alice.reload_as("bob")
        bob.reload_as("alice")
        swapped = [seen_by("bob", "alice"), seen_by("alice", "bob")]
        assert [v.told("page") for v in (alice, bob)] == swapped
        assert [v.click() for v in (alice, bob)] == swapped


@pytest.mark.parametrize("kind", ["extension", "standalone"])
def test_another_users_websocket_is_refused(chromium, start, kind):
    """Trap: any client with the id of a visitor's kernel can send messages to it.

    Each visitor's own websocket works, and the other's is refused.
    """
    with visits(chromium, start(kind), "alice", "bob") as (alice, bob):
        together((alice, bob))
        for visit in (alice, bob):
            visit.told("page")
        channels = [f"/api/kernels/{visit.kernel()}/channels" for visit in (alice, bob)]
        refusals = [visit.page.expect_console_message(_is_refusal) for visit in (alice, bob)]
        with refusals[0], refusals[1]:
            assert [alice.websocket(path) for path in channels] == ["open", "refused"]
            assert [bob.websocket(path) for path in channels] == ["refused", "open"]
        assert [v.click() for v in (alice, bob)] == [seen_by("alice"), seen_by("bob")]


def _is_refusal(message):
    return "/channels" in message.text and "Unexpected response code: 403" in message.text


def test_progressive_rendering_for_somebody_else(chromium, start):
    """Trap: the page's cells run for the first client of Voila's websocket with the kernel id.

    If bob opens it with alice's kernel, the cells run neither as alice nor as bob.
    """
    with visits(chromium, start("progressive"), "alice", "bob") as (alice, bob):
        # Her browser never requests the cells: the page stays unchanged.
        alice.page.add_init_script("window.WebSocket = class { close() {} send() {} }")
        for visit in (alice, bob):
            visit.open()
        assert bob.told("page") == seen_by("bob")
        alice.page.wait_for_selector("#jupyter-config-data", state="attached")
        said = bob.page.evaluate(_EXECUTE, alice.kernel())
        assert "IdentityUnavailable" in said
        assert "sent for a user other than this kernel's visitor" in said
        assert "<page" not in said


#: The steps of Voila's own front end, with another user's kernel.
_EXECUTE = """kernel_id => new Promise((done, fail) => {
    const root = location.origin.replace('http', 'ws');
    const socket = new WebSocket(`${root}/voila/execution/${kernel_id}`);
    const said = [];
    socket.onerror = fail;
    socket.onmessage = ({data}) => {
        const {action, payload} = JSON.parse(data);
        if (action === 'initialized') {
            socket.send(JSON.stringify({action: 'execute', payload: {kernel_id}}));
            return;
        }
        said.push(data);
        if (action === 'execution_error' || payload.cell_index + 1 === payload.total_cell) {
            done(said.join('\\n'));
        }
    };
})"""
