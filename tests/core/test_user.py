"""A user survives every transport unchanged, and is displayed without HTML of its fields."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, asdict, fields
from datetime import datetime, timezone
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jupyter_session_user.core.user import MAX_CLAIMS_CHARS, User, trim_claims
from jupyter_session_user.errors import RemoteProtocolError

HOSTILE = "\"'><script>alert(1)</script>&amp;<!--"
ANONYMOUS = "anonymous"
#: JSON can encode halves of surrogate pairs; readers treat quotes and zeros differently.
ANY_TEXT = st.text(st.characters() | st.sampled_from("\ud800\udfff\0\\\"'<&"), max_size=12)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)  # JSON has no others
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | ANY_TEXT
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=6,
)
CLAIMS = st.dictionaries(ANY_TEXT, JSON, max_size=3)
SOME_TEXT = ANY_TEXT.filter(bool)
USERS = st.builds(
    User,
    username=SOME_TEXT,
    name=ANY_TEXT,
    display_name=ANY_TEXT,
    initials=st.none() | SOME_TEXT,
    avatar_url=st.none() | SOME_TEXT,
    color=st.none() | SOME_TEXT,
    groups=st.lists(ANY_TEXT, max_size=3).map(tuple),
    admin=st.booleans(),
    is_anonymous=st.booleans(),
    claims=CLAIMS,
)
#: Objects that look like a user and may be wrong in any field.
NEAR_MISSES = st.fixed_dictionaries(
    {}, optional={field.name: ANY_TEXT | JSON for field in fields(User)}
)


def same(one: User, other: User) -> bool:
    """Tell whether two users agree in every field; ``==`` leaves the claims out."""
    return one == other and one.claims == other.claims


def spoilt(wire):
    """Return a strategy for ``wire`` with one of its fields replaced."""
    return st.builds(lambda key, value: {**wire, key: value}, st.sampled_from(sorted(wire)), JSON)


class Page(HTMLParser):
    """The elements and the text that a browser would read from a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Keep an element."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        """Keep a text."""
        self.text += data

    def pictures(self) -> list[str | None]:
        """Return the addresses of all pictures."""
        return [attributes["src"] for tag, attributes in self.elements if tag == "img"]


# ------------------------------------------------------------------------------------ values


def test_missing_names_are_filled_in():
    """As in Jupyter Server, ``name`` falls back to username, ``display_name`` to ``name``."""
    assert (User("ada").name, User("ada").display_name) == ("ada", "ada")
    assert User("ada", name="Ada Lovelace").display_name == "Ada Lovelace"
    assert User("ada", name="Ada Lovelace", display_name="Ada").name == "Ada Lovelace"


def test_a_user_has_a_username():
    """A user without a name is an error."""
    with pytest.raises(ValueError, match="username must not be empty"):
        User("")


@pytest.mark.parametrize("name", [field.name for field in fields(User)])
def test_no_field_can_be_set(name):
    """A user cannot be changed into another one."""
    with pytest.raises(FrozenInstanceError):
        setattr(User("ada"), name, "eve")


def test_claims_are_read_only_and_nobody_elses():
    """Claims cannot be set through the user, nor through the mapping they were made from."""
    given_claims = {"sub": "1"}
    user = User("ada", claims=given_claims)
    given_claims["sub"] = "2"
    with pytest.raises(TypeError):
        user.claims["sub"] = "3"
    with pytest.raises(TypeError):
        User("bob").claims["sub"] = "3"
    assert user.claims == {"sub": "1"}
    assert User("bob").claims == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda claims: claims.update(sub="3"),
        lambda claims: claims.setdefault("more", 1),
        lambda claims: claims.pop("sub"),
        lambda claims: claims.popitem(),
        lambda claims: claims.clear(),
        lambda claims: claims.__delitem__("sub"),
        lambda claims: claims.__ior__({"sub": "3"}),
    ],
)
def test_no_method_changes_the_claims(change):
    """Every way to change a dict is refused, and the error says what to do."""
    user = User("ada", claims={"sub": "1"})
    with pytest.raises(TypeError, match=r"dict\(user.claims\)"):
        change(user.claims)
    assert user.claims == {"sub": "1"}


@given(USERS, USERS)
def test_a_user_is_a_plain_object_for_programs(one, other):
    """``asdict`` and ``to_dict`` have every field, and JSON text tells two users apart."""
    for user in (one, other):
        as_dict = user.to_dict()
        assert set(as_dict) == {field.name for field in fields(User)}
        assert json.loads(json.dumps(as_dict)) == json.loads(json.dumps(asdict(user))) == as_dict
        before = dict(user.claims)
        as_dict["claims"].clear()  # of the copy
        assert user.claims == before
        assert same(copy.deepcopy(user), user) and copy.deepcopy(user.claims) == user.claims
        assert pickle.loads(pickle.dumps(user.claims)) == user.claims  # noqa: S301 - our own
    if not same(one, other):
        assert json.dumps(one.to_dict()) != json.dumps(other.to_dict())


def test_claims_do_not_decide_who_it_is_and_stay_out_of_the_repr():
    """Claims may hold private data; the same user with other claims is equal."""
    ada = User("ada", claims={"mail": "canary@example.org"})
    assert ada == User("ada")
    assert hash(ada) == hash(User("ada"))
    assert "canary" not in repr(ada)


def test_a_user_prints_as_the_name_for_a_screen():
    """``str`` is for users; ``repr`` names the account."""
    user = User("ada", name="Ada Lovelace", display_name="Ada")
    assert str(user) == "Ada"
    assert "ada" in repr(user)


# ---------------------------------------------------------------------------------- transport


@given(USERS)
@settings(deadline=None)
def test_the_wire_gives_the_same_user_back(user):
    """``from_wire`` undoes ``to_wire``, through real JSON."""
    assert same(User.from_wire(json.loads(json.dumps(user.to_wire()))), user)


@given(USERS)
@settings(max_examples=40, deadline=None)
def test_pickle_and_copies_give_the_same_user_back(user):
    """A user can be passed to another process or deeply copied, claims included."""
    for twin in (pickle.loads(pickle.dumps(user)), copy.copy(user), copy.deepcopy(user)):  # noqa: S301
        assert same(twin, user)
        with pytest.raises(TypeError):
            twin.claims["x"] = 1


def test_fields_at_their_default_do_not_travel():
    """Every message carries the stamp, so the stamp has no more fields than needed."""
    assert User("ada").to_wire() == {"username": "ada"}


@given(JSON | NEAR_MISSES | USERS.map(User.to_wire).flatmap(spoilt))
@example({"username": "ada", "initials": []})
@example({"username": "ada", "avatar_url": 0})
@example({"username": "ada", "groups": None})
@example({"username": "ada", "claims": None})
@settings(max_examples=150, deadline=None)
def test_any_json_is_a_sound_user_or_a_protocol_error(wire):
    """An accepted user has fields of the documented types, and can be shown and hashed."""
    try:
        user = User.from_wire(wire)
    except RemoteProtocolError:
        return
    texts = (user.username, user.name, user.display_name, *user.groups)
    assert all(isinstance(text, str) for text in texts)
    badge = (user.initials, user.avatar_url, user.color)
    assert all(isinstance(text, str | None) for text in badge)
    assert user.admin in (True, False)
    assert user.is_anonymous in (True, False)
    hash(user)
    assert user._repr_html_()


@pytest.mark.parametrize(
    ("wire", "complaint"),
    [
        ([], "no username"),
        ({"username": ""}, "no username"),
        ({"username": 1}, "no username"),
        ({"username": "ada", "name": 1}, "names"),
        ({"username": "ada", "color": 1}, "badge"),
        ({"username": "ada", "initials": False}, "badge"),
        ({"username": "ada", "groups": "staff"}, "groups"),
        ({"username": "ada", "groups": [1]}, "groups"),
        ({"username": "ada", "claims": []}, "claims"),
    ],
)
def test_a_malformed_user_is_refused_by_name(wire, complaint):
    """The error names the wrong part."""
    with pytest.raises(RemoteProtocolError, match=complaint):
        User.from_wire(wire)


@pytest.mark.parametrize("value", [1, "true", None, [True]])
def test_only_true_makes_an_administrator(value):
    """Only True grants a right, not other true values."""
    user = User.from_wire({"username": "ada", "admin": value, "is_anonymous": value})
    assert not user.admin
    assert not user.is_anonymous


def test_the_public_model_holds_every_field_but_the_claims():
    """REST answers name the user, and have no other data of the provider."""
    model = User("ada", groups=("staff",), claims={"canary": 1}).public_model()
    assert set(model) == {field.name for field in fields(User)} - {"claims"}
    assert model["groups"] == ["staff"]
    assert "canary" not in json.dumps(model)


# ---------------------------------------------------------------------------------- in a cell


@given(USERS)
@example(
    User(
        HOSTILE,
        display_name=HOSTILE,
        avatar_url="https://example.org/" + HOSTILE,
        color=HOSTILE,
        groups=(HOSTILE,),
        initials=HOSTILE,
        is_anonymous=True,
    )
)
@example(User("\ud800", initials="<s>"))
@example(User(HOSTILE, initials='"><', color='red;"><script>'))
@settings(max_examples=120, deadline=None)
def test_nothing_of_a_user_becomes_markup(user):
    """The badge has only our elements and attributes, and its text is exactly the user's."""
    page = Page(user._repr_html_())
    note = f" · {ANONYMOUS}" if user.is_anonymous else ""
    groups = " · " + ", ".join(user.groups) if user.groups else ""
    letters = "" if page.pictures() else user.badge_letters()
    assert page.text == f"{letters}{user.display_name}{user.username}{groups}{note}"
    assert {tag for tag, _ in page.elements} <= {"span", "b", "br", "img"}
    names = {name for _, attributes in page.elements for name in attributes}
    assert names <= {"style", "alt", "src", "referrerpolicy", "aria-hidden"}


