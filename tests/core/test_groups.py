"""Groups of names behave like ordered dictionaries of sets, however many names there are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_session_user.core.groups import Groups

STEPS = st.lists(
    st.tuples(st.sampled_from(("put", "discard")), st.sampled_from("AB"), st.sampled_from("abc"))
)


@given(STEPS)
def test_like_sets_in_order(steps):
    """After any steps, each group has the names that a plain model has, in its order."""
    groups, model = Groups(), {"A": [], "B": []}
    for step, group, name in steps:
        if name in model[group]:
            model[group].remove(name)
        if step == "put":
            groups.put(group, name)
            model[group].append(name)
        else:
            groups.discard(group, name)
        for each, names in model.items():
            assert list(groups.of(each)) == names
            assert len(groups.of(each)) == len(names)
    assert set(groups._groups) == {group for group, names in model.items() if names}
