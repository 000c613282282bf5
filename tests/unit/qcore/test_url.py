from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from qcore.errors import InvalidUrl
from qcore.url import Parameter, SchemeParts, Url, nearest, parse_url, split_scheme, typed

PARAMETERS = (
    Parameter("namespace", "str", "default", "a word"),
    Parameter("lease", "seconds", 30.0, "a time"),
    Parameter("limit", "int", 3, "a number", least=1),
    Parameter("strict", "bool", default=False, help="a switch"),
    Parameter("mode", "str", "work", "a choice", choices=("work", "log")),
)

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


def given_as(**params: str) -> dict[str, object]:
    """What these texts mean as parameters."""
    return typed(Url("memory", params=params), PARAMETERS)


def test_every_part_of_a_url_is_found() -> None:
    """Scheme, user, password, hosts, path and parameters each have their place."""
    url = parse_url("redis+list://ann:s3cret@one:6379,two/0?namespace=shop&lease=5s")

    assert url == Url(
        scheme="redis+list",
        username="ann",
        password="s3cret",
        hosts=(("one", 6379), ("two", None)),
        path="/0",
        params={"namespace": "shop", "lease": "5s"},
    )


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("memory://", ()),
        ("memory://name", (("name", None),)),
        ("redis+list://[::1]:6379", (("::1", 6379),)),
        ("redis+list://[fe80::1%25eth0]", (("fe80::1%eth0", None),)),
        ("redis+list://user@[::1],h:1", (("::1", None), ("h", 1))),
        ("redis+list+unix:///run/redis.sock", ()),
    ],
)
def test_hosts_may_be_absent_or_ipv6(text: str, hosts: tuple[tuple[str, int | None], ...]) -> None:
    """A URL names as many hosts as its broker has, the path none."""
    assert parse_url(text).hosts == hosts


@given(st.lists(words, min_size=6, max_size=6))
def test_what_was_percent_encoded_comes_back(parts: list[str]) -> None:
    """Any text can stand in any part of a URL."""
    encoded = [quote(part, safe="") for part in parts]

    url = parse_url("memory://{}:{}@{}:80/{}?{}={}".format(*encoded))

    user, password, host, path, key, value = parts
    assert url == Url("memory", user, password, ((host, 80),), f"/{path}", {key: value})


@given(user=words, host=words, path=words, key=words, value=words)
def test_what_is_shown_can_be_parsed_again(
    user: str, host: str, path: str, key: str, value: str
) -> None:
    """Showing a URL loses nothing but its secrets, and shows no control characters."""
    secret = "password" in key.lower() or "secret" in key.lower()
    url = Url("memory", user, "", ((host, 80),), f"/{path}", {key: "***" if secret else value})

    assert str(url).isprintable()
    assert parse_url(str(url)) == url


@given(password=st.text("0123456789abcdef!", min_size=12, max_size=20))
def test_a_password_is_never_shown(password: str) -> None:
    """Neither as the user's nor as a parameter."""
    url = parse_url(f"redis+list://ann:{password}@h/0?sentinel_password={password}")

    assert url.password == password
    for shown in (str(url), repr(url)):
        assert password not in shown
        assert shown.count("***") == 2


@pytest.mark.parametrize(
    "text",
    [
        "redis+list://ann:hunter/2@h/0",
        "redis+list://ann:12/hunter2@h/0",
        "redis+list://ann:12?hunter2@h/0",
        "redis+list://ann:hunter2?x@h",
        "redis+list://ann:hunter 2@h",
        "ann:hunter2@h/0?next=redis+list://h",
        "redis+list://ann:1?hunter2@x=1&hunter2@x=1",
        "redis+list://ann:hunter%ff@h",
    ],
)
def test_an_error_never_repeats_a_password_that_was_not_encoded(text: str) -> None:
    """A password that breaks the URL apart is refused without being shown."""
    with pytest.raises(InvalidUrl) as failure:
        typed(parse_url(text), PARAMETERS)

    assert "hunter" not in str(failure.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:6379",
        "://host",
        "1redis://host",
        "redis list://host",
        "redis+list://ho st",
        "redis+list://h\n",
        "redis+list://h\x00",
        "redis+list://h?a=\x7f",
        "redis+list://h:port",
        "redis+list://h:0",
        "redis+list://h:65536",
        "redis+list://h:-1",
        "redis+list://h:²",
        "redis+list://h:" + "9" * 5000,
        "redis+list://[::1",
        "redis+list://[::1]6379",
        "redis+list://a,,b",
        "redis+list://h/%ff",
        "redis+list://h?a=1&a=2",
        "redis+list://h?=1",
    ],
)
def test_what_is_no_url_is_refused(text: str) -> None:
    """Malformed text is an error of the tree, whatever is wrong with it."""
    with pytest.raises(InvalidUrl):
        parse_url(text)


