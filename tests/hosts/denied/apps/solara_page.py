import solara
from people import IN_CALLBACK, report

from jupyter_session_user import AccessDenied


@solara.component
def Report():
    solara.Text(report())


@solara.component
def Booking():
    shown, put = solara.use_state("")

    def book():
        try:
            put(report())
        except AccessDenied as error:
            put(error.sentence)

    solara.Button("Book", on_click=book)
    solara.Text(shown)


@solara.component
def Page():
    error, _ = solara.use_exception()
    if isinstance(error, AccessDenied):
        solara.Error(error.sentence)
    elif IN_CALLBACK:
        Booking()
    else:
        Report()
