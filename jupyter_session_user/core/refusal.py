"""Replies to a client in place of the kernel, after its login has ended.

A front end waits for ``idle`` with its request's header as the parent, and for a reply to each
request. Each message gets all of these, so that nothing in the browser hangs.
https://jupyter-client.readthedocs.io/en/stable/messaging.html#request-reply

This file defines the content. The caller adds a header, with the request's header as its parent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_session_user.core.frames import ClientMessage

__all__ = ["Answer", "close_reason", "error_content", "error_name", "refuse", "sentence"]

_SENTENCES = {
    "expired": "Your login has expired.",
    "revoked": "Your login was revoked on this server.",
    "signed_out": "You have logged out.",
}
_WHAT_TO_DO = "Log in again, then reconnect to the kernel and run the cell again; nothing is lost."

_REQUEST = "_request"


@dataclass(frozen=True, slots=True)
class Answer:
    """One message to the client."""

    channel: str
    msg_type: str
    content: dict[str, Any]


_BUSY = Answer("iopub", "status", {"execution_state": "busy"})
_IDLE = Answer("iopub", "status", {"execution_state": "idle"})


def error_name(state: str) -> str:
    """Return the name of the error that the kernel's own code would raise."""
    return "SessionExpired" if state == "expired" else "SessionRevoked"


def sentence(state: str) -> str:
    """Return a sentence for the user: what happened, and what to do."""
    return f"{_SENTENCES[state]} {_WHAT_TO_DO}"


def close_reason(state: str) -> str:
    """Return the same within the 123 bytes that a websocket close reason may have."""
    return f"{_SENTENCES[state]} Log in again."


def refuse(
    message: ClientMessage, state: str, kernel_info: dict[str, Any] | None = None
) -> tuple[Answer, ...]:
    """Return the replies to a message that does not reach the kernel, in order.

    Args:
        message: The client's message.
        state: ``expired``, ``revoked`` or ``signed_out``.
        kernel_info: The kernel's own ``kernel_info_reply`` content, which is not secret.
    """
    msg_type: str = message.header["msg_type"]
    if message.channel == "stdin":
        return ()  # an answer to input() gets no reply
    if not msg_type.endswith(_REQUEST):
        return _BUSY, _IDLE  # a widget waits for idle
    error = error_content(state)
    is_shown = msg_type == "execute_request" and not message.silent
    shown = (Answer("iopub", "error", error),) if is_shown else ()
    content = _reply_content(msg_type, error, kernel_info)
    reply = Answer(message.channel, msg_type.removesuffix(_REQUEST) + "_reply", content)
    return _BUSY, *shown, reply, _IDLE


def _reply_content(
    msg_type: str, error: dict[str, Any], kernel_info: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the content of a reply; most types have the same schema for errors."""
    failed = {"status": "error", **error}
    if msg_type == "execute_request":
        return {**failed, "execution_count": None, "user_expressions": {}, "payload": []}
    if msg_type == "is_complete_request":
        return {"status": "unknown"}
    if msg_type == "kernel_info_request" and kernel_info:
        return kernel_info
    if msg_type == "debug_request":  # a response of the Debug Adapter Protocol
        return {**failed, "type": "response", "success": False, "message": error["evalue"]}
    return failed


def error_content(state: str) -> dict[str, Any]:
    """Return the content of an ``error`` message."""
    name, text = error_name(state), sentence(state)
    # Front ends show only the traceback, in IPython's colours.
    return {"ename": name, "evalue": text, "traceback": [f"\x1b[0;31m{name}\x1b[0m: {text}"]}
