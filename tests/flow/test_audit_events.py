"""The records as Jupyter events, and the metrics: what users see of them, and cannot do."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from people import Person
from prometheus_client.parser import text_string_to_metric_families
from servers import DEMO, eventually, kernel_of, opened, own_server, people_on
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from jupyter_session_user.server.messages.counts import Counts
from jupyter_session_user.server.web import audit as module
from jupyter_session_user.server.web.audit import EXECUTION_SCHEMA_ID
from jupyter_session_user.server.web.metrics import Metrics

HANDLER = """
import logging, os
c.EventLogger.handlers = [logging.FileHandler(os.environ["HOME"] + "/events.jsonl")]
"""
#: A cell that ends, and whose reply has come before the next test step.
CELL = "1"


def of_schema(path: Path) -> list[dict[str, Any]]:
    """Return the events of executions in a file of Jupyter's handler."""
    events = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [event for event in events if event["__schema__"] == EXECUTION_SCHEMA_ID]


async def messages_of_tab(person: Person) -> tuple[Any, list[dict[str, Any]]]:
    """Subscribe to all events as every JupyterLab tab does."""
    url = f"ws{person.url[4:]}api/events/subscribe"
    socket = await websocket_connect(HTTPRequest(url, headers=person._cookie_header()))
    heard: list[dict[str, Any]] = []

    async def listen() -> None:
        while (text := await socket.read_message()) is not None:
            heard.append(json.loads(text))

    socket.listening = asyncio.create_task(listen())
    return socket, heard


async def test_events_are_as_the_schema_says():
    """Alice's and Bob's cells, a join, a revocation, a refusal: all are valid, with their names."""
    config = {"jupyter_server_config.py": HANDLER}
    option = "--JupyterSessionUser.audit_events=True"
    code = "--JupyterSessionUser.audit_code=True"
    with own_server(*DEMO, option, code, config=config) as server:
        path = server.home / "events.jsonl"
        alice, bob = await people_on(server)
        async with (
            kernel_of(alice) as kernel,
            opened(alice, kernel) as hers,
            opened(bob, kernel) as his,
        ):
            await hers.execute("'alice ran this'")
            await his.execute("'bob ran this'", {"jupyter_session_user": 1})
            await bob.fetch("api/session-user/logout-everywhere", method="POST", body={})
            await his.execute("'too late'")
            await eventually(lambda: any(e["kind"] == "refusal" for e in of_schema(path)))
        events = of_schema(path)
    schema = yaml.safe_load(module._SCHEMA_FILE.read_text())
    validator = jsonschema.Draft7Validator(schema, format_checker=jsonschema.FormatChecker())
    for event in events:
        validator.validate({k: v for k, v in event.items() if not k.startswith("__")})
    ran = [(e["username"], e["code"]) for e in events if e["kind"] == "execution"]
    assert ran == [("alice", "'alice ran this'"), ("bob", "'bob ran this'")]
    rest = {(e["kind"], e["username"]) for e in events if e["kind"] != "execution"}
    assert rest == {(k, "bob") for k in ("join", "forged_stamp", "revocation", "refusal")}


async def test_no_events_unless_the_administrator_says_so():
    """A handler that another purpose needs gets no record of executions."""
    with own_server(*DEMO, config={"jupyter_server_config.py": HANDLER}) as server:
        alice, bob = await people_on(server)
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            await hers.execute(CELL)
            async with opened(bob, kernel) as his:
                await his.execute(CELL)
        path = server.home / "events.jsonl"
        await eventually(path.exists)
        assert path.read_text().strip()  # the sessions of both
        assert of_schema(path) == []


