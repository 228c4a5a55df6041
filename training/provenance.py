# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The origin of a result: the command and the commit that made it."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path


def provenance(program: str, arguments: Sequence[str] | None = None) -> dict[str, str]:
    """The first entries of every file of results: ``command`` and ``commit``.

    Args:
        program: name of the module, such as ``training.evaluate``.
        arguments: its own; those of the process by default.
    """
    own = sys.argv[1:] if arguments is None else arguments
    return {"command": shlex.join(["python", "-m", program, *own]), "commit": commit()}


@cache
def commit() -> str:
    """The checkout's commit, with `-dirty` where code differs from it, as it was at the first call:
    a process keeps the code it began with. What a study writes to docs/ itself does not count.
    Outside of a checkout it is `unknown`."""

    def git(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )

    try:
        head = git("rev-parse", "--short=12", "HEAD").stdout.strip()
    except OSError:  # there is no git
        return "unknown"
    unchanged = git("diff", "--quiet", "HEAD", "--", ":/", ":(exclude,top)docs").returncode == 0
    return f"{head}{'' if unchanged else '-dirty'}" if head else "unknown"
