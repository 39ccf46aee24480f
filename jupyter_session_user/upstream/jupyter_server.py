"""The private names of Jupyter Server, each behind a function that explains it."""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import Any

__all__ = [
    "accept_token",
    "came_with_token",
    "forget_user",
    "keep_contexts_apart",
    "kernel_info_of",
    "reads_slices",
    "user_so_far",
]

_ZMQ_METHOD = (
    "jupyter_server.services.kernels.connection.channels",
    "ZMQChannelsWebsocketConnection.handle_incoming_message",
)


def keep_contexts_apart(call_context: Any) -> None:
    """Make ``CallContext.set`` leave the contexts alone that this one was copied from.

    Releases before 2.18 put the value into the dictionary that the context has inherited. Then all
    requests whose tasks descend from one context with a dictionary share one handler, and each has
    the user of the latest. Since 2.18, the dictionary is copied, as here.

    Args:
        call_context: The class; harmless when repeated.
    """
    if not Context().run(_shares, call_context):
        return
    variables = call_context._name_value_map  # noqa: SLF001 - see the module

    def set_here(name: str, value: Any) -> None:
        variables.set({**variables.get({}), name: value})

    call_context.set = staticmethod(set_here)


def _shares(call_context: Any) -> bool:
    """Tell whether a value that a copy of this context sets is to be seen here, too."""
    call_context.set("probe", "parent")
    copy_context().run(call_context.set, "probe", "child")
    return bool(call_context.get("probe") == "child")


def came_with_token(handler: Any) -> bool:
    """Tell whether the provider accepted this request because of its token.

    ``is_token_authenticated`` would look the user up, and this is called during the lookup.
    """
    return bool(getattr(handler, "_token_authenticated", False))


def accept_token(handler: Any) -> None:
    """Note that a token authenticates this request: no browser adds it, so XSRF is no danger."""
    handler._token_authenticated = True  # noqa: SLF001 - see the module


def user_so_far(handler: Any) -> Any:
    """Return the user of a request; None before it is found.

    ``current_user`` raises an error before it is found.
    """
    return getattr(handler, "_jupyter_current_user", None)


def forget_user(handler: Any) -> None:
    """Set that a request has no user: its log line reads both attributes."""
    handler.current_user = handler._jupyter_current_user = None  # noqa: SLF001 - see the module


def kernel_info_of(connection: Any) -> dict[str, Any]:
    """Return the content of the ``kernel_info_reply`` that a ZMQ connection waits for."""
    future = getattr(connection, "_kernel_info_future", None)
    return (future.result() or {}) if future is not None and future.done() else {}


def reads_slices(handle_incoming_message: Any) -> bool:
    """Tell whether this method of a kernel's websocket reads a v1 frame by its slices alone.

    The method for ZMQ does: ``deserialize_msg_from_ws_v1`` makes slices, and pyzmq sends views. If
    a release wanted more of a frame than slices, it would get a TypeError, and send nothing.
    """
    function = getattr(handle_incoming_message, "__func__", None)
    names = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    # A wrapper of another extension has the same names, and may read the whole frame.
    return names == _ZMQ_METHOD and not hasattr(function, "__wrapped__")