@given(st.text(max_size=60) | st.text(":/?@&=+%,[]0m", max_size=30).map("memory://".__add__))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """No text leads to an error outside the tree."""
    try:
        url = parse_url(text)
    except InvalidUrl:
        return
    assert parse_url(str(url)).scheme == url.scheme


@pytest.mark.parametrize("value", [None, b"memory://", 1])
def test_only_text_is_a_url(value: object) -> None:
    """Other types are named, not shown."""
    with pytest.raises(InvalidUrl, match=type(value).__name__):
        parse_url(value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_the_scheme_is_the_same_in_capitals() -> None:
    """As in every URL."""
    assert parse_url("Memory://X").scheme == "memory"
    assert parse_url("Memory://X").hosts == (("X", None),)


@pytest.mark.parametrize(
    ("scheme", "parts"),
    [
        ("redis+list", SchemeParts("redis+list")),
        ("rediss+list", SchemeParts("redis+list", secure=True)),
        ("redis+list+unix", SchemeParts("redis+list", topology="unix")),
        ("rediss+list+embedded", SchemeParts("redis+list", secure=True, topology="embedded")),
        ("memory", SchemeParts("memory")),
        ("pass", SchemeParts("pass")),
        ("own+unix", SchemeParts("own+unix")),
        ("unix", SchemeParts("unix")),
        ("nobody", SchemeParts("nobody")),
        ("nobodys+unix", SchemeParts("nobodys", topology="unix")),
    ],
)
def test_a_scheme_says_adapter_tls_and_topology(scheme: str, parts: SchemeParts) -> None:
    """A registered scheme stands for itself; what is left over has a meaning of its own."""
    known = {"redis+list", "memory", "pass", "own+unix"}
    assert split_scheme(scheme, known) == parts


def test_absent_parameters_have_their_defaults() -> None:
    """An empty query gives every parameter that the adapter declares."""
    assert given_as() == {
        "namespace": "default",
        "lease": 30.0,
        "limit": 3,
        "strict": False,
        "mode": "work",
    }


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2", 2.0), ("2s", 2.0), ("0.5", 0.5), ("500ms", 0.5), ("5m", 300.0), ("1.5h", 5400.0)],
)
def test_times_have_units(text: str, seconds: float) -> None:
    """Seconds are meant where no unit is given."""
    assert given_as(lease=text)["lease"] == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["true", "yes", "on", "1", "TRUE"])
def test_switches_are_turned_on_in_words(text: str) -> None:
    """The usual words work in any case."""
    assert given_as(strict=text)["strict"] is True


@pytest.mark.parametrize("text", ["false", "no", "off", "0", "Off"])
def test_switches_are_turned_off_in_words(text: str) -> None:
    """The usual words work in any case."""
    assert given_as(strict=text)["strict"] is False


def test_a_whole_number_may_be_negative_where_nothing_forbids_it() -> None:
    """Only ``least`` bounds a number."""
    assert typed(Url("m", params={"n": "-5"}), [Parameter("n", "int", 0, "")]) == {"n": -5}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lease", ""),
        ("lease", "-1"),
        ("lease", "nan"),
        ("lease", "inf"),
        ("lease", "1e3"),
        ("lease", "."),
        ("lease", "1 s"),
        ("lease", "٣"),
        ("lease", "9" * 400),
        ("lease", "999999999h"),
        ("lease", "9" * 5000),
        ("limit", ""),
        ("limit", "-"),
        ("limit", "--5"),
        ("limit", "1.5"),
        ("limit", "٣"),
        ("limit", "0"),
        ("limit", "9" * 5000),
        ("strict", "maybe"),
        ("strict", ""),
        ("mode", "Work"),
    ],
)
def test_a_parameter_of_the_wrong_kind_is_refused_by_name(name: str, text: str) -> None:
    """The message says which parameter is meant."""
    with pytest.raises(InvalidUrl, match=name):
        given_as(**{name: text})


def test_an_unknown_parameter_lists_the_known_ones() -> None:
    """A misspelt promise is an error with a suggestion, not a silent default."""
    with pytest.raises(InvalidUrl, match=r"'leese'; did you mean 'lease'\? Known: lease, limit, "):
        given_as(leese="5")


def test_an_unknown_parameter_that_resembles_none_is_refused_too() -> None:
    """The message stays a sentence."""
    with pytest.raises(InvalidUrl, match=r"no parameter 'xyzzy'\. Known: lease"):
        given_as(xyzzy="1")


def test_the_nearest_word_is_suggested_or_none() -> None:
    """Suggestions need some likeness."""
    assert nearest("memery", ["memory", "redis"]) == "; did you mean 'memory'?"
    assert nearest("memory", []) == ""
    assert nearest("q", ["memory"]) == ""
