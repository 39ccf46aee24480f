"""Events: the server can write changes of sessions to a file, without secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jupyter_events import EventLogger
from local_server import LocalServer
from servers import DEMO, PASSWORDS, eventually, kernel_of, opened, own_server, people_on, username
from sessions_seen import subscription

from jupyter_session_user.core.session import Session
from jupyter_session_user.core.user import User
from jupyter_session_user.server.web.events import SCHEMA_ID, SessionEvents
from jupyter_session_user.store.base import Record

CONFIG = """
import logging, os
c.EventLogger.handlers = [logging.FileHandler(os.environ["HOME"] + "/sessions.jsonl")]
"""

RECORD = Record(
    Session(id="s1", user=User("alice"), source="test", verified=True), "k3y", "p3rson", b"st4mp"
)

OWN_SCHEMA = {
    "$id": "https://example.org/its_own",
    "version": "1",
    "type": "object",
    "properties": {"said": {"type": "string"}},
}


def events_of(server: LocalServer, name: str | None = None) -> list[dict[str, Any]]:
    """Return the written events of one user, or of all."""
    lines = (server.home / "sessions.jsonl").read_text().splitlines()
    events = [event for event in map(json.loads, lines) if event["__schema__"] == SCHEMA_ID]
    return [event for event in events if name in {None, event["username"]}]


def actions(events: list[dict[str, Any]]) -> list[str]:
    """Return the names of the events."""
    return [event["action"] for event in events]


async def test_two_peoples_sessions_in_a_file():
    """Both sessions begin on the server and on the kernel; alice signs out, bob is revoked."""
    with own_server(*DEMO, config={"jupyter_server_config.py": CONFIG}) as running:
        alice, bob = await people_on(running)
        async with kernel_of(alice) as kernel, opened(bob, kernel) as his:
            assert await username(his) == "bob"
            here = {s["kernel_id"]: s["id"] for s in await bob.json("api/session-user/sessions")}
            assert set(here) == {None, kernel}
            path = f"api/session-user/sessions/{here[kernel]}"
            assert (await bob.fetch(path, method="DELETE")).code == 204
            bobs = events_of(running, "bob")
        await alice.fetch("logout")
        await eventually(lambda: "signed_out" in actions(events_of(running, "alice")))
        text = (running.home / "sessions.jsonl").read_text()
    assert {(e["action"], e["kernel_id"], e["session_id"]) for e in bobs} == {
        (action, kernel_id, session_id)
        for action in ("started", "revoked")
        for kernel_id, session_id in here.items()
    }
    assert {(e["action"], e["state"]) for e in bobs} == {
        ("started", "active"),
        ("revoked", "revoked"),
    }
    assert {e["expiry_source"] for e in bobs} == {"estimated"}
    for secret in (*alice.cookies.values(), *bob.cookies.values(), *PASSWORDS.values()):
        assert secret.strip('"') not in text


@pytest.fixture
def written(tmp_path) -> tuple[EventLogger, Path]:
    """Return an event logger, and the file that it writes to."""
    path = tmp_path / "events.jsonl"
    handler = logging.FileHandler(path)
    logger = EventLogger()
    logger.handlers = []
    logger.register_handler(handler)
    yield logger, path
    handler.close()


def test_an_event_is_as_its_schema_says(written):
    """An event has exactly the fields of the schema; event and schema mark personal data."""
    logger, path = written
    SessionEvents(logger, logging.getLogger(), lambda *_: True)("started", RECORD)
    schema = logger.schemas.get(SCHEMA_ID)._schema
    (event,) = map(json.loads, path.read_text().splitlines())
    fields = {k: v for k, v in event.items() if not k.startswith("__")}
    assert set(fields) == set(schema["properties"]) == set(schema["required"])
    validator = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    validator.validate(fields)
    assert schema["personal-data"] is True
    marked = {name for name, about in schema["properties"].items() if about.get("personal-data")}
    assert marked == {"session_id", "username", "actor"}
    assert not any(word in path.read_text() for word in ("k3y", "p3rson", "st4mp"))


def test_only_who_asks_gets_them(written, tmp_path):
    """An extension's own handler gets its own events, and no session of anybody.

    The handler of the configuration gets both, and so does a listener for the schema.
    """
    logger, path = written
    events = SessionEvents(logger, logging.getLogger(), lambda *_: True)
    logger.register_event_schema(OWN_SCHEMA)
    heard = []

    async def listen(logger: EventLogger, schema_id: str, data: dict[str, Any]) -> None:
        heard.append(data["username"])

    async def emitted() -> None:
        logger.add_listener(schema_id=SCHEMA_ID, listener=listen)
        events("started", RECORD)
        logger.emit(schema_id=OWN_SCHEMA["$id"], data={"said": "hello"})
        await logger.gather_listeners()

    handler = logging.FileHandler(tmp_path / "its_own.jsonl")
    logger.register_handler(handler)
    asyncio.run(emitted())
    handler.close()
    schemas = [
        [json.loads(line)["__schema__"] for line in file.read_text().splitlines()]
        for file in (path, tmp_path / "its_own.jsonl")
    ]
    assert schemas == [[SCHEMA_ID, OWN_SCHEMA["$id"]], [OWN_SCHEMA["$id"]]]
    assert heard == ["alice"]


def test_without_an_event_logger_nothing_happens():
    """Standalone Voila has no event logger: other listeners still get the changes."""
    SessionEvents(None, logging.getLogger(), lambda *_: True)("started", RECORD)


def test_a_modifier_that_fails_harms_nobody(written, caplog):
    """If a handler fails, the log has only the error's type, and the next event is written."""
    logger, path = written
    events = SessionEvents(logger, logging.getLogger("server"), lambda *_: True)

    def failing(schema_id: str, data: dict[str, Any]) -> dict[str, Any]:
        raise ZeroDivisionError(data["username"])

    logger.add_modifier(schema_id=SCHEMA_ID, modifier=failing)
    events("started", RECORD)
    assert [record.getMessage() for record in caplog.records] == [
        "session events: ZeroDivisionError"
    ]
    logger.remove_modifier(schema_id=SCHEMA_ID, modifier=failing)
    events("expired", RECORD)
    assert actions([json.loads(line) for line in path.read_text().splitlines()]) == ["expired"]


