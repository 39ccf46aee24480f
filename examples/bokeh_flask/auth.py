"""Bokeh's side of the login: it accepts the cookie that Flask has signed."""

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import BadSignature

FLASK_SECRET = "a secret of the site; a real one comes from its settings"

_flask = Flask(__name__)
_flask.secret_key = FLASK_SECRET
_signer = SecureCookieSessionInterface().get_signing_serializer(_flask)
_DAYS_31 = 31 * 24 * 60 * 60


def get_user(handler):
    try:
        return _signer.loads(handler.get_cookie("session", ""), max_age=_DAYS_31).get("user")
    except BadSignature:
        return None


def get_login_url(_handler):
    return "http://localhost:5000/login"
