import os

from people import IN_CALLBACK, finance, of_scope, report
from shiny import App, reactive, render, ui

from jupyter_session_user import SessionUserMiddleware


def server(input, output, session):
    shown = reactive.value("")

    @render.text
    def said():
        return shown() if IN_CALLBACK else report()

    @reactive.effect
    @reactive.event(input.book)
    def _():
        shown.set(report())


def page(_):
    return ui.page_fluid(ui.input_action_button("book", "Book"), ui.output_text("said"))


app = App(finance(page) if os.environ["MODE"] == "whole" else page, server)
app.starlette_app.add_middleware(SessionUserMiddleware, user=of_scope)
