from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from qcore import errors
from qcore.errors import QcoreError, UnsupportedCapability


def family(kind: type[QcoreError]) -> Iterator[type[QcoreError]]:
    """An error and all that are more special."""
    yield kind
    for child in kind.__subclasses__():
        if child.__module__ == errors.__name__:
            yield from family(child)


KINDS = list(dict.fromkeys(family(QcoreError)))


def test_every_error_is_public_and_drawn_in_the_tree() -> None:
    """The docstring of the module shows all of them."""
    assert sorted(kind.__name__ for kind in KINDS) == sorted(errors.__all__)
    for kind in KINDS:
        assert kind.__name__ in (errors.__doc__ or "")


def test_every_error_has_a_code_of_its_own() -> None:
    """Logs and ``--json`` tell them apart."""
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)


def test_only_what_certainly_did_not_happen_is_retryable() -> None:
    """A lost reply is not."""
    assert [kind.__name__ for kind in KINDS if kind.retryable] == ["Unavailable"]


def test_wrong_input_is_a_value_error() -> None:
    """Code that knows nothing of qcore can tell."""
    assert issubclass(errors.LimitExceeded, ValueError)
    assert issubclass(errors.AdapterNotFound, LookupError)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not UnsupportedCapability])
def test_errors_survive_pickling(kind: type[QcoreError]) -> None:
    """They come back from worker processes."""
    twin = pickle.loads(pickle.dumps(kind("what happened")))  # noqa: S301  (made in this line)
    assert type(twin) is kind
    assert str(twin) == "what happened"


def test_a_missing_capability_names_adapter_capability_and_reason() -> None:
    """As attributes, in the message, and after pickling."""
    error = UnsupportedCapability("redis+pubsub", "retry", "nothing is stored")
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301  (made one line earlier)
    for one in (error, twin):
        assert (one.adapter, one.capability, one.why) == (
            "redis+pubsub",
            "retry",
            "nothing is stored",
        )
        assert str(one) == "redis+pubsub does not offer 'retry': nothing is stored"
    assert str(UnsupportedCapability("a", "b")) == "a does not offer 'b'"
