from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given, strategies as st

from qcore import options
from qcore.capabilities import Limits
from qcore.errors import InvalidInput, LimitExceeded

LIMITS = Limits()
HUGE = 10**5000
"""A whole number that neither fits a float nor may be written out in decimal."""

NO_NUMBERS: dict[str, object] = {
    "text": "1",
    "bytes": b"1",
    "true": True,
    "false": False,
    "list": [],
    "complex": 1j,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "-1": -1,
    "huge": HUGE,
    "-huge": -HUGE,
}
no_number = pytest.mark.parametrize("value", NO_NUMBERS.values(), ids=NO_NUMBERS)


def _seconds(value: object) -> float:
    return options.seconds("delay", value)


def _lease(value: object) -> float:
    return options.lease_seconds(value, LIMITS)


def _count(value: object) -> int:
    return options.count("limit", value, 10)


def _whole(value: object) -> int:
    return options.whole("offset", value, 10)


def _brief(name: str) -> str:
    return f"{name[-9:]!a} of {len(name)}"


class Nowhere(tzinfo):
    """A time zone that does not know its offset."""

    def utcoffset(self, moment: datetime | None, /) -> None:
        """Nothing."""

    def dst(self, moment: datetime | None, /) -> None:
        """Nothing."""

    def tzname(self, moment: datetime | None, /) -> None:
        """Nothing."""


@no_number
@pytest.mark.parametrize("check", [_seconds, _lease, options.moment, _count, _whole])
def test_what_is_no_usable_number_is_refused(
    check: Callable[[object], object], value: object
) -> None:
    """Wrong types, negative, endless and huge numbers all lead to an error of the tree."""
    with pytest.raises(InvalidInput):
        check(value)


@no_number
def test_a_timeout_is_a_number_of_seconds_or_none(value: object) -> None:
    """``None`` stands for no end; everything else that is no time is refused."""
    assert options.timeout_seconds(None) is None
    assert options.timeout_seconds(0) == 0.0
    with pytest.raises(InvalidInput, match="timeout"):
        options.timeout_seconds(value)


@given(st.floats(0, 1e300))
def test_any_finite_number_that_is_not_negative_is_a_time(value: float) -> None:
    """What was passed comes back."""
    assert options.seconds("delay", value) == value


def test_a_time_at_its_limit_is_taken_and_above_it_refused() -> None:
    """Limits hold exactly."""
    assert options.seconds("delay", 10, most=10.0) == 10.0
    with pytest.raises(LimitExceeded, match="delay"):
        options.seconds("delay", 10.001, most=10.0)


def test_a_lease_lies_between_its_limits() -> None:
    """Both ends are allowed, one more is not."""
    assert options.lease_seconds(LIMITS.lease_min, LIMITS) == LIMITS.lease_min
    assert options.lease_seconds(LIMITS.lease_max, LIMITS) == LIMITS.lease_max
    for value in (LIMITS.lease_min / 2, 0, LIMITS.lease_max + 1):
        with pytest.raises(LimitExceeded, match="lease"):
            options.lease_seconds(value, LIMITS)


def test_a_moment_is_read_from_an_aware_datetime() -> None:
    """Time zones count; what lies before the epoch is due now."""
    east = timezone(timedelta(hours=14))
    assert options.moment(datetime(2026, 1, 1, tzinfo=UTC)) == 1767225600.0
    assert options.moment(datetime(2026, 1, 1, 14, tzinfo=east)) == 1767225600.0
    assert options.moment(datetime.min.replace(tzinfo=east)) == 0.0
    assert options.moment(datetime.max.replace(tzinfo=UTC)) > 2.5e11


@pytest.mark.parametrize("zone", [None, Nowhere()])
def test_a_moment_without_a_time_zone_is_refused(zone: tzinfo | None) -> None:
    """Nobody knows when that is."""
    with pytest.raises(InvalidInput, match="time zone"):
        options.moment(datetime(2026, 1, 1, tzinfo=zone))


@pytest.mark.parametrize("value", [0, 1.0, "3"])
def test_a_count_is_a_whole_number_above_zero(value: object) -> None:
    """Neither zero nor what only looks like a whole number."""
    assert options.count("limit", 1, 10) == 1
    with pytest.raises(InvalidInput, match="limit"):
        options.count("limit", value, 10)


def test_counts_hold_their_limit() -> None:
    """The limit works, one more does not."""
    assert options.count("limit", 10, 10) == 10
    with pytest.raises(LimitExceeded, match="11"):
        options.count("limit", 11, 10)
    assert options.whole("offset", 0, 10) == 0
    with pytest.raises(LimitExceeded, match="11"):
        options.whole("offset", 11, 10)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, math.nan])
def test_a_priority_is_a_whole_number(value: object) -> None:
    """Other types are refused."""
    with pytest.raises(InvalidInput, match="priority"):
        options.priority_level(value)


