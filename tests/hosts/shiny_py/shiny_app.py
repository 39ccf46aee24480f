"""The app of these tests: state that visitors of one process share. Runs in the server."""

import asyncio

from shiny import App, reactive, ui
from who import who

from jupyter_session_user import (
    AccessDenied,
    SessionUserMiddleware,
    bind_current_user,
    require_user,
)

LOGINS = {"a-token": "alice", "b-token": "bob"}
NEWS = reactive.value(0)
#: State that no session owns.
NOTES = []


def login(scope):
    return LOGINS.get(dict(scope["headers"]).get(b"x-login", b"").decode())


@reactive.extended_task
async def shared(name):
    await asyncio.sleep(0.2)
    return name, who()


@reactive.effect
def _():
    if NEWS():
        NOTES.append(who())


def server(input, output, session):
    async def say(case, said):
        await session.send_custom_message("said", {"case": case, "said": said})

    async def after_any_flush():
        await say("flushed", who())

    async def after_own_flush():
        await say("own_flush", who())

    reactive.on_flushed(after_any_flush)
    session.on_flushed(after_own_flush, once=False)

    @reactive.effect
    async def _():
        name, found = shared.result()
        await say(f"shared by {name}", found)

    @reactive.effect
    @reactive.event(input.share)
    def _():
        shared(input.name())

    @reactive.effect
    @reactive.event(input.leave_open)
    async def _():
        bind_current_user().__enter__()
        NEWS.set(NEWS.get() + 1)
        await say("left_open", who())

    @reactive.effect
    async def _():
        if NEWS():
            await say("news", who())
            await say("effect_of_nobody", "; ".join(NOTES))

    @reactive.effect
    @reactive.event(input.staff)
    async def _():
        try:
            with require_user(usernames=["alice"]):
                await say("staff", "may")
        except AccessDenied:
            await say("staff", "may not")

    @reactive.effect
    @reactive.event(input.click)
    async def _():
        await say("click", who())
        await say("to_thread", await asyncio.to_thread(who))


app = App(ui.page_fluid("a page"), server)
bare = App(ui.page_fluid("a page"), server)
app.starlette_app.add_middleware(SessionUserMiddleware, user=login)
