import gradio as gr
from fastapi import FastAPI
from people import IN_CALLBACK, of_scope, report

from jupyter_session_user import SessionUserMiddleware

with gr.Blocks() as demo:
    shown = gr.Markdown()
    gr.Button("Book").click(report, None, shown)
    if not IN_CALLBACK:
        demo.load(report, None, shown)

app = FastAPI()
app.get("/none")(lambda: 0)
app = gr.mount_gradio_app(app, demo, path="/app")
app.add_middleware(SessionUserMiddleware, user=of_scope)
