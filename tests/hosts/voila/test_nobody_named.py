"""Voila without names: no authentication, a token in the address, no cookies; and without us.

Every page here has to work as on a Voila without the package.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import servers
from voila_pages import NOTEBOOK, TOLERANT, together, visits, voila

pytestmark = pytest.mark.browser

_TOKEN = "a-token-of-the-test"

#: Lets other sites embed the page, as a site that embeds Voila has to.
_EMBEDDED = "--Voila.tornado_settings={'headers': {'Content-Security-Policy': 'frame-ancestors *'}}"

_KINDS = {"open": (), "token": (f"--token={_TOKEN}",)}


@pytest.fixture(scope="module")
def start(_voila):
    """Return a function that starts Voila once per kind, with the package or without."""
    running = {}
    with ExitStack() as stack:

        def address(kind, *, ours=True):
            if (kind, ours) not in running:
                options = {"files": {"page.ipynb": TOLERANT}, "ours": ours}
                server = voila(*_KINDS[kind], _EMBEDDED, **options)
                running[kind, ours] = stack.enter_context(server).url
            return running[kind, ours]

        yield address


def test_without_authentication(chromium, start):
    """Visitors are distinct users that Jupyter made up, and they are not verified.

    Callbacks have the same user as their page.
    """
    with visits(chromium, start("open"), None, None) as people:
        together(people)
        pages = [visit.told("page") for visit in people]
        for facts in pages:
            assert facts["anonymous"] and not facts["verified"]
            assert facts["bound"] == facts["here"] and facts["bare"] == "no_context"
        assert pages[0]["here"] != pages[1]["here"]
        clicks = [visit.click() for visit in people]
        assert [click["who"]["here"] for click in clicks] == [facts["here"] for facts in pages]


def test_a_token_in_the_address(chromium, start):
    """With ``voila --token`` visitors are also made up, and their token has been checked."""
    with visits(chromium, start("token"), None, None) as people:
        for visit in people:
            visit.open(f"?token={_TOKEN}")
        for visit in people:
            page, click = visit.told("page"), visit.click()
            assert page["anonymous"] and page["verified"]
            assert click["who"]["anonymous"] and click["who"]["verified"]
            assert click["clicks"] == 1


@pytest.mark.parametrize("kind", _KINDS)
def test_a_frame_without_cookies(chromium, start, kind):
    """In another site's frame, without cookies, pages work as on a server without us."""
    fared = []
    for ours in (True, False):
        names = (None, None) if ours else (None,)
        with visits(chromium, start(kind, ours=ours), *names) as people:
            frames = [visit.embed(f"?token={_TOKEN}") for visit in people]
            results = [_fares(*pair) for pair in zip(people, frames, strict=True)]
            assert results[0] == results[-1]
            for visit in people:
                assert {cookie["name"] for cookie in visit.context.cookies(visit.url)} == {"locale"}
            fared.append(results[0])
    assert fared[0] == fared[1]
    assert fared[0]["websocket"] == "open" or kind == "token"


def _fares(visit, frame):
    """Return the features that work in a framed page."""
    visit.told("page", frame)
    channel = f"/api/kernels/{visit.kernel(frame)}/channels"
    result = {"websocket": visit.websocket(channel, frame)}
    if result["websocket"] == "open":
        result["clicks"] = visit.click(frame)["clicks"]
    return result


def test_not_enabled(chromium, start):
    """Without our keys in ``voila.json`` pages work, and the error names the command to run."""
    with visits(chromium, start("open", ours=False), "alice", "bob") as people:
        together(people)
        for visit in people:
            assert "jupyter session-user enable voila" in visit.told("page")["error"]
            assert visit.click() == {"clicks": 1, "who": None}


def test_kernels_that_are_not_exclusive(chromium):
    """``exclusive_kernels=False`` admits others' websockets; each page still has its visitor."""
    with (
        servers.own_server(
            *servers.identity("HeaderIdentityProvider"),
            "--JupyterSessionUser.exclusive_kernels=False",
            extensions=(servers.EXTENSION, "voila.server_extension"),
            files={"page.ipynb": NOTEBOOK},
        ) as server,
        visits(chromium, f"{server.url}voila/render/page.ipynb", "alice", "bob") as people,
    ):
        together(people)
        assert [visit.told("page")["here"] for visit in people] == ["alice", "bob"]
        for visit, other in (people, people[::-1]):
            assert visit.websocket(f"/api/kernels/{other.kernel()}/channels") == "open"
        assert [visit.click()["here"] for visit in people] == ["alice", "bob"]
