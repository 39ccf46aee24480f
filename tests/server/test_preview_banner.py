"""The script that is put into the pages of Panel's previews."""

from __future__ import annotations

from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from jupyter_session_user.server.web.preview_banner import preview_banner, with_script

PAGE = "<html><body>é</body></html>".encode()
KERNEL = "0a1b"


def request(path):
    """Return a request for a path."""
    return HTTPServerRequest(
        start_line=RequestStartLine("GET", path, "HTTP/1.1"), headers=HTTPHeaders({"Host": "a"})
    )


def test_the_script_stands_at_the_end_and_what_is_no_page_stays():
    """Nothing is inserted without an end of the body; addresses are escaped."""
    page = with_script(PAGE, '/u/"x/', KERNEL)
    assert page.startswith("<html><body>é<script ".encode())
    assert page.endswith(b"defer></script></body></html>")
    assert b'src="/u/&quot;x/"' in page
    assert with_script(b"no page", "/u/", KERNEL) == b"no page"


def test_only_the_pages_of_previews_change():
    """Other pages, other requests' kernels and streamed answers pass as they are."""
    preview, same_path, other = (
        request(path)
        for path in (
            "/u/panel-preview/render/a.py",
            "/u/panel-preview/render/a.py",
            "/u/voila/render/a.ipynb",
        )
    )
    transform = preview_banner("/u/", {preview: KERNEL, other: KERNEL})
    for asked, finishing, changes in (
        (preview, True, True),
        (preview, False, False),
        (same_path, True, False),
        (other, True, False),
    ):
        headers = HTTPHeaders({"Content-Length": str(len(PAGE))})
        _, headers, page = transform(asked).transform_first_chunk(200, headers, PAGE, finishing)
        assert (page != PAGE) is changes
        assert headers["Content-Length"] == str(len(page))
        assert (b"/u/session-user/preview_banner.js" in page) is changes
