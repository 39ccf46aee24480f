"""Code that no request asked for has no user: connections, finalizers, collections."""

from __future__ import annotations

import pytest

#: Each cell starts a server on the kernel's loop and leaves its port in ``port``. An app answers
#: every request with the name of the current user, or with the reason why there is none.
SERVERS = {
    "asyncio streams": """
async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    await asyncio.sleep(0)
    writer.write(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n" + who().encode())
    await writer.drain()
    writer.close()
server = await asyncio.start_server(answer, "127.0.0.1", 0)
port, stop = server.sockets[0].getsockname()[1], server.close
""",
    "asyncio protocol": """
class Answering(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(
            b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n" + who().encode()
        )
        self.transport.close()
server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
port, stop = server.sockets[0].getsockname()[1], server.close
""",
    "tornado": """
from tornado import httpserver, netutil, web
class Answering(web.RequestHandler):
    async def get(self):
        await asyncio.sleep(0)
        self.write(who())
server = httpserver.HTTPServer(web.Application([("/", Answering)]))
sockets = netutil.bind_sockets(0, "127.0.0.1")
server.add_sockets(sockets)
port, stop = sockets[0].getsockname()[1], server.stop
""",
    "aiohttp": """
from aiohttp import web as aioweb
async def answer(request):
    await asyncio.sleep(0)
    return aioweb.Response(text=who())
app = aioweb.Application()
app.add_routes([aioweb.get("/", answer)])
runner = aioweb.AppRunner(app)
await runner.setup()
site = aioweb.TCPSite(runner, "127.0.0.1", 0)
await site.start()
port, stop = runner.addresses[0][1], lambda: asyncio.create_task(runner.cleanup())
""",
    "uvicorn": """
import uvicorn
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": who().encode()})
server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="error"))
serving = asyncio.create_task(server.serve())
while not server.started: await asyncio.sleep(0.01)
port = server.servers[0].sockets[0].getsockname()[1]
def stop(): server.should_exit = True
""",
    "bound thread with a loop of its own": """
ports = asyncio.Queue()
kernel_loop = asyncio.get_running_loop()
async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n" + who().encode())
    await writer.drain()
    writer.close()
async def serve():
    global stop
    over, here = asyncio.Event(), asyncio.get_running_loop()
    stop = lambda: here.call_soon_threadsafe(over.set)
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    kernel_loop.call_soon_threadsafe(ports.put_nowait, port)
    await over.wait()
    server.close()
threading.Thread(target=bind_current_user(lambda: asyncio.run(serve()))).start()
port = await ports.get()
""",
}
#: How a cell sends a request to one of these servers.
ASK = """
async def asked(port, headers=""):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n{headers}\\r\\n".encode())
    head = await reader.readuntil(b"\\r\\n\\r\\n")
    lengths = [l for l in head.lower().split(b"\\r\\n") if l.startswith(b"content-length:")]
    if lengths:
        body = await reader.readexactly(int(lengths[0].split(b":")[1]))
    elif b"chunked" in head.lower():
        body = (await reader.readuntil(b"0\\r\\n\\r\\n")).split(b"\\r\\n")[1]
    else:
        body = await reader.read()
    writer.close()
    return body.decode()
"""

servers = pytest.mark.parametrize("start", SERVERS.values(), ids=SERVERS.keys())


@servers
def test_connection_names_no_user(alice, bob, start):
    """A request from outside does not run as Alice; the cell that waits for it still does.

    The server was started in Alice's cell, so that is the context which every loop copies.
    """
    alice.run(ASK)
    started = alice.run(start)
    assert started.reply["status"] == "ok", started.reply
    try:
        assert bob.run("(await asked(port), who())").value == ("no_context", "bob")
        assert alice.run("(await asked(port), who())").value == ("no_context", "alice")
    finally:
        alice.run("stop()")


INLINE = {
    "http.server": """
import http.server
class Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(who().encode())
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Answering)
""",
    "wsgiref": """
from wsgiref import simple_server
class Quiet(simple_server.WSGIRequestHandler):
    def log_message(self, *args): pass
def app(environ, start_response):
    start_response("200 OK", [])
    return [who().encode()]
server = simple_server.make_server("127.0.0.1", 0, app, handler_class=Quiet)
""",
    "werkzeug": """
import logging
from werkzeug.serving import make_server
logging.getLogger("werkzeug").disabled = True
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(who())))])
    return [who().encode()]
server = make_server("127.0.0.1", 0, app)
""",
}


@pytest.mark.parametrize("start", INLINE.values(), ids=INLINE.keys())
def test_server_that_a_cell_runs_itself(alice, start):
    """A request that a cell serves while it blocks does not run as the cell's user."""
    alice.run(start)
    code = """
from urllib.request import urlopen
answers = []
url = f"http://127.0.0.1:{server.server_address[1]}/"
client = threading.Thread(target=lambda: answers.append(urlopen(url).read().decode()))
client.start(); server.handle_request(); client.join(); server.server_close()
(answers, who())
"""
    assert alice.run(code).value == (["no_context"], "alice")


