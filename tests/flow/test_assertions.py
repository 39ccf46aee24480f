"""A header that a proxy makes for each request: an old header does not end a login.

The obvious implementation replays the latest request with its expired header, and takes the refusal
for the end of the login.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable

import pytest
from people import KernelSocket, Person
from servers import eventually, fresh_id, kernel_of, opened, own_server, username

LIFETIME_S = 2.0
DEGRADED = "print(_jsu.get_session().refresh().degraded)"


def stamped(name: str) -> str:
    """Return an assertion that the provider accepts for a while."""
    return f"{name} {time.time()}"


def ticket(name: str) -> str:
    """Return an assertion that the provider accepts once."""
    return f"{name} {fresh_id()}"


def token(name: str) -> str:
    """Return a JWT that expires soon."""
    parts = [{"alg": "none"}, {"sub": name, "exp": time.time() + LIFETIME_S}]
    texts = [base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts]
    return ".".join([*texts, "x"])


PROXIES = {"ShortLived": stamped, "OneTime": ticket, "Token": token}


#: One that is known without a setting, and one that the administrator names.
AWS, OWN = "X-Amzn-Oidc-Data", "X-Assertion"


class ProxiedPerson(Person):
    """A browser behind a proxy that adds an assertion to each request."""

    def __init__(self, url: str, name: str, make: Callable[[str], str], header: str) -> None:
        super().__init__(url)
        self._name, self._make, self._header = name, make, header

    def _cookie_header(self) -> dict[str, str]:
        return {**super()._cookie_header(), self._header: self._make(self._name)}


async def is_degraded(socket: KernelSocket) -> bool:
    """Tell whether the kernel knows that the login could not be validated again."""
    return (await socket.execute(DEGRADED)).text.strip() == "True"


@pytest.mark.parametrize("provider", PROXIES)
@pytest.mark.parametrize(("interval", "header"), [(0.5, OWN), (1, AWS), (3, OWN)])
async def test_an_old_assertion_ends_no_login(provider, interval, header):
    """Two users that only use their websockets continue as degraded after their headers expire."""
    with own_server(
        f"--ServerApp.identity_provider_class=asserting_identity.{provider}",
        "--ServerApp.disable_check_xsrf=True",
        f"--JupyterSessionUser.revalidate_interval={interval}",
        *([f"--JupyterSessionUser.assertion_headers={OWN}"] if header == OWN else []),
        env={"LIFETIME": str(LIFETIME_S), "HEADER": header},
    ) as server:
        make = PROXIES[provider]
        alice, bob = (ProxiedPerson(server.url, name, make, header) for name in ("alice", "bob"))
        async with (
            kernel_of(alice) as kernel_id,
            kernel_of(bob),
            opened(alice, kernel_id) as hers,
            opened(bob, kernel_id) as his,
        ):
            assert [await username(s) for s in (hers, his)] == ["alice", "bob"]
            await eventually(lambda: is_degraded(hers))
            await eventually(lambda: is_degraded(his))
            over = time.monotonic() + LIFETIME_S + 2 * interval
            while time.monotonic() < over:
                assert [await username(s) for s in (hers, his)] == ["alice", "bob"]
                await asyncio.sleep(0.1)
            # A new assertion is accepted, and the login is no longer degraded.
            assert (await alice.fetch("api/session-user/me")).code == 200


async def test_an_added_assertion_keeps_no_login_alive(tmp_path):
    """Alice adds a forged assertion. Removed at the provider, she still loses access."""
    with own_server(
        "--ServerApp.identity_provider_class=fickle_identity.FickleIdentityProvider",
        "--ServerApp.disable_check_xsrf=True",
        "--JupyterSessionUser.revalidate_interval=0.5",
        env={"FICKLE": str(tmp_path)},
    ) as server:
        alice = Person(server.url, {"X-User": "alice", AWS: token("alice")})
        bob = Person(server.url, {"X-User": "bob"})
        async with (
            kernel_of(alice) as kernel_id,
            opened(alice, kernel_id) as hers,
            opened(bob, kernel_id) as his,
        ):
            assert [await username(s) for s in (hers, his)] == ["alice", "bob"]
            (tmp_path / "removed-alice").touch()

            async def is_out() -> bool:
                return (await username(hers)).startswith("['SessionExpired")

            await eventually(is_out)
            assert await username(his) == "bob"
