from pathlib import Path

import marimo
from fastapi import FastAPI
from people import of_scope

from jupyter_session_user import SessionUserMiddleware

app = FastAPI()
app.get("/none")(lambda: 0)
notebook = Path(__file__).with_name("marimo_notebook.py")
app.mount("/app", marimo.create_asgi_app().with_app(path="", root=str(notebook)).build())
app.add_middleware(SessionUserMiddleware, user=of_scope)