@given(ANY_TEXT)
@example("red;background:url(https://evil.example)")
@settings(max_examples=30, deadline=None)
def test_the_users_colour_is_not_put_into_a_style(color):
    """A colour is free text of the provider: the badge looks the same for any value."""
    assert User("ada", color=color)._repr_html_() == User("ada")._repr_html_()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.png",
        "HTTPS://example.org/a.png?x=1&y=2#z",
        "/hub/avatar/ada",
        "/",
    ],
)
def test_a_picture_is_shown(url):
    """An https address or one on the same server becomes the picture, without a referrer."""
    page = Page(User("ada", avatar_url=url)._repr_html_())
    assert page.pictures() == [url]
    images = [attributes for tag, attributes in page.elements if tag == "img"]
    assert [image["referrerpolicy"] for image in images] == ["no-referrer"]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "data:image/svg+xml;base64,AAAA",
        "data:image/png;base64,AAAA",
        "http://example.org/a.png",
        "//example.org/a.png",
        "/\\example.org/a.png",
        "/\t/example.org/a.png",
        "\n//example.org/a.png",
        "https://",
        "https:///a.png",
        "https:\\\\example.org",
        "https:example.org",
        "/a b",
        "vbscript:x",
        "file:///etc/passwd",
        "avatar.png",
    ],
)
def test_any_other_address_is_not_used(url):
    """An address with code, without encryption, or of another host is replaced by letters."""
    page = Page(User("ada", avatar_url=url)._repr_html_())
    assert page.pictures() == []
    assert page.text.startswith("A")