async def test_browsers_get_no_records_and_emit_none():
    """Neither Bob's tab nor an administrator's hears of executions; Bob cannot invent one."""
    options = ("--JupyterSessionUser.audit_events=True", "--JupyterSessionUser.admin_users=alice")
    config = {"jupyter_server_config.py": HANDLER}
    with own_server(*DEMO, *options, config=config) as server:
        path = server.home / "events.jsonl"
        alice, bob = await people_on(server)
        tabs = [await messages_of_tab(person) for person in (alice, bob)]
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            await hers.execute(CELL)
            await eventually(lambda: of_schema(path))
        event = {k: v for k, v in of_schema(path)[0].items() if not k.startswith("__")}
        body = {
            "schema_id": EXECUTION_SCHEMA_ID,
            "version": "1",
            "data": {**event, "username": "alice", "message_id": "invented"},
        }
        answer = await bob.fetch("api/events", method="POST", body=body)
        assert answer.code >= 400
        assert "invented" not in path.read_text()
        for socket, heard in tabs:
            assert heard  # the subscription works
            assert [e for e in heard if e["schema_id"] == EXECUTION_SCHEMA_ID] == []
            socket.close()
            await socket.listening


def metrics_of(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return our metrics by name and labels."""
    return {
        sample.name: {
            tuple(s.labels.values()): s.value for s in family.samples if s.name == sample.name
        }
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("jupyter_session_user_")
    }


async def test_metrics(tmp_path):
    """``/metrics`` counts what two people do, and names neither of them, nor a kernel."""
    option = f"--JupyterSessionUser.audit_file={tmp_path / 'audit.jsonl'}"
    with own_server(*DEMO, option) as server:
        alice, bob = await people_on(server)
        async with kernel_of(alice) as kernel, opened(alice, kernel) as hers:
            await hers.execute("import jupyter_session_user as j; j.get_cookies()")
            async with opened(bob, kernel) as his:
                before = metrics_of((await alice.fetch("metrics")).body.decode())
                await his.execute(CELL, {"jupyter_session_user": {}})
                await bob.fetch("api/session-user/logout-everywhere", method="POST", body={})
                await his.execute(CELL)
                text = (await alice.fetch("metrics")).body.decode()
    after = metrics_of(text)
    prefix = "jupyter_session_user_"
    grown = {
        name.removeprefix(prefix): after[name][()] - before[name][()]
        for name in after
        if () in after[name]
    }
    assert grown["forged_stamps_total"] == 1
    assert grown["refusals_total"] == 1
    assert grown["stamps_total"] >= 1
    assert after[f"{prefix}bridge_requests_total"][()] >= 1
    assert after[f"{prefix}audit_lost_total"][()] == 0
    assert f"{prefix}audit_queue" in after
    kinds = {frozenset(labels) for labels in after[f"{prefix}sessions"]}
    assert kinds == {frozenset({state, "jupyter_server"}) for state in ("active", "revoked")}
    ours = "\n".join(line for line in text.splitlines() if prefix in line)
    assert not any(secret in ours for secret in ("alice", "bob", kernel))


def test_unknown_by_runner():
    """The package that ran code for an unknown user is a label; no audit file, no such metrics."""
    collector = Metrics([], Counts(forged=3), lambda: {"some_extension": 4}, None)
    found = {family.name: family.samples for family in collector.collect()}
    (unknown,) = found["jupyter_session_user_unknown"]
    assert (unknown.labels, unknown.value) == ({"runner": "some_extension"}, 4)
    assert found["jupyter_session_user_forged_stamps"][0].value == 3
    assert not any("audit" in name for name in found)


def test_a_handler_that_fails_harms_nobody(caplog, tmp_path):
    """The log has the type of the error, and the audit file its line."""
    from jupyter_events import EventLogger

    from jupyter_session_user.server.settings import Settings

    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError(record.getMessage())

    logger = EventLogger(handlers=[Failing()])
    settings = Settings(audit_file=str(tmp_path / "a.jsonl"), audit_events=True)
    audit = module.Audit(settings, logger, logging.getLogger("server"))
    audit.executions.note("join", None, "k1", "a reason")
    audit.close()
    assert "execution events: ZeroDivisionError" in caplog.text
    assert "a reason" not in caplog.text
    assert json.loads((tmp_path / "a.jsonl").read_text())["detail"] == "a reason"