def test_priorities_go_from_minus_four_to_four() -> None:
    """Nine levels, and an error beyond them."""
    assert [options.priority_level(level) for level in range(-4, 5)] == list(range(-4, 5))
    for value in (-5, 5, HUGE, -HUGE):
        with pytest.raises(LimitExceeded, match="priority"):
            options.priority_level(value)


BAD_NAMES = [
    *["", " ", "a b", "{a}", "a*", "a?", "a[b]", "a/b", "a\\b", "a#b", "a%b", "a\x00b", "a\n"],
    *["\na", "é", "名", "\ud800", "a@b", "${a}", "x" * 129, "x" * (1 << 20)],
]


@pytest.mark.parametrize("name", [*BAD_NAMES, "a:b"], ids=_brief)
def test_names_with_other_characters_are_refused(name: str) -> None:
    """Separators, wildcards, control characters and excess never reach a broker."""
    with pytest.raises(InvalidInput, match="queue name") as failure:
        options.name_of("queue name", name)
    assert len(str(failure.value)) < 300


@pytest.mark.parametrize("name", BAD_NAMES, ids=_brief)
def test_ids_with_other_characters_are_refused(name: str) -> None:
    """As names, but a colon is allowed."""
    assert options.job_id("id", "a:b") == "a:b"
    with pytest.raises(InvalidInput, match="id"):
        options.job_id("id", name)


@pytest.mark.parametrize("value", [None, b"mail", 1, ["mail"]])
def test_names_are_text(value: object) -> None:
    """The type that came is named."""
    with pytest.raises(InvalidInput, match=type(value).__name__):
        options.name_of("queue name", value)


@given(st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True))
def test_plain_names_are_kept(name: str) -> None:
    """Every name of the allowed characters is one."""
    assert options.name_of("queue name", name) == name


def test_a_name_at_its_limit_is_taken() -> None:
    """The limit is the adapter's."""
    assert options.name_of("queue name", "x" * 128) == "x" * 128
    with pytest.raises(LimitExceeded):
        options.name_of("queue name", "x" * 9, 8)


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
)
def test_headers_come_back_as_they_are(headers: dict[str, str]) -> None:
    """Nothing is normalised."""
    assert options.headers_of(headers, Limits(headers=1000, header_bytes=1 << 20)) == headers


@pytest.mark.parametrize(
    "headers",
    [None, 0, False, "", [], ["ab"], "ab", 1, {"a": 1}, {"a": None}, {1: "a"}, {b"a": "b"}],
)
def test_headers_are_text_by_text(headers: object) -> None:
    """Also what is empty must be a mapping."""
    with pytest.raises(InvalidInput, match="headers"):
        options.headers_of(headers, LIMITS)


@pytest.mark.parametrize("headers", [{"a\ud800": "b"}, {"a": "b\udfff"}])
def test_headers_with_lone_surrogates_are_refused(headers: dict[str, str]) -> None:
    """They cannot be written as UTF-8."""
    with pytest.raises(InvalidInput, match="surrogate"):
        options.headers_of(headers, LIMITS)


def test_headers_hold_their_limits() -> None:
    """Number and size are counted, the size in bytes of UTF-8."""
    limits = Limits(headers=2, header_bytes=8)
    assert options.headers_of({"a": "1", "b": "2"}, limits) == {"a": "1", "b": "2"}
    assert options.headers_of({"é": "éé1"}, limits) == {"é": "éé1"}
    for headers in ({"a": "1", "b": "2", "c": "3"}, {"é": "ééé1"}):
        with pytest.raises(LimitExceeded, match="headers"):
            options.headers_of(headers, limits)


def test_a_body_holds_its_limit() -> None:
    """One byte more is refused, with a way out."""
    assert options.body_size(b"12345678", Limits(body=8)) == b"12345678"
    with pytest.raises(LimitExceeded, match="9 bytes, the limit is 8"):
        options.body_size(b"123456789", Limits(body=8))


@pytest.mark.parametrize("value", ["pickle", "", None, b"json", ["json"], {}])
def test_an_unknown_codec_lists_the_known_ones(value: object) -> None:
    """Whatever was passed instead of a name."""
    assert options.codec_name("json") == "json"
    with pytest.raises(InvalidInput, match="bytes, json, msgpack"):
        options.codec_name(value)


@pytest.mark.parametrize("value", [None, b"why", 1])
def test_a_note_is_text(value: object) -> None:
    """Errors and reasons are kept for people to read."""
    with pytest.raises(InvalidInput, match="reason"):
        options.note_text("reason", value)


def test_a_note_can_always_be_stored() -> None:
    """Too long a text is cut, and what UTF-8 cannot write is escaped, as nobody can repair it."""
    assert options.note_text("error", "plain: é") == "plain: é"
    assert options.note_text("error", "file \udcff") == "file \\udcff"
    assert len(options.note_text("error", "x" * 100_000)) == options.NOTE_LIMIT
    assert len(options.note_text("error", "\udcff" * 100_000)) == options.NOTE_LIMIT
