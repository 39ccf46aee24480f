"""What a token costs: an identity token, and an access token of the institution.

    python benchmarks/tokens.py [--quick] [--json FILE]
    python benchmarks/tokens.py --secrets [--json FILE]

Two users ask in kernels of their own. ``cached``: the kernel has the token. ``cold``: each call
asks the server. ``verify``: a service verifies an identity token. Access tokens come from a
provider in a process of its own (Authlib): ``cold`` is then an exchange (RFC 8693), and
``provider`` the same request without Jupyter. 100 calls at once have to be one request to the
provider. Times are in ms.

With ``--secrets`` it measures nothing, and looks for each secret in each place where texts of a
server, a kernel or a page end up (``tests/support/secret_sinks.py``).

Prints JSON; ends with status 1 if a token was about another user, if a goal was missed, or if a
secret was found.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import shutil
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import _paths  # noqa: F401 - for what comes from the tests
from oauth_provider import CLIENT, CLIENT_SECRET, EXCHANGE, RunningProvider, oauth_provider
from people import Person
from servers import PASSWORDS, own_server
from support import percentiles, person, report, server

from jupyter_session_user import verify_identity_token
from jupyter_session_user.core.login_tokens import claims_in

GOAL_CACHED_MS = 1.0
#: What an exchange may take beyond the provider's own time.
GOAL_EXTRA_MS = 5.0
CACHED, COLD, VERIFIED, QUICK, EXCHANGED = 20_000, 500, 2000, 50, 200
AUDIENCE, ISSUER = "https://data.example.org", "http://127.0.0.1:8888/api/session-user"

CELL = """
import json, time
from jupyter_session_user import get_identity_token
from jupyter_session_user.kernel import identity_tokens
cached, cold, tokens = [], [], []
for _ in range({cold}):
    identity_tokens._kept.clear()
    start = time.perf_counter()
    tokens.append(str(get_identity_token({audience!r})))
    cold.append((time.perf_counter() - start) * 1000)
for _ in range({cached}):
    start = time.perf_counter()
    get_identity_token({audience!r})
    cached.append((time.perf_counter() - start) * 1000)
print(json.dumps([cached, cold, tokens]))
"""


#: Each service of the setting is one exchange; the server and the kernel keep the answer.
ACCESS_CELL = """
import asyncio, json, time
from jupyter_session_user import get_access_token
cached, cold, tokens = [], [], []
get_access_token("first")
for number in range({cold}):
    start = time.perf_counter()
    tokens.append(str(get_access_token(f"s{{number}}")))
    cold.append((time.perf_counter() - start) * 1000)
for _ in range({cached}):
    start = time.perf_counter()
    get_access_token("s0")
    cached.append((time.perf_counter() - start) * 1000)
print(json.dumps([cached, cold, tokens]))
"""
ASKERS_CELL = """
from concurrent.futures import ThreadPoolExecutor
async def askers():
    work = [asyncio.to_thread(get_access_token, "askers") for _ in range(100)]
    return len(set(map(str, await asyncio.gather(*work))))
asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(100))
print(await askers())
"""


async def ask(who: Person, cached: int, cold: int) -> tuple[list[float], list[float], list[str]]:
    """Return the times of both kinds of calls in a new kernel, and the tokens."""
    kernel_id = await who.start_kernel()
    socket = await who.connect(kernel_id)
    cell = CELL.format(cached=cached, cold=cold, audience=AUDIENCE)
    done = await socket.execute(cell, timeout=300)
    await socket.close()
    if done.errors:
        raise RuntimeError(done.errors[0])
    first, second, tokens = json.loads(done.text)
    return first, second, tokens


async def measure(url: str, people: dict[str, Person], counts: tuple[int, int, int]) -> Any:
    """Measure with each user, one after the other."""
    times: dict[str, list[float]] = {"cached": [], "cold": [], "verify": []}
    wrong = 0
    jwks = await Person(url).json("api/session-user/jwks.json")
    for name, who in people.items():
        cached, cold, tokens = await ask(who, *counts[:2])
        times["cached"] += cached
        times["cold"] += cold
        for token in tokens:
            said = verify_identity_token(token, jwks, AUDIENCE, issuer=ISSUER)
            wrong += said.username != name
        for _ in range(counts[2]):
            start = time.perf_counter()
            verify_identity_token(tokens[-1], jwks, AUDIENCE, issuer=ISSUER)
            times["verify"].append((time.perf_counter() - start) * 1000)
    return {
        **{f"{kind}_ms": percentiles(values) for kind, values in times.items()},
        "calls": {kind: len(values) for kind, values in times.items()},
        "goal_cached_p99_ms": GOAL_CACHED_MS,
        "goal_met": percentiles(times["cached"])["p99"] <= GOAL_CACHED_MS,
        "wrong_users": wrong,
    }


def direct(provider: RunningProvider, count: int) -> list[float]:
    """Return the times of exchanges without Jupyter, in ms."""
    token = provider.log_in("alice")["access_token"]
    kind = "urn:ietf:params:oauth:token-type:access_token"
    fixed = {"grant_type": EXCHANGE, "subject_token": token, "subject_token_type": kind}
    basic = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
    times = []
    for number in range(count):
        body = urllib.parse.urlencode({**fixed, "audience": f"s{number}"}).encode()
        headers = {"Authorization": f"Basic {basic}"}
        request = urllib.request.Request(f"{provider.url}/token", body, headers)  # noqa: S310
        start = time.perf_counter()
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            json.load(answer)
        times.append((time.perf_counter() - start) * 1000)
    return times


async def exchange(url: str, provider: RunningProvider, cached: int, cold: int) -> Any:
    """Measure access tokens with each user, one after the other."""
    times: dict[str, list[float]] = {"cached": [], "cold": []}
    wrong, requests = 0, []
    for name in PASSWORDS:
        who = Person(url)
        await who.log_in(PASSWORDS[name], name)
        socket = await who.connect(await who.start_kernel())
        done = await socket.execute(ACCESS_CELL.format(cached=cached, cold=cold), timeout=300)
        if done.errors:
            raise RuntimeError(done.errors[0])
        first, second, tokens = json.loads(done.text)
        times["cached"] += first
        times["cold"] += second
        wrong += sum(claims_in(token).get("sub") != f"id-of-{name}" for token in tokens)
        before = len(provider.seen()["requests"])
        answers = await socket.execute(ASKERS_CELL, timeout=300)
        wrong += answers.text.strip() != "1"
        requests.append(len(provider.seen()["requests"]) - before)
        await socket.close()
    times["provider"] = direct(provider, cold)
    found = {kind: percentiles(values) for kind, values in times.items()}
    extra = found["cold"]["median"] - found["provider"]["median"]
    met = found["cached"]["p99"] <= GOAL_CACHED_MS and extra <= GOAL_EXTRA_MS
    return {
        **{f"{kind}_ms": values for kind, values in found.items()},
        "cold_to_provider": round(found["cold"]["median"] / found["provider"]["median"], 2),
        "cold_beyond_provider_median_ms": round(extra, 3),
        "goal_beyond_provider_median_ms": GOAL_EXTRA_MS,
        "requests_of_100_askers": requests,
        "goal_met": met and requests == [1, 1],
        "wrong_users": wrong,
    }


def access_tokens(cached: int, cold: int) -> Any:
    """Measure access tokens on a server of their own."""
    provider_class = "oidc_identity.OidcIdentityProvider"
    with oauth_provider() as provider:
        entry = {"issuer": provider.url, "client_id": CLIENT, "client_secret_env": "TEST_SECRET"}
        names = ("first", "askers", *(f"s{number}" for number in range(cold)))
        entries = dict.fromkeys(names, entry)
        text = f"c.JupyterSessionUser.token_exchange = {entries!r}\n"
        with own_server(
            f"--ServerApp.identity_provider_class={provider_class}",
            "--OidcIdentityProvider.demo=True",
            f"--OidcIdentityProvider.passwords={PASSWORDS!r}",
            "--JupyterSessionUser.comm_burst=100000",
            config={"jupyter_server_config.py": text},
            env={"TEST_ISSUER": provider.url, "TEST_SECRET": CLIENT_SECRET},
        ) as running:
            return asyncio.run(exchange(running.url, provider, cached, cold))


def secrets_in_sinks() -> Any:
    """Look for secrets; needs Chromium, PostgreSQL and Redis."""
    from postgres_server import postgres_server  # noqa: PLC0415 - parts of extras
    from redis_server import RedisServer  # noqa: PLC0415
    from secret_sinks import running_office, search  # noqa: PLC0415

    programs = [shutil.which(name) for name in ("redis-server", "chromium")]
    if None in programs:
        raise SystemExit("--secrets needs redis-server and chromium")
    redis_program, chromium = map(str, programs)
    with tempfile.TemporaryDirectory() as name, oauth_provider() as provider:
        outside, redis_home = Path(name, "outside"), Path(name, "redis")
        outside.mkdir()
        redis_home.mkdir()
        redis = RedisServer(redis_program, redis_home)
        try:
            with (
                postgres_server() as postgres,
                running_office(provider, postgres, redis, outside) as office,
            ):
                found = asyncio.run(search(office, chromium))
        finally:
            redis.stop()
    counts = {"number_of_sinks": len(found.sinks), "number_of_secrets": sum(found.kinds.values())}
    return {**counts, **asdict(found), "goal_met": not found.found and not found.unread}


def main() -> None:
    """Measure, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer calls, for a first look")
    parser.add_argument("--json", type=Path, help="write the result to this file, too")
    parser.add_argument("--secrets", action="store_true", help="look for secrets instead")
    options = parser.parse_args()
    if options.secrets:
        finish(secrets_in_sinks(), options.json)
    counts = (QUICK, QUICK, QUICK) if options.quick else (CACHED, COLD, VERIFIED)
    settings = (
        f"--JupyterSessionUser.token_audiences={AUDIENCE}",
        f"--JupyterSessionUser.token_issuer={ISSUER}",
        "--JupyterSessionUser.comm_burst=100000",
    )
    with server(*settings, ours=True, nodelay=True) as running:
        people = {name: person(running, name) for name in ("alice", "bob")}
        result = asyncio.run(measure(running.url, people, counts))
    exchanged = QUICK if options.quick else EXCHANGED
    access = result["access_tokens"] = access_tokens(counts[0], exchanged)
    wrong = result["wrong_users"] + access["wrong_users"]
    result["goal_met"] = result["goal_met"] and access["goal_met"] and not wrong
    finish(result, options.json)


def finish(result: Any, path: Path | None) -> NoReturn:
    """Print the result, and end."""
    report(result)
    if path:
        path.write_text(json.dumps(result, indent=2))
    sys.exit(0 if result["goal_met"] else 1)


if __name__ == "__main__":
    main()
