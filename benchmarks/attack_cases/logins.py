"""Item 10: cookies that were good once, after alice has signed out everywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack

from people import Person
from tornado.httpclient import HTTPClientError

from attack_cases.stage import SETUP, BrokenAttackError, PasswordServer, Row, Stage, run

_EVERYWHERE = "api/session-user/logout-everywhere"


async def cookies(_stage: Stage) -> AsyncIterator[Row]:
    """Alice's laptop is lost; its cookies are used after she has signed out."""
    with ExitStack() as stack:
        server = PasswordServer(stack)
        async for row in _signing_out(server):
            yield row
        yield await _signed_in_anew(server)
        for site in ("cross-site", "same-site"):
            yield await _cross_site(server, site)


async def _signing_out(server: PasswordServer) -> AsyncIterator[Row]:
    unused = dict((await server.log_in("alice")).cookies)
    used = await server.log_in("alice")
    await _must_be_good(used)
    single = await server.log_in("alice")
    await _must_be_good(single)
    kept = dict(single.cookies)
    await single.fetch("logout")
    bob = await server.log_in("bob")
    await _next_second()
    alice = await server.log_in("alice")
    await _next_second()
    answer = await alice.json(_EVERYWHERE, method="POST", body={})
    now = "after signing out everywhere"
    yield await _refused(server, unused, f"cookie issued and never used, {now}", str(answer))
    yield await _refused(server, used.cookies, f"cookie in use, {now}", str(answer))
    server.restart()
    later = f"{now} and a restart"
    yield await _refused(server, unused, f"cookie issued and never used, {later}")
    yield await _refused(server, used.cookies, f"cookie in use, {later}")
    yield await _refused(server, kept, "cookie of a login signed out, after a restart")
    if not await _is_good(server.browser(bob.cookies)):
        raise BrokenAttackError("the restart ended bob's login as well: the secret is not kept")


async def _signed_in_anew(server: PasswordServer) -> Row:
    browser = await server.log_in("alice")
    await _must_be_good(browser)
    former = dict(browser.cookies)
    await _next_second()
    await browser.log_in("alice's password", "alice")
    await _must_be_good(browser)
    return await _refused(server, former, "former cookie of a browser that signed in anew")


async def _cross_site(server: PasswordServer, site: str) -> Row:
    """Have another site's page fetch ``/logout`` with alice's cookies."""
    alice = await server.log_in("alice")
    kernel = await alice.start_kernel()
    await _next_second()
    forged = server.browser(alice.cookies)
    forged.headers.update({"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"})
    answer = await forged.fetch("logout")
    good, goes_on = await _is_good(alice), await _runs(alice, kernel)
    told = f"got {answer.code}; her login {'holds' if good else 'is over'}, "
    told += "her kernel answers" if goes_on else "her kernel does not answer her"
    await alice.fetch(f"api/kernels/{kernel}", method="DELETE")
    own = server.browser(alice.cookies)
    own.headers["Sec-Fetch-Site"] = "same-origin"
    await own.fetch("logout")
    if await _is_good(alice):
        raise BrokenAttackError("she cannot even sign out herself")
    return Row(10, f"GET /logout from another page ({site})", good and goes_on, told)


async def _runs(person: Person, kernel: str) -> bool:
    """Tell whether a cell runs as alice."""
    try:
        socket = await person.connect(kernel)
    except HTTPClientError:
        return False
    try:
        return await run(socket, SETUP + "print(who())") == "alice"
    except BrokenAttackError:
        return False
    finally:
        await socket.close()


async def _refused(
    server: PasswordServer, cookies_: dict[str, str], attack: str, before: str = ""
) -> Row:
    good = await _is_good(server.browser(cookies_))
    told = f"the cookie is {'good' if good else 'refused'}"
    return Row(10, attack, not good, f"{told}; {before}" if before else told)


async def _is_good(person: Person) -> bool:
    """Tell whether a browser's login is accepted, and as alice or bob."""
    kept = dict(person.cookies)
    answer = await person.fetch("api/kernels")
    person.cookies = kept  # an answer that clears it is no help: the attacker keeps it
    return answer.code == 200


async def _must_be_good(person: Person) -> None:
    if not await _is_good(person):
        raise BrokenAttackError("a fresh login is refused")


async def _next_second() -> None:
    """Wait for the next second of the clock: signed cookies hold no more of their time."""
    await asyncio.sleep(1.02 - time.time() % 1.0)
