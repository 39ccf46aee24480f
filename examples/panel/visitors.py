"""A Panel app that greets its visitor by name. To start it, see docs/hosts/panel.md."""

from html import escape

import panel as pn

from jupyter_session_user import get_current_user

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}

# Use the colour scheme of the visitor's system, light or dark.
PAGE = """
:root { color-scheme: light dark }
body { background: Canvas; color: CanvasText; font: 16px/1.5 system-ui, sans-serif;
       max-width: 40rem; margin: 0 auto; padding: 1rem }
"""
TEXT = """
:host { color: CanvasText }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 }
table { width: 100%; border: 0 }
table :is(th, td) { text-align: left; padding: .4rem .6rem .4rem 0;
                    border: 0; border-bottom: 1px solid #8886 }
"""

pn.extension(raw_css=[PAGE])


def text(markdown):
    return pn.pane.Markdown(markdown, stylesheets=[TEXT], sizing_mode="stretch_width")


def click(_event):
    # Call it again here: in a callback, the current user is the user of the click.
    user = get_current_user()
    clicked.object = f"{escape(user.display_name)} ({escape(user.username)}) clicked."


# Panel starts a kernel for each page view, so this code runs as the visitor of the page.
visitor = get_current_user()
rows = [
    f"| {when} | {what} | {how_long} |"
    for when, what, how_long in BOOKINGS.get(visitor.username, [])
]
table = "\n".join(["| When | What | How long |", "|---|---|---|", *rows])

button = pn.widgets.Button(name="Who clicks?", button_type="primary", on_click=click)
clicked = text("Nobody has clicked yet.")

pn.Column(
    text(f"# Hello, {escape(visitor.display_name)}"),
    text(f"Your bookings:\n\n{table}" if rows else "You have no bookings."),
    button,
    clicked,
    sizing_mode="stretch_width",
).servable(title="Visitors")
