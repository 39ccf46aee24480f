"""Cells that show, keep or copy tokens without being asked to print one, each a sink by its name.

Each cell has the person's secrets in ``t`` (access token), ``i`` (identity token), ``c`` (database
connection) and ``k`` (cookies), the session in ``s`` and ``u``, and the marker in ``M``. A sink in
whose output the marker is missing was not read.
"""

from __future__ import annotations

__all__ = ["CELLS", "KEEP", "SETUP"]

#: Before the other cells; ``{log}`` is the kernel's own log, ``{marker}`` the marker.
SETUP = """
%xmode Verbose
import asyncio, copy, faulthandler, gc, json, logging, os, pickle, pprint, subprocess, sys
import tempfile, traceback, tracemalloc, warnings
import jupyter_session_user as j
from IPython.display import display
from jupyter_session_user.kernel import access_tokens, databases, identity_tokens, live_session
from jupyter_session_user.kernel.ipykernel import helper
log = get_ipython().kernel.log; log.setLevel(10)
log.addHandler(logging.FileHandler({log!r}))
M = {marker!r}
log.debug(M)
s, u, k = j.get_session(), j.get_current_user(), j.get_cookies()
t, i = j.get_access_token("trino"), j.get_identity_token("https://data.example.org")
c = j.connect_as_user("warehouse")
ALL = [t, i, c, k, s, u]
def attempt(work):
    try:
        print(work())
    except Exception as error:
        print(type(error).__name__, error)
def deep(token, ident, jar, link, mark):
    inner = [token, ident, jar, link, mark]
    raise RuntimeError(mark)
"""

CELLS = {
    "output of a cell": "[M, *ALL]",
    "printed containers": "print(M, ALL, {'t': t, 'c': c}, repr(ALL), '%r %r' % (t, i), s, u, k)",
    "pretty print": "pprint.pprint([M, *ALL, {'deep': [t, (i,)]}])",
    "rich display": "display(M, *[[each] for each in ALL], k, s, u)",
    "traceback, verbose": "deep(t, i, k, c, M)",
    "traceback with locals": """
try:
    deep(t, i, k, c, M)
except RuntimeError as error:
    made = traceback.TracebackException.from_exception(error, capture_locals=True)
    print("".join(made.format()))
""",
    "pickle": """
for each in (M, *ALL, [t], {"i": i}, [s, u], helper(), access_tokens._kept, databases._kept):
    attempt(lambda: pickle.dumps(each))
""",
    "copy and deepcopy": """
for each in (M, *ALL, access_tokens._kept, identity_tokens._kept):
    attempt(lambda: repr([copy.copy(each)]))
    attempt(lambda: repr([copy.deepcopy(each)]))
""",
    "vars()": """
for each in (s, u, k, c, t, i, helper(), helper().comm, access_tokens, databases, identity_tokens,
             live_session, access_tokens._kept, databases._kept, identity_tokens._kept):
    attempt(lambda: vars(each))
print(M, vars())
""",
    "repr and str of all live objects": """
def texts():
    for each in gc.get_objects():
        if str(type(each).__module__).startswith("jupyter_session_user"):
            attempt(lambda: repr(each))
            # str() of a token is the token: that is how code asks for it.
            if not isinstance(each, str):
                attempt(lambda: f"{each}")
                attempt(lambda: vars(each))
            yield str(type(each))
print(M, "\\n".join(texts()))
""",
    "json with default=repr": "print(json.dumps([M, c, k, s, u], default=repr))",
    "logging of an exception": """
logging.basicConfig(level=10, force=True)
try:
    deep(t, i, k, c, M)
except RuntimeError:
    logging.exception("%s %r %s", M, ALL, [t, i], stack_info=True)
logging.basicConfig(level=30, force=True)
""",
    "error of an asyncio task": """
async def failing(token, ident, jar):
    raise RuntimeError(f"{M} {[token, ident, jar]}")
made = asyncio.create_task(failing(t, i, k))
await asyncio.sleep(0)
asyncio.get_running_loop().call_exception_handler({"message": M, "task": made, "all": ALL})
print(M, made)
""",
    "warnings": "warnings.warn(f'{M} {ALL}', stacklevel=1)",
    "tracemalloc": """
tracemalloc.start(25)
fresh = [j.get_access_token("trino"), j.get_cookies(), M]
for each in tracemalloc.take_snapshot().statistics("traceback")[:200]:
    print(each, *each.traceback.format())
print(M, tracemalloc.get_object_traceback(fresh))
tracemalloc.stop()
""",
    "crash report of faulthandler": """
space = {"faulthandler": faulthandler, "file": tempfile.TemporaryFile("w+")}
exec(f"def {M}(token): faulthandler.dump_traceback(file)", space)
space[M](t)
space["file"].seek(0); print(space["file"].read()); space["file"].close()
""",
    "%whos": "%whos",
    "%store": "%store M\n%store\n%store t",
    "locals()": "print(M, locals())",
    "errors of conversions": """
for work in (lambda: int(t), lambda: float(i), lambda: {}[t], lambda: [M].index(t),
             lambda: t.no_such, lambda: k["none"], lambda: k.get_json("platform"),
             lambda: k.get_signed("platform"), lambda: t + 1, lambda: {}[M]):
    attempt(work)
""",
    "errors of the database": """
attempt(lambda: c.execute(f"SELECT no_such_{M}"))
c.rollback()
attempt(lambda: (c.info.dsn, c.info.get_parameters()))
attempt(lambda: j.connect_as_user("warehouse", no_such=1))
attempt(lambda: j.connect_as_user("dead"))
""",
    "message and stamp of the cell": "print(M, get_ipython().kernel.get_parent(), s.to_wire())",
    "environment of a subprocess": "print(subprocess.run(['env'], capture_output=True, text=True))",
    "environment of the kernel": "print(open('/proc/self/environ').read(), dict(os.environ))",
    "%whoami": "%whoami\nprint(M)",
}

#: Ends the work of a person; writes what the scan has to look for to a file that is no sink.
KEEP = """
kept = next(reversed(databases._kept._entries.values())).value
with open({path!r}, "a") as file:
    print(json.dumps({{"access token": str(t), "identity token": str(i),
                      "database password": str(kept.password)}}), file=file)
"""
