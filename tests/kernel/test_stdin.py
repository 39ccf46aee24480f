"""``input()`` in the kernel: a stdin message of any other client is not an answer."""

from __future__ import annotations

from typing import Any

import pytest

#: Cells that ask for input, and the event that ends the question.
QUESTIONS = {
    "input": ("print('line:', input())", "own"),
    "getpass": ("import getpass; print('line:', getpass.getpass())", "own"),
    "pdb": ("import pdb; pdb.Pdb(nosigint=True).set_trace(); pass", "c"),
    "debug": ("%debug", "q"),
}


def send(person: Any, line: str) -> None:
    """Send a line on stdin, asked or not."""
    content = {"value": line}
    person.client.stdin_channel.send(person.client.session.msg("input_reply", content))


@pytest.mark.parametrize(("code", "own"), QUESTIONS.values(), ids=QUESTIONS.keys())
def test_only_the_asked_client_answers(alice, bob, code, own):
    """Bob's line is dropped even if it arrives first, with any message content."""
    alice.run("1 / 0")
    cell = alice.start(code)
    alice.until_input()
    for _ in range(3):
        send(bob, "print('line:', 'bob was here')")
    alice.client.input(own)
    result = alice.result(cell)
    assert "bob" not in result.stdout
    assert alice.run("who()").value == "alice"


def test_a_client_that_the_server_shares(alice, bob, kernel):
    """All clients of a server share a ZMQ identity, so the stamp of the reply decides."""
    cell = alice.start("print('line:', input())")
    alice.until_input()
    message = alice.client.session.msg("input_reply", {"value": "bob was here"})
    message["metadata"] = bob.client.session.msg("input_reply")["metadata"]
    alice.client.stdin_channel.send(message)
    alice.client.input("alice's own")
    assert alice.result(cell).stdout.strip().endswith("alice's own")


def test_clients_without_a_stamp(kernel, alice):
    """A client that bypasses the server, such as ``jupyter console --existing``, may answer."""
    console = kernel.client()
    cell = console.start("print('line:', input())")
    console.until_input()
    send(alice, "alice was here")
    console.client.input("the console's own")
    assert console.result(cell).stdout.strip().endswith("the console's own")
