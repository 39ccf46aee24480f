"""Requirements of a test on its machine."""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version

import pytest
from packaging.requirements import Requirement

__all__ = ["has_release", "need"]


def need(condition: object, reason: str) -> None:
    """Skip the test if a requirement is missing; fail if all requirements must be met.

    Args:
        condition: Whether it is there.
        reason: What is missing, for the report.
    """
    if condition:
        return
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1, but: {reason}", pytrace=False)
    pytest.skip(reason)


def has_release(requirement: str) -> bool:
    """Tell whether a package is here, in a release such as ``dash>=4.4``."""
    wanted = Requirement(requirement)
    try:
        return version(wanted.name) in wanted.specifier
    except PackageNotFoundError:
        return False
