"""Two Jupyter Servers with one cookie secret and one list of ended logins, for measurements."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import _paths  # noqa: F401 - for what comes from the tests
from local_server import LocalServer
from many_people import password_of
from people import KernelSocket, Person
from servers import WHO, own_server

__all__ = ["PATIENCE_S", "Trial", "at", "entered", "is_refused", "two_servers", "who"]

PATIENCE_S = 30.0
_PROVIDER = (
    "--ServerApp.identity_provider_class=many_people.ManyPeople",
    "--IdentityProvider.cookie_name=one-name-on-both-servers",
)


@contextmanager
def two_servers(folder: Path, *urls: str) -> Iterator[list[LocalServer]]:
    """Run a server for each ``store_url``."""
    secret = folder / "secret"
    secret.write_text("the same on all servers, and long enough")
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                own_server(
                    *_PROVIDER,
                    f"--ServerApp.cookie_secret_file={secret}",
                    f"--JupyterSessionUser.store_url={url}",
                )
            )
            for url in urls
        ]


async def entered(server: LocalServer, name: str) -> Person:
    """Return a browser with a new login."""
    person = Person(server.url)
    await person.log_in(password_of(name), name)
    return person


def at(server: LocalServer, person: Person) -> Person:
    """Return the same browser at another server."""
    other = Person(server.url)
    other.cookies = dict(person.cookies)
    return other


async def who(socket: KernelSocket) -> str:
    """Return the user of a cell."""
    return (await socket.execute(WHO)).text.strip()


async def is_refused(person: Person) -> bool:
    """Tell whether a request that needs a login is refused."""
    return (await person.fetch("api/session-user/me")).code == HTTPStatus.FORBIDDEN


def _is_refusal(message: dict[str, Any]) -> bool:
    return str(message["content"].get("ename", "")).startswith("Session")


class Trial:
    """One login on server A that is open on server B, and ends on A.

    Args:
        here: Server A.
        there: Server B.
        name: The user; another one in each trial, since signed cookies of one user and one second
            are alike, and the server then signs later times.
    """

    def __init__(self, here: LocalServer, there: LocalServer, name: str) -> None:
        self._here, self._there, self._name = here, there, name

    async def start(self, kernel_id: str) -> None:
        """Log in on A, and open a websocket on B.

        Raises:
            RuntimeError: A cell has another user.
        """
        browser = await entered(self._here, self._name)
        self.id = (await browser.json("api/session-user/me"))["id"]
        self.hers = at(self._there, browser)
        self.elsewhere = await entered(self._here, self._name)
        self.socket = await self.hers.connect(kernel_id)
        if (found := await who(self.socket)) != self._name:
            raise RuntimeError(f"{self._name} is {found}")

    async def revoke(self) -> int:
        """Revoke it on A in another browser of this user; return the status."""
        path = f"api/session-user/sessions/{self.id}"
        self.began = time.perf_counter()
        return (await self.elsewhere.fetch(path, method="DELETE")).code

    async def refused_after(self) -> tuple[float, float]:
        """Return ms from the request to A to the refusal on B: over HTTP, and of a cell."""
        return await asyncio.gather(self._over_http(), self._of_a_cell())

    async def _over_http(self) -> float:
        while not await is_refused(self.hers):
            self._check_time()
            await asyncio.sleep(0.002)
        return self._ms()

    async def _of_a_cell(self) -> float:
        """Send cells without waiting: the reply to one that was running never comes."""
        content = {"code": "pass", "silent": False, "store_history": False, "allow_stdin": False}
        self.socket.everything.clear()
        while not any(map(_is_refusal, self.socket.everything)):
            self._check_time()
            await self.socket.send(self.socket.message("execute_request", content))
            await asyncio.sleep(0.005)
        return self._ms()

    def _ms(self) -> float:
        return 1_000 * (time.perf_counter() - self.began)

    def _check_time(self) -> None:
        if self._ms() > 1_000 * PATIENCE_S:
            raise TimeoutError

    async def close(self) -> None:
        """Close the websocket."""
        await self.socket.close()
