"""``sqlite``, somebody else's adapter, held to the contract as somebody else would do it.

Three wheels are installed into an empty environment outside the source tree, and nothing else that
is ours; the suite has to be found, to find the adapter, and to be content with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PROJECTS = (".", "conformance", "examples/qcore-sqlite")
LONG = 900
ELSEWHERE = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(*words: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program away from the sources; what it printed."""
    done = subprocess.run(  # noqa: S603  (no shell reads these words)
        [str(word) for word in words],
        cwd=cwd,
        env=ELSEWHERE | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=LONG,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with our three wheels and what they need."""
    folder = tmp_path_factory.mktemp("wheels")
    uv = Path(sys.executable).with_name("uv")
    for project in PROJECTS:
        run(uv, "build", "--wheel", "--out-dir", folder / "dist", ROOT / project, cwd=folder)
    run(uv, "venv", "--python", sys.executable, folder / "env", cwd=folder)
    wheels = sorted((folder / "dist").glob("*.whl"))
    assert len(wheels) == len(PROJECTS)
    versions = ("--constraint", ROOT / "constraints.txt")
    place = {"VIRTUAL_ENV": str(folder / "env")}
    run(uv, "pip", "install", *versions, *wheels, cwd=folder, **place)
    return folder / "env" / "bin"


@pytest.mark.timeout(LONG)
def test_an_adapter_conforms_where_only_wheels_are_installed(
    programs: Path, tmp_path: Path
) -> None:
    """In one colour for each test, at a tenth of the counts; nothing failed or is in doubt."""
    url = f"sqlite://{tmp_path}/jobs.db"
    where = run(programs / "python", "-c", "import qcore; print(qcore.__file__)", cwd=tmp_path)
    assert where.startswith(str(programs.parent))

    words = ("conformance", url, "--scale", "0.1", "--alternate", "0", "--report", "report")
    printed = run(programs / "qcore", *words, "--json", cwd=tmp_path)

    found = json.loads(printed)
    assert found["conforms"]
    assert found["counts"]["pass"] > 70
    assert not {"fail", "unknown", "waived"} & found["counts"].keys()
    assert (tmp_path / "report" / "conformance.html").exists()


@pytest.mark.timeout(LONG)
def test_the_suite_runs_by_its_name_alone(programs: Path, tmp_path: Path) -> None:
    """As pytest is called where there is no command line of ours."""
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "qcore_conformance")
    wanted = ("--qcore-url", f"sqlite://{tmp_path}/jobs.db", "--qcore-id", "Q-CORE-01")
    printed = run(programs / "python", *words, *wanted, cwd=tmp_path)
    assert "passed" in printed
