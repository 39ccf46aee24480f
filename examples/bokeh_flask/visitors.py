"""The Bokeh app in the Flask site. To start it, see docs/hosts/flask.md."""

from bokeh.io import curdoc
from bokeh.models import Button, Column, ColumnDataSource, DataTable, Div, TableColumn

from jupyter_session_user import get_current_user

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}
TITLES = ("When", "What", "How long")


def click():
    # Call it again here: in a callback, the current user is the user of the click.
    clicked.text = f"{get_current_user().display_name} clicked."


# The script runs once per page view, as the visitor of that page.
visitor = get_current_user()
rows = BOOKINGS.get(visitor.username, [])
source = ColumnDataSource({title: [row[n] for row in rows] for n, title in enumerate(TITLES)})
columns = [TableColumn(field=title, title=title) for title in TITLES]

hello = Div(text=f"Hello, {visitor.display_name}", disable_math=True, render_as_text=True)
hello.styles = {"font-size": "1.8rem", "font-weight": "600"}
clicked = Div(text="Nobody has clicked yet.", render_as_text=True)
button = Button(label="Who clicks?", button_type="primary")
button.on_click(click)

table = DataTable(source=source, columns=columns, index_position=None, width=500, height=120)
curdoc().title = "Visitors"
curdoc().add_root(Column(hello, table, button, clicked))
