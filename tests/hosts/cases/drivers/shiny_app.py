"""The app of the driver for Shiny."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from outcome import outcome
from shiny import App, reactive, render, ui
from starlette.applications import Starlette
from starlette.routing import Mount

from jupyter_session_user import SessionUserMiddleware, bind_current_user

LOGINS = {"a-token": "alice", "b-token": "bob"}
POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()  # its only thread starts without a user
AT_IMPORT = outcome()
#: By a browser's name: a value that another visitor sets and the session's own effect reads.
POKED = {name: reactive.value(0) for name in ("alice", "bob")}
NEWS = reactive.value(0)


def login(scope):
    return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())


@reactive.calc
def of_all():
    return outcome()


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def page(request):
    return ui.page_fluid(f"who=({outcome()})")


def server(input, output, session):
    ticks = []

    async def say(case, said):
        await session.send_custom_message("said", {"case": case, "said": said})

    @reactive.extended_task
    async def later():
        await asyncio.sleep(0.3)
        return outcome()

    @reactive.effect
    async def _():
        await say("outliving", later.result())

    @reactive.effect
    @reactive.event(input.case)
    async def _():
        case = input.case().partition("#")[0]
        if case == "outliving":
            later()
        elif case in HANDLERS:
            await say(case, HANDLERS[case]())

    @reactive.effect
    @reactive.event(input.poke)
    def _():
        POKED[input.poke()].set(POKED[input.poke()].get() + 1)

    @reactive.effect
    async def _():
        if POKED[input.name()]():
            await say("others_document", outcome())

    @reactive.effect
    @reactive.event(input.news)
    def _():
        NEWS.set(NEWS.get() + 1)

    @reactive.effect
    async def _():
        if NEWS():
            await say("broadcast", outcome())

    @reactive.effect
    async def _():
        if len(ticks) < 3:
            reactive.invalidate_later(0.1)
        ticks.append(outcome())
        if len(ticks) == 3:
            await say("periodic", ticks[-1])

    @render.download(filename="who.txt")
    async def download():
        yield "["
        await asyncio.sleep(0.05)
        yield f"{outcome()}]"


HANDLERS = {
    "callback": outcome,
    "thread": lambda: in_thread(outcome),
    "bound_thread": lambda: in_thread(bind_current_user(outcome)),
    "pool": lambda: POOL.submit(bind_current_user(outcome)).result(),
    "cache": of_all,
    "warm": lambda: AT_IMPORT,
}

app = App(page, server)
inner = App(page, server)
app.starlette_app.add_middleware(SessionUserMiddleware, user=login)
site = Starlette(routes=[Mount("/inner", inner), Mount("/", app.starlette_app)])
site.add_middleware(SessionUserMiddleware, user=login)
