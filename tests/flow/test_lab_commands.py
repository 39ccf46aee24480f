"""A command for the pages of all users: the audit says who sent it, not whose page runs it."""

from __future__ import annotations

from agents import agent_of
from audits import Audit
from jupyter_events import EventLogger
from lab_command_channel import SCHEMA
from servers import EXTENSION, eventually, kernel_of, opened, people_on

from jupyter_session_user.server.messages.executions import Executions
from jupyter_session_user.server.web.lab_commands import LAB_COMMAND_SCHEMA_ID, watch_lab_commands

TELL = "api/tell-pages"


async def test_the_audit_names_the_agent_that_sent_it(tmp_path):
    """Alice's agent sends one, Bob another, by a tool and by REST; one comes from no request.

    Bob's page listens to all of them: the user of the listener would be Bob each time.
    """
    audit = Audit(tmp_path / "audit.jsonl")
    with audit.server(extensions=(EXTENSION, "lab_command_channel")) as running:
        alice, bob = await people_on(running)
        helper = await agent_of(alice, "Helper")
        await helper.json(TELL, method="POST", body={"name": "notebook:run-cell"})
        await bob.json(TELL, method="POST", body={"name": "docmanager:open", "client_id": "c1"})
        body = {"schema_id": LAB_COMMAND_SCHEMA_ID, "version": "1", "data": {"name": "by:rest"}}
        assert (await helper.fetch("api/events", method="POST", body=body)).code == 204
        await bob.json(TELL, method="POST", body={"name": "x:y", "later": True})
        await eventually(lambda: len(audit.records("lab_command")) == 4)
        async with kernel_of(bob) as kernel, opened(bob, kernel) as his:
            await his.execute("1")  # what his page does then has his name, and no actor
    found = [
        (r["username"], r["actor"] and r["actor"]["name"], r["kernel_id"], r["detail"])
        for r in audit.records("lab_command")
    ]
    assert found == [
        ("alice", "Helper", None, "notebook:run-cell"),
        ("bob", None, None, "docmanager:open, for the page c1"),
        ("alice", "Helper", None, "by:rest"),
        (None, None, None, "x:y, sent outside any user's request"),
    ]
    (ran,) = audit.records()
    assert (ran["username"], ran["actor"]) == ("bob", None)
    assert audit.problems() == []


class _Nowhere:
    """An origin outside any request."""

    def record(self, kernel_id: str | None) -> None:
        """Return no session."""


def test_the_sender_still_learns_that_no_page_listens():
    """Where nothing listens, the event is not emitted, and nothing is recorded."""
    records, logger = [], EventLogger()
    logger.register_event_schema(SCHEMA)
    watch_lab_commands(logger, Executions(records.append), _Nowhere())
    assert logger.emit(schema_id=LAB_COMMAND_SCHEMA_ID, data={"name": "a:b"}) is None
    assert records == []
