"""Every case in every host: two visitors at the same time, and neither gets the other's name."""

from __future__ import annotations

import asyncio
import importlib.util
import warnings
from contextlib import AsyncExitStack

import pytest
import table
from cases import CASES, Absent, Gives, Works, drivers

DRIVERS = {driver.name: driver for driver in drivers()}
ROWS = [
    pytest.param(name, case, id=f"{name}-{case.id}")
    for name, driver in DRIVERS.items()
    for case in CASES
    if not isinstance(driver.ways[case.id], Absent)
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Return a function that returns the shared server of a host."""
    running = {}

    def of(name):
        if name not in running:
            for context, _ in running.values():  # the tests of the previous host are finished
                context.__exit__(None, None, None)
            running.clear()
            context = DRIVERS[name].serve(tmp_path_factory.mktemp(name), "")
            running[name] = context, context.__enter__()
        return running[name][1]

    yield of
    for context, _ in running.values():
        context.__exit__(None, None, None)


@pytest.mark.parametrize(("name", "case"), ROWS)
async def test_case(need, shared, tmp_path, name, case):
    """Each visitor gets the right user, or the outcome that the driver declares."""
    driver = DRIVERS[name]
    for module in driver.needs:
        need(_installed(module), f"{module} is missing")
    for module in getattr(driver, "newer", ()):
        pytest.importorskip(module, reason=f"this release of the host has no {module}")
    if case.own_server:
        with driver.serve(tmp_path, case.id) as server:
            await _try(driver, server, case)
    else:
        await _try(driver, shared(name), case)


async def _try(driver, server, case):
    async with AsyncExitStack() as open_pages:
        pages = [
            await open_pages.enter_async_context(driver.visit(server, person))
            for person in case.people
        ]
        others = pages[::-1]
        outcomes = await asyncio.gather(
            *(page.ask(case.id, other) for page, other in zip(pages, others, strict=True))
        )
    way = driver.ways[case.id]
    for person, outcome in zip(case.people, outcomes, strict=True):
        if isinstance(way, Works) or (case.people[0] != "alice" and person == "alice"):
            assert outcome == person, dict(zip(case.people, outcomes, strict=True))
        else:
            assert isinstance(way, Gives)
            assert outcome in way.outcome.split("|"), (person, outcome)


@pytest.mark.parametrize("driver", DRIVERS.values(), ids=DRIVERS)
def test_a_driver_answers_for_every_case(driver):
    """A driver declares exactly one result for each case."""
    assert list(driver.ways) == [case.id for case in CASES]


def test_the_table_in_the_documentation_is_written_from_the_drivers():
    """``python tests/hosts/cases/table.py`` writes it."""
    assert table.PAGE.read_text(encoding="utf-8") == table.table()


def _installed(module):
    # It imports the packages around the module; older ones warn of what they import themselves.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.util.find_spec(module)
        except ModuleNotFoundError:
            return None
