"""Items 1 and 2: traces of a cell of alice's, in a child process or on the kernel's loop."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator

from tornado.httpclient import AsyncHTTPClient

from attack_cases.stage import BrokenAttackError, Row, Shared, Stage, run, shared

_POOL = "import multiprocessing\npool = multiprocessing.get_context('fork').Pool(1)"
_EXECUTOR = """
import concurrent.futures, multiprocessing
pool = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork"))
assert pool.submit(os.getpid).result() != os.getpid()
"""
_FORK = """
import socket
near, far = socket.socketpair()
near.settimeout(10)
if os.fork() == 0:
    try:
        near.close()
        while far.recv(1):
            far.sendall(who().encode())
    finally:
        os._exit(0)
far.close()
"""
_FORK_IN_THREAD = f"""
import contextvars, threading
context = contextvars.copy_context()
thread = threading.Thread(target=context.run, args=(exec, {_FORK!r}, globals()))
thread.start()
thread.join()
"""
#: Alice's code that makes a child, and bob's cell that asks it for its user.
FORKS = {
    "multiprocessing.Pool": (_POOL, "print(pool.apply(who))"),
    "ProcessPoolExecutor(fork)": (_EXECUTOR, "print(pool.submit(who).result())"),
    "os.fork": (_FORK, "near.sendall(b'?'); print(near.recv(99).decode())"),
    "os.fork in a thread": (_FORK_IN_THREAD, "near.sendall(b'?'); print(near.recv(99).decode())"),
}
_END = "pool.shutdown() if hasattr(pool, 'shutdown') else pool.terminate()"


async def forks(stage: Stage) -> AsyncIterator[Row]:
    """Bob's cell uses a child that alice's cell forked."""
    for name, (make, use) in FORKS.items():
        async with shared(stage) as both:
            await run(both.hers, make)
            seen = await run(both.his, use)
            held = seen == "bob" or seen.startswith("unavailable")
            yield Row(1, name, held, f"bob's cell: {seen}")
            if "pool =" in make:
                await run(both.hers, _END)


_TORNADO = """
import tornado.httpserver, tornado.netutil, tornado.web
class Who(tornado.web.RequestHandler):
    def get(self):
        self.write(who())
sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Who)]))
server.add_sockets(sockets)
print(sockets[0].getsockname()[1])
"""
_ANSWER = """
gate = asyncio.Event()
def answer():
    gate.set()
    body = who().encode()
    head = "HTTP/1.1 200 OK\\r\\nConnection: close\\r\\nContent-Length: %d\\r\\n\\r\\n"
    return (head % len(body)).encode() + body
"""
_STREAMS = f"""{_ANSWER}
async def serve(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(answer())
    await writer.drain()
    writer.close()
server = await asyncio.start_server(serve, "127.0.0.1", 0)
print(server.sockets[0].getsockname()[1])
"""
_PROTOCOL = f"""{_ANSWER}
class Serve(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(answer())
        self.transport.close()
loop = asyncio.get_running_loop()
server = await loop.create_server(Serve, "127.0.0.1", 0)
print(server.sockets[0].getsockname()[1])
"""
_READER = f"""{_ANSWER}
import socket
listening = socket.create_server(("127.0.0.1", 0))
listening.setblocking(False)
def serve():
    connection, _ = listening.accept()
    connection.setblocking(True)
    connection.recv(4096)
    connection.sendall(answer())
    connection.close()
asyncio.get_running_loop().add_reader(listening.fileno(), serve)
print(listening.getsockname()[1])
"""
_AIOHTTP = """
from aiohttp import web
async def serve(request):
    return web.Response(text=who())
app = web.Application()
app.add_routes([web.get("/", serve)])
runner = web.AppRunner(app)
await runner.setup()
site = web.TCPSite(runner, "127.0.0.1", 0)
await site.start()
print(site._server.sockets[0].getsockname()[1])
"""
_APP = """
async def app(scope, receive, send):
    body = who().encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
_MIDDLEWARE = """
from jupyter_session_user import SessionUserMiddleware
def visitor(scope):
    return dict(scope["headers"]).get(b"x-visitor", b"").decode() or None
app = SessionUserMiddleware(app, user=visitor)
"""
_UVICORN = """
import contextlib, socket, uvicorn
listening = socket.create_server(("127.0.0.1", 0))
server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="error"))
server.capture_signals = contextlib.nullcontext
serving = asyncio.create_task(server.serve(sockets=[listening]))
while not server.started:
    await asyncio.sleep(.01)
print(listening.getsockname()[1])
"""
#: The cell that starts a server on the loop, the package that it needs, a visitor's name.
SERVERS = {
    "tornado HTTPServer": (_TORNADO, "tornado", ""),
    "asyncio.start_server": (_STREAMS, "asyncio", ""),
    "loop.create_server": (_PROTOCOL, "asyncio", ""),
    "loop.add_reader": (_READER, "asyncio", ""),
    "aiohttp": (_AIOHTTP, "aiohttp", ""),
    "uvicorn": (_APP + _UVICORN, "uvicorn", ""),
    "uvicorn, our middleware, anonymous": (_APP + _MIDDLEWARE + _UVICORN, "uvicorn", ""),
    "uvicorn, our middleware, carol": (_APP + _MIDDLEWARE + _UVICORN, "uvicorn", "carol"),
}


async def servers(stage: Stage) -> AsyncIterator[Row]:
    """A visitor without a name asks a server that alice's cell started for the current user."""
    for name, (start, package, visitor) in SERVERS.items():
        if importlib.util.find_spec(package) is None:
            yield Row(2, name, None, f"skipped: {package} is not installed")
            continue
        async with shared(stage) as both:
            seen = await visit(int(await run(both.hers, start)), visitor)
            foreign = seen == visitor if visitor else seen not in {"alice", "bob"}
            yield Row(2, name, foreign, f"the visitor is: {seen}")
    async with shared(stage) as both:
        seen = await _visit_meanwhile(both)
        held = seen.startswith("unavailable")
        yield Row(2, "asyncio.start_server, her cell awaits", held, f"the visitor is: {seen}")


async def visit(port: int, visitor: str = "") -> str:
    """Return the user that a server on the kernel's loop sees for a visitor."""
    headers = {"X-Visitor": visitor} if visitor else {}
    url = f"http://127.0.0.1:{port}/"
    answer = await AsyncHTTPClient().fetch(url, headers=headers, raise_error=False)
    if answer.code != 200:
        raise BrokenAttackError(f"the server on the loop answered {answer.code}")
    return answer.body.decode()


async def _visit_meanwhile(both: Shared) -> str:
    """Visit while the cell waits for the visit."""
    port = int(await run(both.hers, _STREAMS))
    content = {"code": "await gate.wait()", "silent": False, "allow_stdin": False}
    cell = await both.hers.send(both.hers.message("execute_request", content))
    while (await both.hers.receive(cell))["header"]["msg_type"] != "execute_input":
        pass
    seen = await visit(port)
    while (await both.hers.receive(cell))["channel"] != "shell":
        pass
    return seen
