import os

os.environ.pop("PYTEST_CURRENT_TEST", None)  # else it serves on a port of pytest

from nicegui import app, ui
from people import IN_CALLBACK, of_scope, report

from jupyter_session_user import SessionUserMiddleware


@ui.page("/")
def page():
    shown = ui.label("" if IN_CALLBACK else report())
    ui.button("Book", on_click=lambda: shown.set_text(report())).props("no-caps")


app.add_middleware(SessionUserMiddleware, user=of_scope)
ui.run(host="127.0.0.1", port=int("{port}"), show=False, reload=False)
