import panel as pn
from people import IN_CALLBACK, report

pn.extension()
shown = pn.pane.Markdown("" if IN_CALLBACK else report())
button = pn.widgets.Button(name="Book")


def book(_):
    shown.object = report()


button.on_click(book)
pn.Column(button, shown).servable()