async def test_a_subscriber_hears_of_own_sessions_alone():
    """Bob's tab receives events of Bob's sessions only; an administrator's tab receives all."""
    with own_server(*DEMO, "--JupyterSessionUser.admin_users=alice") as running:
        alice, bob = await people_on(running)
        subscribed = [await subscription(person) for person in (alice, bob)]
        (_, hers), (_, his) = subscribed
        for person, name in ((alice, "alice"), (bob, "bob")):
            async with kernel_of(person) as kernel, opened(person, kernel) as socket:
                assert await username(socket) == name

        async def all_heard() -> bool:
            return bool(his) and {e["username"] for e in hers} == {"alice", "bob"}

        await eventually(all_heard)
        assert {e["username"] for e in his} == {"bob"}
        for socket, _ in subscribed:
            socket.close()
            await socket.listening


async def test_a_forged_event_is_refused():
    """Only the server emits session events; other schemas are unchanged."""
    with own_server(*DEMO, config={"jupyter_server_config.py": CONFIG}) as running:
        alice, bob = await people_on(running)
        await alice.fetch("api/session-user/me")
        (event, *_) = events_of(running, "alice")
        data = {k: v for k, v in event.items() if not k.startswith("__")}
        body = {"schema_id": SCHEMA_ID, "version": "1", "data": {**data, "action": "revoked"}}
        assert (await bob.fetch("api/events", method="POST", body=body)).code == 400
        # Bob's own session may have begun meanwhile, which is an event of the server.
        assert "revoked" not in {found["action"] for found in events_of(running)}
