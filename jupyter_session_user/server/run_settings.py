"""The setting of the names beside the cells of a notebook."""

from __future__ import annotations

from traitlets import Bool, HasTraits

__all__ = ["RunSettings"]


class RunSettings(HasTraits):
    """What the people of a kernel see of each other's runs."""

    show_runs = Bool(
        True,
        config=True,
        help="""Whether the people who use a kernel can see who ran which of its cells last, and
        when: JupyterLab and Notebook show it beside the cells of a shared notebook. The server
        keeps it in memory, for each cell, as long as the kernel exists. The audit does not depend
        on this.""",
    )
