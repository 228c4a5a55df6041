# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""What the node takes of a robot: time to start, memory, and disk.

    python -m benchmarks.footprint

start_s     from the start of the process until the node with the bundled model is active; the
            median of several, libraries being in the page cache
rss_mb      resident memory of the process a second after that, the median likewise
install_mb  what `pip install '.[node]'` adds to an empty virtual environment, without ROS

Beside them the same for the runtime eager, which needs PyTorch (``torch``); and for a node that
only imports rclpy and the messages and becomes active, the floor (``bare``).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Literal, get_args

from benchmarks.resources import resident_megabytes, scheduling
from benchmarks.results import publish, run_command
from smvae_ros.cli.node_process import node_command, stop_node
from smvae_ros.cli.programs import isolate

Part = Literal["node", "torch", "bare", "install"]
ROOT = Path(__file__).parents[1]
COMMANDS = {
    "node": node_command({"runtime": "onnx"}),
    "torch": node_command({"runtime": "eager"}),
    "bare": [sys.executable, "-m", "benchmarks.bare_node"],
}
SETTLED = 1.0  # seconds after the node became active


def start(command: list[str]) -> tuple[float, float]:
    """Seconds until a node's process says that it is active, and its resident MB after that.

    Raises:
        RuntimeError: where it ends before.
    """
    begin = time.monotonic()
    node = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        lines = []
        for line in node.stdout or ():
            lines.append(line)
            if line.endswith("]: active\n"):
                break
        else:
            raise RuntimeError(f"the node did not become active:\n{''.join(lines)}")
        seconds = time.monotonic() - begin
        time.sleep(SETTLED)
        return seconds, resident_megabytes(node.pid)
    finally:
        stop_node(node)


def install_megabytes() -> tuple[dict[str, float], str]:
    """MB of what the extra ``node`` installs, and of that with PyTorch as it is installed here; and
    in words, which parts are the largest.

    Raises:
        CalledProcessError: where pip cannot install it.
    """
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        (packages,) = Path(folder).glob("lib/python*/site-packages")
        empty = _megabytes(packages)
        # What the wheels of ROS set up in this process is not for that environment's.
        environment = {k: v for k, v in os.environ.items() if k != "_ROS_WHEELS_BOOTSTRAP_COMPLETE"}
        subprocess.run(
            [
                *(f"{folder}/bin/pip", "install", "-qq"),
                *("--constraint", str(ROOT / "constraints.txt"), f"{ROOT}[node]"),
            ],
            check=True,
            env=environment,
        )
        sizes = {path.name: _megabytes(path) for path in packages.iterdir()}
        added = _megabytes(packages) - empty
        largest = sorted(sizes.items(), key=lambda item: -item[1])[:6]
        there = {d.name.lower() for d in metadata.distributions(path=[str(packages)])}
    more = sum(_distribution_megabytes(name) for name in requirements("torch") - there)
    text = ", ".join(f"{name} {size:.0f} MB" for name, size in largest)
    return {"install_mb": added, "install_torch_mb": added + more}, text


def requirements(name: str) -> set[str]:
    """A package that is installed here, and all that it requires, without extras."""
    found, wanted = set(), [name]
    while wanted:
        name = wanted.pop().lower().replace("_", "-")
        try:
            required = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            continue  # of another platform
        if name not in found:
            found.add(name)
            wanted += [match[0] for r in required if "extra ==" not in r and (match := _name(r))]
    return found


def _name(requirement: str) -> re.Match[str] | None:
    return re.match(r"[\w.-]+", requirement)


def _megabytes(path: Path) -> float:
    return _sum([path, *path.rglob("*")])


def _distribution_megabytes(name: str) -> float:
    files = metadata.files(name) or ()
    return _sum(Path(str(file.locate())) for file in files)


def _sum(paths: Iterable[Path]) -> float:
    sizes = (path.stat().st_size for path in paths if path.is_file() and not path.is_symlink())
    return sum(sizes) / 2**20


def main(repeat: int = 5, only: tuple[Part, ...] = get_args(Part)) -> None:
    """Measures and prints.

    Args:
        repeat: starts of each node, after one that is not counted.
        only: parts to measure.
    """
    isolate()
    figures: dict[str, float] = {}
    notes = {"model": "bundled", "starts": f"{repeat} of each node"}
    for part in only:
        print(f"{part} ...", file=sys.stderr, flush=True)
        if part == "install":
            installed, notes["largest parts"] = install_megabytes()
            figures |= installed
            continue
        starts = [start(COMMANDS[part]) for _ in range(repeat + 1)][1:]
        suffix = "" if part == "node" else f"_{part}"
        figures[f"start{suffix}_s"] = median(seconds for seconds, _ in starts)
        figures[f"rss{suffix}_mb"] = median(megabytes for _, megabytes in starts)
    notes["scheduling"] = scheduling()
    notes["load"] = f"{os.getloadavg()[0]:.1f} processes wanted a core when it ended"
    publish("footprint", figures, notes)


if __name__ == "__main__":
    run_command(main)
