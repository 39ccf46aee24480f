"""The users of a kernel: its cookies depend on whether there is only one."""

from __future__ import annotations

import gc

from jupyter_session_user.server.messages.speakers import Speakers


class _Kernel:
    """Stands for a kernel's manager: a key with weak references."""


def test_each_person_joins_once():
    """The first user does not join; each later user joins once, and so does an unknown client."""
    speakers, kernel = Speakers(), _Kernel()
    persons = ["alice", "alice", "bob", "carol", "bob", None, None, "alice"]
    joins = [speakers.add(kernel, person) for person in persons]
    assert joins == [False, False, True, True, False, True, False, False]


def test_a_kernel_is_one_persons_until_another_joins():
    """After a join a kernel stays shared; users of another kernel have no effect."""
    speakers, kernel, other = Speakers(), _Kernel(), _Kernel()
    assert speakers.is_alone(kernel, "alice") and not speakers.is_shared(kernel)
    speakers.add(kernel, "alice")
    speakers.add(other, "bob")
    assert speakers.is_alone(kernel, "alice") and not speakers.is_shared(kernel)
    speakers.add(kernel, "bob")
    speakers.add(kernel, "alice")
    assert speakers.is_shared(kernel)
    assert not speakers.is_alone(kernel, "alice") and not speakers.is_alone(kernel, "bob")


def test_an_unknown_client_shares_a_kernel():
    """The code of such a client may still run, and read all later data."""
    speakers, kernel = Speakers(), _Kernel()
    speakers.add(kernel, None)
    assert speakers.is_shared(kernel) and not speakers.is_alone(kernel, "alice")


def test_a_kernel_that_is_gone_is_forgotten():
    """A server that starts and ends kernels for months keeps no data of removed kernels."""
    speakers, kernel = Speakers(), _Kernel()
    speakers.add(kernel, "alice")
    speakers.give(kernel)
    del kernel
    gc.collect()
    assert not speakers._principals and not speakers._given
