"""The rules for database logins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.bearer import Password
from jupyter_session_user.core.database_login import (
    end_in_name,
    is_fresh,
    login_role,
    role_of,
    terms_of,
)
from jupyter_session_user.errors import ConfigurationError

GOOD = {"dsn": "host=h dbname=d password=sEcReT", "group": "people"}


def test_defaults_and_a_repr_without_the_connection_string():
    """What an administrator leaves out has a safe value, and ``dsn`` shows nowhere."""
    terms = terms_of("warehouse", GOOD)
    assert (terms.role, terms.lifetime, terms.connections) == ("{username}", 300, 5)
    assert "sEcReT" not in repr(terms) and "people" in repr(terms)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("", {}),
        ("two words", {}),
        (1, {}),
        ("w", {"dsn": ""}),
        ("w", {"dsn": None}),
        ("w", {"group": ""}),
        ("w", {"role": "everybody"}),
        ("w", {"role": "{username}{username}"}),
        ("w", {"lifetime": 4}),
        ("w", {"lifetime": 3601}),
        ("w", {"lifetime": 60.0}),
        ("w", {"connections": True}),
        ("w", {"connection_lifetime": -1}),
        ("w", {"superuser": True}),
    ],
)
def test_what_cannot_work_is_refused(name, change):
    """The error names the setting, and quotes no connection string."""
    with pytest.raises(ConfigurationError, match="databases") as caught:
        terms_of(name, {**GOOD, **change})
    assert "sEcReT" not in str(caught.value)


def test_something_else_than_a_dictionary():
    """A text in place of the dictionary is an error with the keys."""
    with pytest.raises(ConfigurationError, match="dsn, group"):
        terms_of("w", "host=h")


@pytest.mark.parametrize(
    "name",
    ["", "postgres", "Postgres", "PUBLIC", "none", "pg_monitor", "PG_x", "jsu_1", "a\x00", "a\nb"],
)
def test_names_that_are_no_users_role(name):
    """Names with a meaning of their own in PostgreSQL, and names that cannot be written."""
    assert role_of("{username}", name) is None


@pytest.mark.parametrize("name", ["a" * 64, "ł" * 32, "\ud800"])
def test_names_that_postgresql_would_cut(name):
    """63 bytes are the most: a longer name could become another one."""
    assert role_of("{username}", name) is None
    assert role_of("{username}", "a" * 63) == "a" * 63


@given(st.text(min_size=1), st.text(min_size=1), st.sampled_from(["{username}", "j_{username}_x"]))
def test_two_users_never_share_a_role(one, two, template):
    """Different usernames have different roles, if they have one."""
    roles = role_of(template, one), role_of(template, two)
    assert None in roles or (one == two) == (roles[0] == roles[1])
    assert roles[0] is None or one in roles[0]


@given(st.floats(0, 1e11))
def test_a_name_says_when_the_login_ends(end):
    """Any server reads the end from the name, and from no other role's name."""
    name = login_role(end, "0123456789abcdef01234567")
    assert end_in_name(name) == int(end)
    for other in (name.upper(), name + "0", f" {name}", f"{name}\n", "alice", "jsu_1_x"):
        assert end_in_name(other) is None


def test_a_login_is_lent_until_a_fifth_of_its_lifetime_is_left():
    """The boundary itself counts as too late."""
    assert is_fresh(61, 300) and not is_fresh(60, 300) and not is_fresh(-1, 300)


def test_a_password_does_not_show():
    """It works as text, and neither its repr nor a pickle has it."""
    import copy
    import pickle

    one, two = Password("of alice"), Password("of bob")
    assert one == "of alice" and repr(one) == repr(two) == "<Password: hidden>"
    assert copy.copy(one) is one and copy.deepcopy(one) is one
    with pytest.raises(TypeError, match="connect_as_user"):
        pickle.dumps(one)
