from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from qcore.errors import AdapterNotFound
from qcore.registry import GROUP, find, installed
from qcore.url import SchemeParts, parse_url

ADAPTER = """
class Adapter:
    scheme = "acme"
    parameters = ()

adapter = Adapter()
"""


class Site:
    """A folder of installed packages, and an interpreter that looks there first."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "packages").mkdir()

    def install(self, package: str, scheme: str, target: str, source: str = ADAPTER) -> None:
        """Install a package with one module and one entry point."""
        folder = self.root / "packages"
        info = folder / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{scheme} = {target}\n")
        (folder / f"{package}.py").write_text(dedent(source))

    def run(self, code: str) -> str:
        """Run code in a fresh interpreter; give what it printed."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root / "packages"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
        }
        done = subprocess.run(  # noqa: S603  (this very interpreter)
            [sys.executable, "-Werror", "-c", dedent(code)],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def find(self, url: str) -> str:
        """What ``find`` gives or says in a fresh interpreter."""
        return self.run(
            f"""
            from qcore.errors import QcoreError
            from qcore.registry import find
            from qcore.url import parse_url
            try:
                adapter, parts = find(parse_url({url!r}))
                print(type(adapter).__module__, parts)
            except QcoreError as error:
                print(error.code, "|", error)
            """
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A folder of installed packages."""
    return Site(tmp_path)


def test_the_adapters_of_this_distribution_are_listed() -> None:
    """With package and target, sorted by scheme."""
    listed = installed()
    assert [one.scheme for one in listed] == sorted(one.scheme for one in listed)
    (memory,) = [one for one in listed if one.scheme == "memory"]
    assert memory.target == "qcore.memory:adapter"
    assert memory.package.startswith("qcore-jobs ")


def test_an_adapter_is_found_by_its_scheme() -> None:
    """With what else the scheme says."""
    adapter, parts = find(parse_url("memory://x"))
    assert adapter.scheme == "memory"
    assert parts == SchemeParts("memory")


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys"])
def test_a_scheme_that_could_mean_three_designs_names_them(scheme: str) -> None:
    """They promise different things, so nobody chooses silently."""
    with pytest.raises(AdapterNotFound, match=r"redis\+list://.*redis\+streams://.*redis\+pubsub"):
        find(parse_url(f"{scheme}://localhost"))


def test_a_misspelt_scheme_has_a_suggestion() -> None:
    """And the list of what there is."""
    with pytest.raises(AdapterNotFound, match=r"did you mean 'memory'\? Installed: .*memory://"):
        find(parse_url("memroy://x"))
    with pytest.raises(AdapterNotFound, match=r"did you mean 'redis\+streams\+unix'\?"):
        find(parse_url("redis+stream+unix:///x"))


def test_an_unknown_scheme_says_how_to_get_an_adapter() -> None:
    """By entry point and by the usual name of the package."""
    with pytest.raises(AdapterNotFound, match=r"'qcore.backends'.*qcore-nats\. Installed: "):
        find(parse_url("nats+jetstream://x"))


def test_a_package_of_somebody_else_brings_an_adapter(site: Site) -> None:
    """By its entry point alone, with TLS and topology understood for it."""
    site.install("acme", "acme", "acme:adapter")
    assert "acme SchemeParts(adapter='acme', secure=False" in site.find("acme://x")
    assert "secure=True, topology='unix'" in site.find("acmes+unix://x")


def test_only_the_adapter_that_is_named_is_imported(site: Site) -> None:
    """The others may be broken or slow, and listing imports none."""
    site.install("acme", "acme", "acme:adapter", "raise SystemExit('imported')")
    assert site.find("memory://x").startswith("qcore.memory")
    code = "from qcore.registry import installed; print([one.package for one in installed()])"
    assert "acme 1.0" in site.run(code)


def test_two_packages_with_one_scheme_are_a_conflict(site: Site) -> None:
    """Neither wins silently; both are named."""
    site.install("acme", "acme", "acme:adapter")
    site.install("other", "acme", "other:adapter")
    said = site.find("acme://x")
    assert said.startswith("adapter-conflict")
    assert "acme 1.0 and other 1.0" in said


@pytest.mark.parametrize(
    ("target", "source", "reason"),
    [
        ("absent:adapter", "", "No module named 'absent'"),
        ("acme:adapter", "", "has no attribute 'adapter'"),
        ("acme:adapter", "import absent", "No module named 'absent'"),
        ("acme:adapter", "raise RuntimeError('no licence')", "no licence"),
        ("acme:adapter", "def", "invalid syntax"),
        ("acme:adapter", "adapter = None", "no adapter"),
        ("acme:adapter", ADAPTER.replace('"acme"', '"other"'), "'other'"),
    ],
    ids=["module", "name", "dependency", "any error", "syntax", "no adapter", "another scheme"],
)
def test_a_broken_adapter_is_an_error_of_the_tree(
    site: Site, target: str, source: str, reason: str
) -> None:
    """It names the package, the reason and what to do."""
    site.install("acme", "acme", target, source)
    said = site.find("acme://x")
    assert said.startswith("adapter-not-found")
    assert "acme 1.0" in said
    assert reason in said
