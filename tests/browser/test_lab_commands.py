"""jupyterlab-commands-toolkit: a command of Alice's agent runs in Bob's browser, as Bob."""

from __future__ import annotations

import pytest
from agents import AGENTS
from audits import Audit
from badges import BOB, MAKE_AGENT, badge, says
from browsing import Desk, jupyter_lab, notebook_text

# It changes every JupyterLab of its environment: see make test-mcp.
pytest.importorskip("jupyterlab_commands_toolkit")
pytestmark = pytest.mark.browser

SCHEMA = "https://events.jupyter.org/jupyterlab_command_toolkit/lab_command/v1"
CELL = (
    "from jupyter_session_user import get_session\n"
    "print('ran by', get_session().user.username, get_session().actor)"
)


@pytest.mark.usefixtures("_everything")
def test_the_cell_is_bobs_and_the_command_is_alices_agents(chromium, tmp_path, expect):
    """The cell and its badge say Bob, without an actor; the audit says who sent the command."""
    audit = Audit(tmp_path / "audit.jsonl")
    option = f"--JupyterSessionUser.audit_file={audit.path}"
    files = {"work.ipynb": notebook_text(CELL)}
    with jupyter_lab(tmp_path, option, toolkit=True, files=files) as server:
        alice, bob = (Desk.of(chromium.new_context(), server, name) for name in ("alice", "bob"))
        bob.open("work.ipynb")
        token = alice.page.evaluate(MAKE_AGENT, [AGENTS, "Helper"])["token"]
        helper = chromium.new_context(extra_http_headers={"Authorization": f"Bearer {token}"})
        data = {"name": "notebook:run-cell", "args": {}}
        event = {"schema_id": SCHEMA, "version": "1", "data": data}
        assert helper.request.post(server.url + "api/events", data=event).status == 204
        expect(bob.output(0)).to_contain_text("ran by bob None")
        alice.open("work.ipynb")  # now the kernel is shared, and there are badges
        expect(badge(alice, 0)).to_have_accessible_name(says(BOB))
    (sent,) = audit.records("lab_command")
    assert (sent["username"], sent["actor"]["name"]) == ("alice", "Helper")
    assert sent["detail"] == "notebook:run-cell"
    first, *_ = audit.records()
    assert (first["username"], first["actor"]) == ("bob", None)