MIDDLEWARE = """
import uvicorn
from jupyter_session_user import SessionUserMiddleware
async def inner(scope, receive, send):
    name = get_current_user().username
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": name.encode()})
def named(scope):
    return dict(scope["headers"]).get(b"x-visitor", b"").decode() or None
app = SessionUserMiddleware(inner, user=named)
server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_level="error"))
serving = asyncio.create_task(server.serve())
while not server.started: await asyncio.sleep(0.01)
port = server.servers[0].sockets[0].getsockname()[1]
"""


def test_middleware_knows_its_visitor(alice, bob):
    """Behind the middleware a request has its visitor, or no user if it names none."""
    alice.run(ASK)
    assert alice.run(MIDDLEWARE).reply["status"] == "ok"
    try:
        assert bob.run("await asked(port, 'X-Visitor: carol\\r\\n')").value == "carol"
        name = bob.run("await asked(port)").value
        assert name not in {"alice", "bob"}
    finally:
        alice.run("server.should_exit = True")


def test_request_inside_a_cell(alice, bob):
    """The innermost request wins: an app that a cell calls directly has its own visitor."""
    code = """
from jupyter_session_user import SessionUserMiddleware
seen = []
async def inner(scope, receive, send):
    seen.append(get_current_user().username)
app = SessionUserMiddleware(inner, user=lambda scope: scope["visitor"])
for visitor in ("carol", None):
    await app({"type": "http", "headers": [], "visitor": visitor}, None, None)
(seen[0], seen[1] in ("alice", "bob", "carol"), who())
"""
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run(code).value == ("carol", False, name)


def test_clients_of_a_cell_stay_its_own(alice, bob):
    """Waiting for a socket, a process or a thread changes nothing for the code that waits."""
    code = (
        ASK
        + """
seen = []
async def answer(reader, writer):
    writer.write(b"hello"); writer.close()
server = await asyncio.start_server(answer, "127.0.0.1", 0)
reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
seen.append(await reader.read() and who())
process = await asyncio.create_subprocess_exec("echo", "hello", stdout=-1)
seen.append((await process.communicate()) and who())
seen.append(await asyncio.to_thread(who))
left, right = __import__("socket").socketpair()
left.setblocking(False)
waiting = asyncio.create_task(asyncio.get_running_loop().sock_recv(left, 1))
waiting.add_done_callback(lambda _: seen.append(who()))
right.send(b"x"); await waiting; await asyncio.sleep(0)
left.close(); right.close(); server.close()
seen
"""
    )
    for person, name in ((alice, "alice"), (bob, "bob")):
        assert person.run(code).value == [name] * 4


def test_finalizers(alice, bob):
    """A finalizer of Alice's object that is dropped in Bob's cell runs as neither user."""
    alice.run("""
import gc, weakref
class Thing: pass
heard = []
def make():
    thing = Thing()
    weakref.finalize(thing, lambda: heard.append(who()))
    return thing
thing = make()
""")
    assert bob.run("del thing; (heard, who())").value == (["no_context"], "bob")
    # A finalizer that a cell calls itself is an ordinary call.
    assert bob.run("other = Thing(); weakref.finalize(other, who)()").value == "bob"


def test_garbage_collection(alice, bob):
    """``__del__`` and weak references in a collection do not run as the interrupted user."""
    alice.run("""
import gc, weakref
class Loop:
    def __init__(self): self.me = self
    def __del__(self): heard.append(who())
heard = []
gc.disable()
Loop()
loop = Loop(); reference = weakref.ref(loop, lambda _: heard.append(who())); del loop
""")
    try:
        assert bob.run("gc.collect(); (sorted(set(heard)), who())").value == (["finalizer"], "bob")
        # An identity that a finalizer binds itself holds.
        alice.run("""
class Bound(Loop):
    session = get_session()
    def __del__(self):
        with bind_current_user(session=self.session): heard.append(who())
heard.clear(); Bound(); None
""")
        assert bob.run("gc.collect(); (heard, who())").value == (["alice"], "bob")
        held = "with bind_current_user(): Loop(); heard.clear(); gc.collect()\nheard"
        assert bob.run(held).value == ["finalizer"]
    finally:
        alice.run("gc.enable()")


def test_abandoned_asynchronous_generator(alice, bob):
    """The end of an abandoned generator of Alice's in Bob's cell runs as neither user."""
    alice.run("""
ended = asyncio.Queue()
async def counting():
    try:
        yield 1
        yield 2
    finally:
        ended.put_nowait(who())
counter = counting()
await anext(counter) if "anext" in dir(__builtins__) else await counter.__anext__()
""")
    assert bob.run("del counter\n(await ended.get(), who())").value == ("no_context", "bob")


def test_bokeh_server(alice, bob):
    """A page of a server in the kernel has its visitor, not the user of the cell."""
    alice.run(ASK)
    started = alice.run("""
from bokeh.server.server import Server
made = []
def app(document):
    try: made.append(get_session().source)
    except IdentityUnavailable as error: made.append(error.reason)
    made.append(get_current_user(None))
    document.on_session_destroyed(lambda context: made.append(who()))
server = Server({"/": app}, port=0, address="127.0.0.1")
server.start()
port = server.port
""")
    assert started.reply["status"] == "ok", started.reply
    try:
        assert "<html" in bob.run("await asked(port)").value
        assert bob.run("(made[0], str(made[1]))").value == ("bokeh", "Anonymous visitor")
    finally:
        alice.run("server.stop()")
