from express_says import say, session_now
from shiny import reactive
from shiny.express import input, ui
from who import who

ui.h1(f"who=({who()})")


@reactive.effect
@reactive.event(input.click)
async def _():
    await say(session_now(), who())
