"""The obvious ways to filter rows in an app without a kernel, and the one of the example."""

from __future__ import annotations

import functools
import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import ROOT

from jupyter_session_user import User, bind_current_user, get_current_user
from jupyter_session_user.hosts.base import Visitor

#: Panel 1.10 announces names of 2.0 that 1.5 does not have.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

APP = ROOT / "examples" / "row_level_security" / "orders_app.py"
OWN = {"alice": {"alice"}, "bob": {"bob"}}
ASK = "SELECT owner FROM orders"


def as_visitor(name, work):
    """Run code of an app as one of its visitors."""
    with bind_current_user(session=Visitor("panel", User(name), verified=True).session()):
        return work()


def one_visitor_after_the_other(work):
    """Return the owners of the rows that each visitor gets."""
    return {name: set(as_visitor(name, work)) for name in OWN}


def set_without_local(url):
    """Say who the visitor is with SET, once for each connection of a pool."""
    from sqlalchemy import create_engine, event, text

    engine = create_engine(url, pool_size=1, max_overflow=0)

    @event.listens_for(engine, "connect")
    def tell_the_visitor(connection, _record):
        with connection.cursor() as cursor:
            name = get_current_user().username
            cursor.execute("SELECT set_config('app.user', %s, false)", [name])
        connection.commit()

    def rows():
        with engine.begin() as connection:
            return [owner for (owner,) in connection.execute(text(ASK))]

    return rows, engine.dispose


def one_page_forgets(url):
    """Say it with SET in each transaction but that of a page which has been forgotten."""
    from sqlalchemy import create_engine, text

    engine = create_engine(url, pool_size=1, max_overflow=0)

    def rows():
        with engine.begin() as connection:
            name = get_current_user().username
            if name == "alice":  # the page that she opens says it, the page that bob opens does not
                query = "SELECT set_config('app.user', :name, false)"
                connection.execute(text(query), {"name": name})
            return [owner for (owner,) in connection.execute(text(ASK))]

    return rows, engine.dispose


def connection_of_the_module(url):
    """Keep a connection, made for the first visitor."""
    import psycopg

    @functools.cache
    def connection():
        name = get_current_user().username
        made = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        made.execute("SELECT set_config('app.user', %s, false)", [name])
        return made

    def rows():
        return [owner for (owner,) in connection().execute(ASK)]

    return rows, lambda: connection().close()


def cached_rows(url):
    """Keep the rows of the first visitor: the query is right, and its result serves all."""
    from sqlalchemy import create_engine, text

    engine = create_engine(url)

    @functools.cache
    def rows():
        with engine.begin() as connection:
            name = get_current_user().username
            query = "SELECT set_config('app.user', :name, true)"
            connection.execute(text(query), {"name": name})
            return tuple(owner for (owner,) in connection.execute(text(ASK)))

    return rows, engine.dispose


OBVIOUS = [set_without_local, one_page_forgets, connection_of_the_module, cached_rows]


@pytest.mark.parametrize("obvious", OBVIOUS, ids=lambda way: way.__name__)
def test_the_second_visitor_gets_the_rows_of_the_first(orders, obvious):
    """The obvious ways show bob the rows of alice."""
    rows, close = obvious(orders.app_url)
    try:
        assert one_visitor_after_the_other(rows) == {"alice": {"alice"}, "bob": {"alice"}}
    finally:
        close()


@pytest.fixture
def app(orders, monkeypatch, need):
    """Return the names of the example's app, which has run for alice."""
    need(importlib.util.find_spec("panel"), "panel is missing")
    monkeypatch.setenv("ORDERS_URL", orders.app_url)
    # Panel 1.5's cache looks for the module of a function in sys.modules.
    spec = importlib.util.spec_from_file_location("orders_app_of_the_test", APP)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    as_visitor("alice", lambda: spec.loader.exec_module(module))
    names = vars(module)
    yield names
    names["engine"]().dispose()


def test_the_example_shows_each_visitor_the_own_rows(app):
    """Two connections serve both visitors by turns, and in threads at the same time."""
    from sqlalchemy import text

    def rows():
        with app["transaction_of_visitor"]() as connection:
            return [owner for (owner,) in connection.execute(text(ASK))]

    for _ in range(10):
        assert one_visitor_after_the_other(rows) == OWN
    with ThreadPoolExecutor(8) as pool:
        names = ["alice", "bob"] * 20
        found = pool.map(lambda name: set(as_visitor(name, rows)), names)
        assert list(found) == [{name} for name in names]


def test_a_page_that_does_not_say_its_visitor_gets_no_row(app):
    """The name ends with the transaction, also with one that fails; then there is no row."""
    from sqlalchemy import text
    from sqlalchemy.exc import ProgrammingError

    def fails():
        with app["transaction_of_visitor"]() as connection:
            connection.execute(text("SELECT no_such_column FROM orders"))

    for name in OWN:
        as_visitor(name, app["orders"])
        with pytest.raises(ProgrammingError):
            as_visitor(name, fails)
        with app["engine"]().begin() as connection:
            assert connection.execute(text(ASK)).all() == []
