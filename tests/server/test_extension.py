"""The extension's life cycle: it wraps the class from its load on, and stops in any state."""

from __future__ import annotations

from servers import DEMO, EXTENSION, eventually, own_server

from jupyter_session_user.server.extension import JupyterSessionUser


async def test_the_connection_class_is_wrapped_before_any_request():
    """Another extension that loads later gets our class, and so do the start hooks."""
    with own_server(*DEMO, extensions=(EXTENSION, "looks_at_load")) as server:
        await eventually(lambda: "looked at start" in server.log_text())
        log = server.log_text()
    assert "looked at load: StampedZMQChannelsWebsocketConnection" in log
    assert "looked at start: StampedZMQChannelsWebsocketConnection" in log


async def test_an_extension_that_was_never_loaded_can_be_stopped():
    """A server that aborts its start stops all extensions, even before ours is wired."""
    await JupyterSessionUser().stop_extension()
