"""A kernel that Voila made for Alice refuses Bob on every route that names it."""

from __future__ import annotations

import importlib.util
import json
import re

import nbformat
import pytest
from people import Person
from servers import DEMO, own_server, people_on
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

KERNEL = re.compile(r'"kernelId":\s*"([0-9a-f-]{36})"')
#: Method, path below ``api/`` and body. The request that ends the kernel comes last.
ROUTES = [
    ("POST", "kernels/{id}/execute", {"code": "stolen = 1"}),
    ("POST", "kernels/{id}/input", {"input": "1"}),
    (
        "POST",
        "sessions",
        {"path": "b.ipynb", "name": "", "type": "notebook", "kernel": {"id": "{id}"}},
    ),
    ("PATCH", "sessions/{own}", {"kernel": {"id": "{id}"}}),
    ("PATCH", "sessions/{hers}", {"kernel": {"name": "python3"}}),
    ("DELETE", "sessions/{hers}", None),
    ("POST", "kernels/{id}/interrupt", {}),
    ("POST", "kernels/{id}/restart", {}),
    ("DELETE", "kernels/{id}", None),
]


@pytest.fixture(scope="module")
def server(need):
    """Run Jupyter Server with Voila and nbmodel as its extensions."""
    for module in ("voila", "jupyter_server_nbmodel"):
        need(importlib.util.find_spec(module), f"{module} is missing")
    extensions = ("jupyter_session_user", "jupyter_server_nbmodel", "voila.server_extension")
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    files = {"page.ipynb": nbformat.writes(page)}
    with own_server(*DEMO, extensions=extensions, files=files) as running:
        yield running


async def kernel_of_page(person: Person) -> str:
    """Open the page and return the id of its kernel."""
    text = (await person.fetch("voila/render/page.ipynb")).body.decode()
    found = KERNEL.search(text)
    assert found, text[:500]
    return found[1]


async def raw_post(person: Person, path: str, body: str) -> int:
    """Send a body unchanged, and return the status of the response."""
    headers = {**person._cookie_header(), "X-XSRFToken": person.cookies["_xsrf"]}
    request = HTTPRequest(person.url + path, method="POST", headers=headers, body=body)
    return (await AsyncHTTPClient().fetch(request, raise_error=False)).code


async def test_an_administrator_may_end_it_and_no_more(need):
    """An administrator of the server can shut such a kernel down, but run no code in it."""
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    extensions = ("jupyter_session_user", "voila.server_extension")
    with own_server(
        *DEMO,
        "--JupyterSessionUser.admin_users=bob",
        extensions=extensions,
        files={"page.ipynb": nbformat.writes(page)},
    ) as running:
        alice, bob = await people_on(running)
        kernel_id = await kernel_of_page(alice)
        with pytest.raises(HTTPClientError, match="403"):
            await bob.connect(kernel_id)
        path = f"api/kernels/{kernel_id}"
        assert (await bob.fetch(f"{path}/interrupt", method="POST", body={})).code == 204
        assert (await bob.fetch(path, method="DELETE")).code == 204


async def test_every_route(server):
    """Bob gets 403 on each route, and the kernel stays Alice's; she is admitted on each."""
    alice, bob = await people_on(server)
    kernel_id = await kernel_of_page(alice)
    session = {"path": "a.ipynb", "name": "", "type": "notebook"}
    hers = await alice.json(
        "api/sessions", method="POST", body={**session, "kernel": {"id": kernel_id}}
    )
    own = await bob.json(
        "api/sessions",
        method="POST",
        body={**session, "path": "own.ipynb", "kernel": {"name": "python3"}},
    )
    for method, path, body in ROUTES:
        url = path.format(id=kernel_id, own=own["id"], hers=hers["id"])
        sent = json.loads(json.dumps(body).replace("{id}", kernel_id))
        answer = await bob.fetch(f"api/{url}", method=method, body=sent)
        assert answer.code == 403, (method, path, answer.code, answer.body)
        assert (await alice.fetch(f"api/kernels/{kernel_id}")).code == 200, (method, path)
    # The body is read as Jupyter reads it, white space included.
    raw = "\x0b" + json.dumps({**session, "path": "c.ipynb", "kernel": {"id": kernel_id}})
    assert (await raw_post(bob, "api/sessions", raw)) == 403
    # Bob may see that there is a kernel, as on any server, and his own kernel is his.
    assert (await bob.fetch("api/kernels")).code == 200
    assert (await bob.fetch("api/sessions")).code == 200
    assert (await bob.fetch(f"api/sessions/{own['id']}", method="DELETE")).code == 204
    interrupt = f"api/kernels/{kernel_id}/interrupt"
    assert (await alice.fetch(interrupt, method="POST", body={})).code == 204
    assert (await alice.fetch(f"api/kernels/{kernel_id}", method="DELETE")).code == 204
