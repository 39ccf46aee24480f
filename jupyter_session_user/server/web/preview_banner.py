"""Puts the banner into the pages of Panel's previews.

The kernel renders such a page, and need not import this package. So the server inserts one script
into the response of Panel's handler. ``OutputTransform`` is Tornado's hook for that.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from jupyter_server.utils import url_path_join
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PREVIEWS", "preview_banner"]

#: The path of Panel's previews, below the base URL.
PREVIEWS = "panel-preview/render"

_SCRIPT = "session-user/preview_banner.js"
_END = b"</body>"


def preview_banner(
    base_url: str, kernels: Mapping[HTTPServerRequest, str]
) -> type[OutputTransform]:
    """Return the class to put first into ``Application.transforms``, before a compression.

    Args:
        base_url: The server's base URL.
        kernels: The ids of the kernels of these pages, by the requests that made them.
    """
    previews = url_path_join(base_url, PREVIEWS)

    class PreviewBanner(OutputTransform):
        def __init__(self, request: HTTPServerRequest) -> None:
            self._request = request

        def transform_first_chunk(
            self,
            status_code: int,
            headers: HTTPHeaders,
            chunk: bytes,
            finishing: bool,  # noqa: FBT001 - Tornado's signature
        ) -> tuple[int, HTTPHeaders, bytes]:
            kernel_id = kernels.get(self._request)
            if kernel_id is None or not finishing or not self._request.path.startswith(previews):
                return status_code, headers, chunk
            page = with_script(chunk, url_path_join(base_url, _SCRIPT), kernel_id)
            if "Content-Length" in headers:
                headers["Content-Length"] = str(len(page))
            return status_code, headers, page

    return PreviewBanner


def with_script(page: bytes, address: str, kernel_id: str) -> bytes:
    """Return a page with the script at its end; a page without an end stays as it is.

    Args:
        page: HTML in an encoding that contains ASCII.
        address: The script's URL.
        kernel_id: The kernel that renders the page.
    """
    before, end, after = page.rpartition(_END)
    script = f'<script src="{escape(address)}" data-kernel="{escape(kernel_id)}" defer></script>'
    return before + script.encode() + end + after if end else page
