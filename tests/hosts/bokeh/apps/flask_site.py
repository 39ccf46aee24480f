"""A Flask site that embeds a Bokeh app, in each of the ways that Bokeh has.

python flask_site.py PORT BOKEH_URL
"""

import base64
import json
import sys

from bokeh.client import pull_session
from bokeh.embed import server_document, server_session
from flask import Flask, make_response, redirect, request

port, bokeh = int(sys.argv[1]), sys.argv[2]
app = Flask(__name__)
PAGE = "<!doctype html><title>site</title><h1>Flask</h1>{script}"


@app.get("/login/<name>")
def login(name):
    response = make_response(redirect("/"))
    claims = json.dumps({"user_id": name, "user_full_name": name.title()})
    value = base64.b64encode(claims.encode()).decode()
    response.set_cookie("numerous_user_info", value, httponly=True)
    return response


@app.get("/<way>")
def page(way):
    options = {"with_credentials": True} if way == "credentials" else {}
    tag = request.args["tag"]
    if way == "session":
        with pull_session(url=bokeh, arguments={"tag": tag}) as session:
            script = server_session(session_id=session.id, url=bokeh)
    else:
        script = server_document(bokeh, arguments={"tag": tag}, **options)
    return PAGE.format(script=script)


@app.get("/")
def home():
    return "home"


if __name__ == "__main__":
    app.run(port=port, threaded=True)
