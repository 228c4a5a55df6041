# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How every benchmark reports what it measured."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from jsonargparse import DefaultHelpFormatter, auto_cli

from smvae_core.files import OutputError, write_text
from training.provenance import commit, provenance

commit()  # of the code that is measured, not of what the checkout becomes meanwhile


def publish(name: str, figures: Mapping[str, float], notes: Mapping[str, str]) -> None:
    """Prints a table for people and a JSON object as the last line, and writes the object to
    out/benchmarks/NAME.json, with the command and the commit that it was measured with.

    Args:
        name: of the benchmark's module, such as ``scaling`` or ``robustness.fuzz``.
        figures: name with its unit → number, such as ``overhead_ms_p50``.
        notes: the conditions under which they were measured.
    """
    width = max(map(len, [*figures, *notes]))
    for key, note in notes.items():
        print(f"{key:<{width}}  {note}")
    for key, value in figures.items():
        print(f"{key:<{width}}  {value:10.3f}")
    result = {
        **provenance(f"benchmarks.{name}"),
        "name": name.rpartition(".")[2],
        "figures": {key: round(float(value), 4) for key, value in figures.items()},
        "notes": dict(notes),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("torch", "onnxruntime")},
        },
    }
    text = json.dumps(result)
    print(text, flush=True)
    try:
        write_text(Path("out/benchmarks") / f"{name.rpartition('.')[2]}.json", text + "\n")
    except OutputError as error:  # nothing is lost: it stands above
        raise SystemExit(f"benchmarks.{name}: error: {error}") from None


def run_command(main: Callable[..., Any]) -> Any:
    """Calls a benchmark's function with the options of the command line, which are its arguments;
    its module's docstring is the help."""
    module = sys.modules[main.__module__]
    return auto_cli(
        main,
        as_positional=False,
        prog=f"python -m {module.__spec__.name if module.__spec__ else main.__module__}",
        description=inspect.getdoc(module),
        formatter_class=_Help,
    )


class _Help(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of a module's docstring."""
