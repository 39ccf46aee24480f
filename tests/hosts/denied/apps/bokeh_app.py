from bokeh.io import curdoc
from bokeh.models import Button, Column, Div
from people import IN_CALLBACK, report

shown = Div(text="" if IN_CALLBACK else report())
button = Button(label="Book")


def book(_):
    shown.text = report()


button.on_click(book)
curdoc().add_root(Column(button, shown))
