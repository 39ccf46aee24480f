"""Runs blocks in this interpreter, as each of two users in turn; reads JSON from its input."""

from __future__ import annotations

import json
import linecache
import os
import sys
import tempfile
from contextlib import nullcontext

from jupyter_session_user import Session, User, bind_current_user
from jupyter_session_user.core.session import Session as Login

#: The demo's users: alice is in the group that the pages name.
GROUPS = {"alice": ("finance",), "bob": ("research",)}


def run(job, name, groups):
    """Run one block as one user, in a folder of its own."""
    login = Login(f"id of {name}", User(name, groups=groups), "jupyter_server", verified=True)
    bound = bind_current_user(session=Session(login)) if job["user"] else nullcontext()
    namespace = {"__name__": "__block__", "name": name}
    where = job["where"]
    linecache.cache[where] = (1, None, job["text"].splitlines(keepends=True), where)
    with tempfile.TemporaryDirectory() as folder, bound:
        os.chdir(folder)
        sys.path[:0] = [folder]
        for part in ("before", "text", "after"):
            exec(compile(job[part], where, "exec"), namespace)  # noqa: S102
        sys.path.remove(folder)
        os.chdir("/")


for given in json.load(sys.stdin):
    for who, members in GROUPS.items():
        run(given, who, members)
