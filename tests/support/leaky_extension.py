"""A server extension whose handler fails, with a marker in what extensions write.

``GET api/leaky/raise``  raises in a frame with the request, the user and the marker in its locals;
                         with ``?answer``, the client is told the error's text
``GET api/leaky/sign``   puts the marker into a metric and an event, and prints all stacks

The marker is in the environment variable ``PLANTED``: a sink that does not have it was not read.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import warnings
from typing import Any

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from prometheus_client import Gauge
from tornado import web

_MARKER = os.environ.get("PLANTED", "planted")
_SCHEMA = {
    "$id": "https://example.org/leaky",
    "version": "1",
    "title": "Leaky",
    "personal-data": False,
    "type": "object",
    "properties": {"marker": {"type": "string", "title": "Marker"}},
}
_GAUGE = Gauge("leaky", "A metric of the tests", ["marker"])


class RaiseHandler(APIHandler):
    """Fails, as a handler with a bug does."""

    @web.authenticated
    def get(self) -> None:
        """Raise."""
        user, marker, request = self.current_user, _MARKER, self.request
        warnings.warn(f"{marker} {user!r}", stacklevel=1)
        self.log.warning("%s %r", marker, user, stack_info=True)
        if self.get_argument("answer", None) is not None:
            raise web.HTTPError(500, f"{marker} {request!r} {vars(user)}")
        raise RuntimeError(f"{marker} {user!r} {request.method}")


class SignHandler(APIHandler):
    """Writes where extensions write."""

    @web.authenticated
    def get(self) -> None:
        """Write."""
        _GAUGE.labels(marker=_MARKER).inc()
        self.settings["event_logger"].emit(schema_id=_SCHEMA["$id"], data={"marker": _MARKER})
        # Stacks name functions: this one has the marker for a name.
        space: dict[str, Any] = {"dump": faulthandler.dump_traceback, "out": sys.stderr}
        exec(f"def {_MARKER}():\n    dump(out)", space)  # noqa: S102 - the name is our own
        space[_MARKER]()
        self.finish("{}")


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "leaky_extension"}]


def _load_jupyter_server_extension(serverapp: Any) -> None:
    serverapp.event_logger.register_event_schema(_SCHEMA)
    base = serverapp.web_app.settings["base_url"]
    routes = [("api/leaky/raise", RaiseHandler), ("api/leaky/sign", SignHandler)]
    serverapp.web_app.add_handlers(".*$", [(url_path_join(base, p), h) for p, h in routes])
