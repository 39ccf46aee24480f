import os

os.environ["SOLARA_APP"] = "solara_page.py"

import solara.server.starlette
from fastapi import FastAPI
from people import of_scope

from jupyter_session_user import SessionUserMiddleware

app = FastAPI()
app.mount("/", solara.server.starlette.app)
app.add_middleware(SessionUserMiddleware, user=of_scope)
