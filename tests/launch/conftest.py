"""Launchers run with stand-ins for the commands of clusters."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What scripts may take from the machine; its own docker or gcloud they must not find.
TOOLS = [
    "awk",
    "bash",
    "cat",
    "date",
    "dirname",
    "env",
    "head",
    "id",
    "mkdir",
    "sed",
    "sh",
    "tee",
    "touch",
    "uname",
    "wc",
]


class Cluster:
    """A PATH of stand-ins that note their arguments, then do what a test wants.

    Attributes:
      folder: for files of the test.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin, self._calls = folder / "bin", folder / "calls"
        self._bin.mkdir()
        for name in TOOLS:
            found = shutil.which(name)
            assert found, name
            (self._bin / name).symlink_to(found)

    def stand_in(self, name: str, body: str = "") -> None:
        """Makes a command `name`, a shell script that begins by noting its call."""
        path = self._bin / name
        note = f"printf '%s\\037' {name} \"$@\" >> {self._calls}\n"
        end = f"printf '\\036' >> {self._calls}\n"
        path.write_text(f"#!/bin/sh\n{note}{end}{body}\n")
        path.chmod(0o755)

    def answers(self, name: str, lines: Sequence[object]) -> str:
        """A shell expression: the next of these lines, at last the last one again."""
        path = self.folder / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return (
            f"$(head -n 1 {path}; "
            f"if [ $(wc -l < {path}) -gt 1 ]; then sed -i 1d {path}; fi)"
        )

    def calls(self) -> list[list[str]]:
        """Of all stand-ins since the last look."""
        if not self._calls.exists():
            return []
        text = self._calls.read_text()
        self._calls.unlink()
        return [call.split("\037")[:-1] for call in text.split("\036")[:-1]]

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": str(self._bin), "HOME": str(self.folder)}

    def run(
        self, *argv: str, check: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in the repository; a name of a file in launch/ comes first."""
        script = ROOT / "launch" / argv[0]
        return self._run(["bash", str(script), *argv[1:]], check, environment)

    def run_printed(self, text: str) -> None:
        """Runs what `--print` showed, as a person would."""
        path = self.folder / "printed.sh"
        path.write_text(text)
        self._run(["bash", "-n", str(path)], True, {})
        self._run(["bash", str(path)], True, {})

    def _run(
        self, command: list[str], check: bool, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert not check or done.returncode == 0, done.stderr
        return done


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """Of a training; with what shells, YAML and Kubernetes make something else of."""
    return [
        "--config=a:b",
        f"--workdir={tmp_path}/work/run 1",
        "--config.model.image_size=(32, 32)",
        """--config.note=it's "a" $HOME $(HOME) $$ `b` \\n *; # &""",
        "--config.empty=",
        "",
    ]
