"""How long it takes until a user is refused whose login the identity provider ends by a message.

    python benchmarks/logout_push.py [--quick] [--json FILE]

As in ``revocation.py``, a user keeps sending cells over an open websocket while another one watches
the kernel. Times are in ms, from the moment when the provider sends its token to the first refusal.
Prints JSON; ends with status 1 if a later request reached the kernel, or if another browser ended.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
import uuid
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from local_server import LocalServer, local_server
from people import LEGACY, V1, Person
from provider import Provider, send_event, send_logout
from revocation import Case, one_round, percentiles, scene
from support import HERE, report

GOAL_MS = 1_000.0
ROUNDS, QUICK = 100, 3  # for each protocol

OPTIONS = (
    "--ServerApp.jpserver_extensions={'jupyter_session_user': True}",
    "--ServerApp.identity_provider_class=support.HeaderIdentity",
    "--ServerApp.disable_check_xsrf=True",
)


class Pushing:
    """A provider, and the session of each browser there.

    Args:
        provider: The provider.
    """

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._sessions: dict[Person, str] = {}

    async def enter(self, running: LocalServer, name: str) -> Person:
        """Return a browser with a session of its own at the provider."""
        sid = str(uuid.uuid4())
        person = self._provider.browser(running.url, name, sid=sid)
        self._sessions[person] = sid
        return person

    async def throw_out(self, kind: str, case: Case, person: Person, _: Person) -> float:
        """Send a token about this browser; return when it was sent."""
        sid, sent = self._sessions[person], time.time()
        if kind == "logout token":
            token = self._provider.logout_token(sid=sid, sub="id-of-alice")
            answer = await send_logout(case.running.url, token)
        else:
            token = self._provider.event_token({"format": "opaque", "id": sid})
            answer = await send_event(case.running.url, token)
        if answer.code not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
            raise RuntimeError(f"not accepted: {answer.code} {answer.body!r}")
        return sent


async def goes_on(person: Person) -> bool:
    """Tell whether a browser's login is accepted."""
    return (await person.fetch("api/kernels")).code == HTTPStatus.OK


async def measure(kind: str, running: LocalServer, provider: Provider, rounds: int) -> Any:
    """End a login many times, over both protocols."""
    pushing = Pushing(provider)
    case = Case(running, pushing.enter, partial(pushing.throw_out, kind), GOAL_MS, at_once=False)
    times, late, wrong = [], 0, 0
    for protocol in (V1, LEGACY):
        async with scene(case) as stage:
            for _ in range(rounds):
                took, missed = await one_round(case, stage, protocol)
                times.append(took)
                late += missed
                wrong += not await goes_on(stage.elsewhere) or not await goes_on(stage.bob)
    return {
        "ms": percentiles(times),
        "trials": len(times),
        "goal_p99_ms": GOAL_MS,
        "goal_met": percentiles(times)["p99"] <= GOAL_MS,
        "reached_kernel_too_late": late,
        "others_ended": wrong,
    }


def main() -> None:
    """Measure both kinds of tokens, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, for a first look")
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    options = parser.parse_args()
    rounds = QUICK if options.quick else ROUNDS
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        provider = Provider(Path(folder))
        settings = (*OPTIONS, *provider.settings, *provider.jwt_settings)
        env = {"PYTHONPATH": f"{HERE}:{HERE.parent}"}
        with local_server(*settings, env=env) as running:
            for kind in ("logout token", "session-revoked"):
                result[kind] = asyncio.run(measure(kind, running, provider, rounds))
                print(kind, json.dumps(result[kind]), file=sys.stderr)
    report(result)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    bad = sum(one["reached_kernel_too_late"] + one["others_ended"] for one in result.values())
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
