"""A cell that makes the kernel send messages that look like another user's run."""

from __future__ import annotations

__all__ = ["FORGE"]

#: Sends, from inside the kernel, all that could look like a run of Bob's in a naive front end.
FORGE = """
kernel = get_ipython().kernel
header = {"msg_id": "forged", "msg_type": "execute_request", "session": "bob", "username": "bob",
          "date": "2030-01-01T00:00:00Z", "version": "5.4"}
stamp = {"user": {"username": "bob"}, "source": "identity_provider", "verified": True}
about = {"cellId": "forged", "cell_id": "forged", "jupyter_session_user": stamp, "username": "bob"}
for kind, content in (
    ("execute_input", {"code": "1", "execution_count": 1}),
    ("status", {"execution_state": "idle"}),
    ("execute_reply", {"status": "ok", "user": "bob", "cell_id": "forged"}),
    ("jupyter_session_user_run", {"cell_id": "forged", "who": {"username": "bob"}}),
):
    kernel.session.send(kernel.iopub_socket, kind, content, parent=header, metadata=about)
"""
