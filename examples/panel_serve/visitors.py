"""A Panel app that greets its visitor by name. To start it, see docs/hosts/panel-serve.md."""

from html import escape

import panel as pn

from jupyter_session_user import get_current_user

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}

pn.extension()


def click(_event):
    # Call it again here: in a callback, the current user is the user of the click.
    user = get_current_user()
    clicked.object = f"{escape(user.display_name)} clicked."


# The script runs once per page view, as the visitor of that page.
visitor = get_current_user()
rows = [f"| {when} | {what} | {long} |" for when, what, long in BOOKINGS.get(visitor.username, [])]
table = "\n".join(["| When | What | How long |", "|---|---|---|", *rows])

button = pn.widgets.Button(name="Who clicks?", button_type="primary", on_click=click)
clicked = pn.pane.Markdown("Nobody has clicked yet.")

pn.Column(
    f"# Hello, {escape(visitor.display_name)}",
    f"Your bookings:\n\n{table}" if rows else "You have no bookings.",
    button,
    clicked,
).servable(title="Visitors")
