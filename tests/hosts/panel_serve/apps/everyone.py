"""State that all visitors of the process share."""

import param


class Everyone(param.Parameterized):
    number = param.Integer()


everyone = Everyone()
