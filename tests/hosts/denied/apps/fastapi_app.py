from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from people import of_scope, report

from jupyter_session_user import SessionUserMiddleware

app = FastAPI()
app.get("/none")(lambda: 0)


@app.get("/", response_class=HTMLResponse)
def page():
    return report()


app.add_middleware(SessionUserMiddleware, user=of_scope)
