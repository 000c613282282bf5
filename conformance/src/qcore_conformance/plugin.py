"""The pytest plugin: which tests of the suite run, in which colours, and with which outcome.

It does nothing in a run that has no test of the suite. With ``--qcore-url`` or ``--qcore-harness``
the tests of ``qcore_conformance.suite`` know what to test; a module of somebody's own gets them by
``globals().update(suite(MyHarness))`` and needs no option.
"""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import pytest

import qcore

from .bed import Bed
from .colours import Colour
from .contract import Scope, contract, scope_of
from .harness import Harness
from .harnesses import harness_for
from .notes import FIGURES, Notes
from .outcomes import RESULT, NotApplicable, NotRun, Outcome, Refuses, Unknown
from .runs import Run
from .waivers import Waiver, Watch, read_waivers

__all__ = ["HARNESS_ATTRIBUTE", "RUN_ATTRIBUTE"]

HARNESS_ATTRIBUTE = "__qcore_harness__"
RUN_ATTRIBUTE = "__qcore_run__"
_WAIVERS = pytest.StashKey[Mapping[str, Waiver]]()
_NO_WAIVERS: Mapping[str, Waiver] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("qcore", "conformance of a qcore adapter")
    group.addoption("--qcore-url", help="test the adapter that this URL names")
    group.addoption("--qcore-server", default="", help="start this server for it: redis-6.2.14")
    group.addoption("--qcore-harness", help="test with this harness: module:Class")
    group.addoption("--qcore-tier", type=int, help="go up to this tier, 0 to 4; by default 1")
    group.addoption("--qcore-scale", type=float, help="multiply all large counts")
    group.addoption("--qcore-seed", type=int, help="make values up from this, the same each time")
    group.addoption(
        "--qcore-alternate",
        type=int,
        metavar="TIER",
        help="from this tier on, run each test in one colour only, which its name decides",
    )
    group.addoption("--qcore-contract", default="", help="only what this version promised: 1.0")
    group.addoption("--qcore-id", action="append", help="only tests of this invariant; repeatable")
    group.addoption("--qcore-notes", help="write the outcomes into this file, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks, and collect outcomes where they come together."""
    config.addinivalue_line("markers", "qcore_invariant(*ids): the invariants that a test checks")
    config.addinivalue_line("markers", "qcore_colour(colour, reason): runs in one colour only")
    if hasattr(config, "workerinput"):
        return
    config.pluginmanager.register(Watch(), "qcore-waivers")
    if notes := config.getoption("--qcore-notes"):
        config.pluginmanager.register(Notes(Path(str(notes))), "qcore-notes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of the suite in both colours, but for those that are of one."""
    if "colour" not in metafunc.fixturenames or not _ids(metafunc.definition):
        return
    only = metafunc.definition.get_closest_marker("qcore_colour")
    colours = [only.args[0]] if only else list(Colour)
    metafunc.parametrize("colour", colours, ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what nobody asked for, and one colour of the tests that are to run in one only."""
    played = {item: _is_played(config, item) for item in items}
    if left_out := [item for item in items if not played[item]]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if played[item]]


def _is_played(config: pytest.Config, item: pytest.Item) -> bool:
    ids = _ids(item)
    wanted = cast("list[str] | None", config.getoption("--qcore-id"))
    if wanted and not set(wanted) & set(ids):
        return False
    if not ids or item.get_closest_marker("qcore_colour"):
        return True
    tier = max(min(contract()[one].tiers) for one in ids)
    return _run(config, item).plays(tier, f"{item.path.stem}::{item.name}")


def _run(config: pytest.Config, item: pytest.Item) -> Run:
    """How much of the suite the options want, and the module that a test stands in."""
    names = ("tier", "alternate", "scale", "seed")
    asked = Run(**{name: config.getoption(f"--qcore-{name}") for name in names})
    own: Run | None = getattr(_module(item), RUN_ATTRIBUTE, None)
    return asked.or_else(own or Run()).or_else(Run(tier=1, scale=1.0))


def _module(item: pytest.Item) -> object:
    module = item.getparent(pytest.Module)
    return None if module is None else module.obj


def _ids(item: pytest.Item | pytest.Function) -> list[str]:
    return [one for mark in item.iter_markers("qcore_invariant") for one in mark.args]


def _promised(item: pytest.Item) -> list[str]:
    """The invariants of a test that the version of the contract has."""
    version = str(item.config.getoption("--qcore-contract"))
    return [one for one in _ids(item) if one in contract(version)]


class _Session:
    """The harnesses of this process, each brought up once, and what their adapters claim."""

    def __init__(self) -> None:
        self._up: dict[Callable[[], Harness], tuple[Harness, qcore.Capabilities]] = {}

    def get(self, make: Callable[[], Harness]) -> tuple[Harness, qcore.Capabilities]:
        if make not in self._up:
            harness = make()
            harness.start()
            with qcore.connect(harness.url(f"probe-{uuid.uuid4().hex[:8]}")) as connection:
                self._up[make] = (harness, connection.capabilities)
        return self._up[make]

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
def qcore_harness(request: pytest.FixtureRequest) -> Callable[[], Harness]:
    """What makes the harness of a test; a module that tests several adapters has its own."""
    own: Callable[[], Harness] | None = getattr(_module(request.node), HARNESS_ATTRIBUTE, None)
    if own is not None:
        return own
    if named := request.config.getoption("--qcore-harness"):
        return _by_name(str(named))
    if url := request.config.getoption("--qcore-url") or os.environ.get("QCORE_URL"):
        return _by_url(str(url), str(request.config.getoption("--qcore-server")))
    raise NotRun("give --qcore-url or --qcore-harness to say what to test")


@cache
def _by_name(name: str) -> Callable[[], Harness]:
    place, _, attribute = name.partition(":")
    found: Callable[[], Harness] = getattr(importlib.import_module(place), attribute)
    return found


@cache
def _by_url(url: str, server: str) -> Callable[[], Harness]:
    return partial(harness_for, url, server)


@pytest.fixture
def bed(
    request: pytest.FixtureRequest,
    qcore_session: _Session,
    qcore_harness: Callable[[], Harness],
    colour: Colour,
) -> Iterable[Bed]:
    """The test bed of one test; refuses tests that do not concern the adapter."""
    harness, capabilities = qcore_session.get(qcore_harness)
    run = _run(request.config, request.node)
    tier, scale = cast("int", run.tier), cast("float", run.scale)
    request.node.stash[_WAIVERS] = read_waivers(harness.waivers, datetime.now(UTC).date())
    _admit(request.node, capabilities, tier)
    namespace = f"t{uuid.uuid4().hex[:12]}"
    made = Bed(harness, colour, namespace, capabilities, tier=tier, scale=scale, seed=run.seed)
    request.node.user_properties.append((FIGURES, made.figures))
    try:
        yield made
    finally:
        made.close()


def _admit(item: pytest.Item, capabilities: qcore.Capabilities, tier: int) -> None:
    """Let a test go on only if one of its invariants concerns the adapter and can be tested."""
    found = [contract()[one] for one in _promised(item)]
    if not found:
        raise NotRun(f"contract {item.config.getoption('--qcore-contract')} does not promise it")
    scopes = {one.id: scope_of(one, capabilities) for one in found}
    if not any(scope is Scope.APPLIES for scope in scopes.values()):
        if Scope.FUTURE in scopes.values():
            raise NotRun("the capability is not part of this version of qcore")
        if unless := [word[1:] for word in found[0].scope if word.startswith("!")]:
            raise NotApplicable(f"{capabilities.adapter} claims '{unless[0]}'")
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
    if not _ids(item) or (call.when != "call" and call.excinfo is None):
        yield
        return
    error = None if call.excinfo is None else call.excinfo.value
    outcome = _outcome(call.when, error)
    if call.excinfo is not None and outcome in _RAISED.values():
        # Otherwise pytest would look through the sources, to show what did not fail.
        skipped = pytest.skip.Exception(str(error)).with_traceback(call.excinfo.tb)
        call.excinfo = pytest.ExceptionInfo[BaseException].from_exception(skipped)
    made = yield
    _note(cast("pytest.TestReport", made.get_result()), item, outcome, error)


def _note(
    report: pytest.TestReport, item: pytest.Item, outcome: Outcome, error: BaseException | None
) -> None:
    waivers: Mapping[str, Waiver] = item.stash.get(_WAIVERS, _NO_WAIVERS)
    ids = _promised(item) or _ids(item)
    if outcome is Outcome.FAIL and all(one in waivers and not waivers[one].expired for one in ids):
        report.outcome = "skipped"
        report.wasxfail = f"reason: {waivers[ids[0]]}"
    elif outcome in _RAISED.values():
        path, line, _ = item.location
        report.longrepr = (path, line or 0, f"{outcome}: {error}")
    why = {
        "ids": ids,
        "outcome": str(outcome),
        "why": str(error or ""),
        "waived": {one: waivers[one].as_text() for one in ids if one in waivers},
    }
    report.user_properties.append((RESULT, why))


def _outcome(when: str, error: BaseException | None) -> Outcome:
    if error is None:
        return Outcome.PASS
    for kind, outcome in _RAISED.items():
        if isinstance(error, kind):
            return outcome
    # A bed that could not be made or taken down says nothing about the adapter.
    return Outcome.UNKNOWN if isinstance(error, Unknown) or when != "call" else Outcome.FAIL
