"""Opening: adapters are found by their entry points, and a wrong URL says what would be right."""

from __future__ import annotations

import logging
import sys
import uuid
from pathlib import Path

import pytest

import qcore
from qcore_conformance.bed import Bed
from qcore_conformance.colours import Colour
from qcore_conformance.marks import in_colour, invariant
from qcore_conformance.scripts import script

_SECRET = "hunter2-hunter2"  # noqa: S105  (opens nothing)
_WRONG = {"int": "many", "bool": "perhaps", "seconds": "soon"}


@invariant("Q-CORE-09")
def test_an_unknown_scheme_lists_what_is_known(bed: Bed) -> None:
    """With the schemes of the adapters that are installed."""
    with pytest.raises(qcore.AdapterNotFound) as caught:
        bed.connect("nowhere://localhost/")

    assert "nowhere" in str(caught.value)
    assert f"{bed.capabilities.adapter}://" in str(caught.value)


@invariant("Q-CORE-09")
def test_an_unknown_parameter_lists_what_is_known(bed: Bed) -> None:
    """A misspelt one is not dropped."""
    with pytest.raises(qcore.InvalidUrl) as caught:
        bed.connect(_with_parameter(bed.url, "nonsense", "1"))

    assert "nonsense" in str(caught.value)
    known = [parameter.name for parameter in bed.connection.adapter.parameters]
    assert [name for name in known if name not in str(caught.value)] == []


@invariant("Q-CORE-09")
def test_a_parameter_of_the_wrong_type_is_named(bed: Bed) -> None:
    """Each parameter that is not plain text."""
    for parameter in bed.connection.adapter.parameters:
        wrong = _WRONG.get(parameter.kind)
        if wrong is not None and f"{parameter.name}=" not in bed.url:
            with pytest.raises(qcore.InvalidUrl, match=parameter.name):
                bed.connect(_with_parameter(bed.url, parameter.name, wrong))


@invariant("Q-CORE-09")
def test_a_password_is_never_shown(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    """In no message, representation or log, whether the URL is right or wrong."""
    caplog.set_level(logging.DEBUG)
    scheme, _, rest = bed.url.partition("://")
    secret = f"{scheme}://somebody:{_SECRET}@{rest.rpartition('@')[2]}"

    shown = [
        _unopened(secret),
        _outcome(bed, secret),
        _outcome(bed, _with_parameter(secret, "nonsense", "1")),
        _outcome(bed, secret.replace(scheme, "nowhere", 1)),
        _outcome(bed, f"{scheme}://somebody:{_SECRET}@host:port/"),
        _outcome(bed, f"{scheme}://somebody:{_SECRET} x@host/"),
        caplog.text,
    ]

    assert [text for text in shown if _SECRET in text] == []


def _unopened(url: str) -> str:
    """What shows of a connection before anybody was reached."""
    try:
        return repr(qcore.connect_async(url))
    except qcore.QcoreError as error:
        return str(error)


def _outcome(bed: Bed, url: str) -> str:
    """What a program would show of a connection, or of its failure and all that led to it."""
    try:
        connection = bed.connect(url)
    except qcore.QcoreError as error:
        texts, cause = [repr(error)], error.__cause__
        while cause is not None:
            texts.append(f"{cause!r} {cause}")
            cause = cause.__cause__
        return f"{error} {' '.join(texts)}"
    return f"{connection!r} {connection.queue('q')!r}"


def _with_parameter(url: str, name: str, value: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{name}={value}"


@invariant("Q-CORE-10")
@in_colour(Colour.SYNC, "both colours find their adapter in the same way")
def test_an_adapter_loads_in_a_fresh_interpreter(bed: Bed) -> None:
    """By its entry point alone."""
    worker = bed.worker(script("open_and_say"))

    worker.expect(0)

    assert worker.wait_for("adapter ") == f"adapter {bed.capabilities.adapter}"


@invariant("Q-CORE-10")
@in_colour(Colour.SYNC, "both colours find their adapter in the same way")
def test_two_packages_with_one_scheme_are_an_error(bed: Bed, tmp_path: Path) -> None:
    """Neither wins, and the message names both."""
    package = f"usurper{uuid.uuid4().hex[:8]}"
    _install(tmp_path, package, bed.capabilities.adapter)

    worker = bed.worker(script("open_and_say"), PYTHONPATH=_path_with(tmp_path))
    worker.expect(0)

    line = worker.wait_for("failed ")
    assert "AdapterConflict" in line
    assert package in line


def _install(folder: Path, package: str, scheme: str) -> None:
    """Make a package that registers a scheme, as an installer would."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[qcore.backends]\n{scheme} = {package}:adapter\n")


def _path_with(folder: Path) -> str:
    return ":".join([str(folder), *filter(None, sys.path)])