def test_only_anonymous_users_are_marked():
    """A random "Anonymous …" name is marked, so it is not taken for an account."""
    assert ANONYMOUS in User("a1", is_anonymous=True)._repr_html_()
    assert ANONYMOUS not in User("a1")._repr_html_()


@pytest.mark.parametrize(
    ("user", "letters"),
    [
        (User("ada"), "A"),
        (User("ada", display_name="Ada Lovelace"), "AL"),
        (User("ada", display_name="Ada King Lovelace"), "AL"),
        (User("ada", display_name="  ada \t lovelace "), "AL"),
        (User("ada", initials="xyzw"), "xyz"),
        (User("ada", initials=""), "A"),
        (User(" "), "?"),
        (User("ß ß"), "SS"),
        (User("李雷"), "李"),
    ],
)
def test_badge_letters(user, letters):
    """The provider's initials, else the first letters of first and last word."""
    assert user.badge_letters() == letters


@given(USERS)
@settings(max_examples=50, deadline=None)
def test_a_badge_has_one_to_three_letters(user):
    """For any name, the badge has one to three letters."""
    assert 1 <= len(user.badge_letters()) <= 3


# ------------------------------------------------------------------------------------- claims


@given(CLAIMS)
@settings(deadline=None)
def test_small_json_claims_are_all_kept(claims):
    """Claims that are JSON and fit are not changed."""
    assert trim_claims(claims) == claims


NOT_JSON = st.sampled_from(
    [b"x", {1, 2}, object(), float("nan"), float("inf"), datetime.now(timezone.utc), 1j]
)
KEYS = ANY_TEXT | st.integers() | st.tuples(st.integers()) | st.text(min_size=2000, max_size=3000)
VALUES = JSON | NOT_JSON | st.lists(NOT_JSON, min_size=1) | st.just("x" * 3000)


@given(st.dictionaries(KEYS, VALUES, max_size=6))
@example({str(number): 1 for number in range(4000)})
@example({"é" * number: 1 for number in range(1, 200)})
@example({"\0": "\0" * 1400})
@example({1: "a", "b": 2})
@settings(max_examples=50, deadline=None)
def test_trimmed_claims_are_bounded_json(claims):
    """For any claims, the result is a JSON object of bounded length, made of them."""
    kept = trim_claims(claims)
    text = json.dumps(kept, allow_nan=False)
    assert len(text) <= MAX_CLAIMS_CHARS
    assert json.loads(text) == kept
    names = {str(name) for name in claims}
    assert all(isinstance(name, str) and name in names for name in kept)


def test_what_is_too_large_or_too_deep_does_not_push_out_the_rest():
    """Only a huge or deeply nested claim is left out; the limit itself is allowed."""
    loop = []
    loop.append(loop)
    deep = []
    for _ in range(100_000):
        deep = [deep]
    claims = {"huge": "x" * MAX_CLAIMS_CHARS, "loop": loop, "deep": deep, "sub": "1"}
    assert trim_claims(claims) == {"sub": "1"}
    exact = {"a": "x" * (MAX_CLAIMS_CHARS - len('{"a": ""}'))}
    assert trim_claims(exact) == exact
    assert trim_claims({"a": exact["a"] + "x"}) == {}
