"""A Solara app that greets its visitor by name. To start it, see docs/hosts/solara.md."""

import solara

from jupyter_session_user import get_current_user

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}
PEOPLE = {"alice": "Alice Adams", "bob": "Bob Brown"}


@solara.component
def Page():
    visitor = get_current_user()
    clicked = solara.use_reactive("Nobody has clicked yet.")
    solara.Title("Visitors")

    def click():
        # Call it again here: a callback runs for the visitor of its page.
        user = get_current_user()
        clicked.value = f"{user.display_name} ({user.username}) clicked."

    if visitor.is_anonymous:
        solara.HTML("h1", "Who are you?")
        for username, name in PEOPLE.items():
            solara.HTML("p", f'<a href="/as/{username}">{name}</a>')
        return
    solara.HTML("h1", f"Hello, {visitor.display_name}")
    for row in BOOKINGS.get(visitor.username, []):
        solara.Text(", ".join(row))
    solara.Button("Who clicks?", on_click=click)
    solara.Text(clicked.value)
