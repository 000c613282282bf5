"""The pytest plugin: which tests of the suite run, in which colours, and with which outcome.

It does nothing in a run that has no test of the suite. With ``--qcore-url`` or ``--qcore-harness``
the tests of ``qcore_conformance.suite`` know what to test; a module of somebody's own gets them by
``globals().update(suite(MyHarness))`` and needs no option.
"""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, cast

import pytest

import qcore

from .bed import Bed
from .colours import Colour
from .contract import Scope, contract, scope_of
from .harness import Harness
from .harnesses import harness_for
from .notes import FIGURES, RESULT, Notes
from .outcomes import NotApplicable, NotRun, Outcome, Refuses, Unknown

__all__ = ["HARNESS_ATTRIBUTE"]

HARNESS_ATTRIBUTE = "__qcore_harness__"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("qcore", "conformance of a qcore adapter")
    group.addoption("--qcore-url", help="test the adapter that this URL names")
    group.addoption("--qcore-harness", help="test with this harness: module:Class")
    group.addoption("--qcore-tier", type=int, default=1, help="go up to this tier, 0 to 4")
    group.addoption("--qcore-scale", type=float, default=1.0, help="multiply all large counts")
    group.addoption("--qcore-notes", help="write the outcomes into this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks, and collect outcomes where they come together."""
    config.addinivalue_line("markers", "qcore_invariant(*ids): the invariants that a test checks")
    config.addinivalue_line("markers", "qcore_colour(colour, reason): runs in one colour only")
    if (notes := config.getoption("--qcore-notes")) and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Notes(Path(str(notes))), "qcore-notes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of the suite in both colours, but for those that are of one."""
    if "colour" not in metafunc.fixturenames or not _ids(metafunc.definition):
        return
    only = metafunc.definition.get_closest_marker("qcore_colour")
    colours = [only.args[0]] if only else list(Colour)
    metafunc.parametrize("colour", colours, ids=str)


def _ids(item: pytest.Item | pytest.Function) -> list[str]:
    return [one for mark in item.iter_markers("qcore_invariant") for one in mark.args]


class _Session:
    """The harnesses of this process, each brought up once, and what their adapters claim."""

    def __init__(self) -> None:
        self._up: dict[object, tuple[Harness, qcore.Capabilities]] = {}

    def get(self, key: object, make: Any) -> tuple[Harness, qcore.Capabilities]:
        if key not in self._up:
            harness: Harness = make()
            harness.start()
            with qcore.connect(harness.url(f"probe-{uuid.uuid4().hex[:8]}")) as connection:
                self._up[key] = (harness, connection.capabilities)
        return self._up[key]

    def close(self) -> None:
        for harness, _ in self._up.values():
            harness.stop()


@pytest.fixture(scope="session")
def qcore_session() -> Iterable[_Session]:
    """The harnesses of this process."""
    session = _Session()
    yield session
    session.close()


@pytest.fixture
def bed(request: pytest.FixtureRequest, qcore_session: _Session, colour: Colour) -> Iterable[Bed]:
    """The test bed of one test; refuses tests that do not concern the adapter."""
    config = request.config
    harness, capabilities = _harness(request, qcore_session)
    tier = int(cast("int", config.getoption("--qcore-tier")))
    _admit(request.node, capabilities, tier)
    namespace = f"t{uuid.uuid4().hex[:12]}"
    scale = float(cast("float", config.getoption("--qcore-scale")))
    made = Bed(harness, colour, namespace, capabilities, tier=tier, scale=scale)
    request.node.user_properties.append((FIGURES, made.figures))
    try:
        yield made
    finally:
        made.close()


def _harness(
    request: pytest.FixtureRequest, session: _Session
) -> tuple[Harness, qcore.Capabilities]:
    module: Any = request.node.getparent(pytest.Module).obj
    own = getattr(module, HARNESS_ATTRIBUTE, None)
    if own is not None:
        return session.get(own, own)
    if named := request.config.getoption("--qcore-harness"):
        place, _, name = str(named).partition(":")
        return session.get(named, getattr(importlib.import_module(place), name))
    if url := request.config.getoption("--qcore-url") or os.environ.get("QCORE_URL"):
        return session.get(url, lambda: harness_for(str(url)))
    raise NotRun("give --qcore-url or --qcore-harness to say what to test")


def _admit(item: pytest.Item, capabilities: qcore.Capabilities, tier: int) -> None:
    """Let a test go on only if one of its invariants concerns the adapter and can be tested."""
    found = [contract()[one] for one in _ids(item)]
    scopes = {one.id: scope_of(one, capabilities) for one in found}
    if not any(scope is Scope.APPLIES for scope in scopes.values()):
        if Scope.FUTURE in scopes.values():
            raise NotRun("the capability is not part of this version of qcore")
        raise Refuses(f"{capabilities.adapter} does not claim '{found[0].capability}'")
    needed = min(min(one.tiers) for one in found)
    if needed > tier:
        raise NotRun(f"needs tier {needed}, this run goes to tier {tier}")


_RAISED: dict[type[Exception], Outcome] = {
    NotRun: Outcome.NOT_RUN,
    NotApplicable: Outcome.NOT_APPLICABLE,
    Refuses: Outcome.REFUSES,
}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, None]:
    """Turn what a test raised into an outcome, and attach it to pytest's report."""
    made = yield
    ids = _ids(item)
    if not ids or (call.when != "call" and call.excinfo is None):
        return
    report = cast("pytest.TestReport", made.get_result())
    error = None if call.excinfo is None else call.excinfo.value
    outcome = _outcome(call.when, error)
    if outcome in _RAISED.values():
        report.outcome = "skipped"
        path, line, _ = item.location
        report.longrepr = (path, line or 0, f"{outcome}: {error}")
    report.user_properties.append(
        (RESULT, {"ids": ids, "outcome": str(outcome), "why": str(error or "")})
    )


def _outcome(when: str, error: BaseException | None) -> Outcome:
    if error is None:
        return Outcome.PASS
    for kind, outcome in _RAISED.items():
        if isinstance(error, kind):
            return outcome
    # A bed that could not be made or taken down says nothing about the adapter.
    return Outcome.UNKNOWN if isinstance(error, Unknown) or when != "call" else Outcome.FAIL
