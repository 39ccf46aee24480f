"""A Flask site with its own login and a Bokeh app in its page: see docs/hosts/flask.md."""

import subprocess
import sys
from html import escape
from pathlib import Path

from auth import FLASK_SECRET
from bokeh.embed import server_document
from flask import Flask, redirect, request, session, url_for

HERE = Path(__file__).parent
PASSWORDS = {"alice": "a", "bob": "b"}
STYLE = "font: 16px/1.6 system-ui; max-width: 40rem; margin: 3rem auto; padding: 0 1rem"
FORM = """<form method="post"><p><label>Name <input name="name" autofocus></label>
<p><label>Password <input name="password" type="password"></label><p><button>Sign in</button>"""

site = Flask(__name__)
site.secret_key = FLASK_SECRET


def page(content):
    return f'<!doctype html><html lang="en"><title>Site</title><body style="{STYLE}">{content}'


@site.route("/login", methods=["GET", "POST"])
def login():
    name = request.form.get("name", "")
    if PASSWORDS.get(name) and PASSWORDS[name] == request.form["password"]:
        session["user"] = name
        return redirect(url_for("home"))
    return page(FORM)


@site.get("/")
def home():
    if "user" not in session:
        return redirect(url_for("login"))
    # Without credentials, the browser requests the app from Bokeh without cookies.
    app = server_document("http://localhost:5006/visitors", with_credentials=True)
    return page(f"<p>Flask says: {escape(session['user'])}</p>{app}")


if __name__ == "__main__":
    bokeh = [sys.executable, "-m", "bokeh", "serve", str(HERE / "visitors.py")]
    bokeh += ["--auth-module", str(HERE / "auth.py")]
    bokeh += ["--allow-websocket-origin", "localhost:5000"]
    with subprocess.Popen(bokeh) as server:
        try:
            site.run("localhost", 5000)
        finally:
            server.terminate()
