"""How every benchmark reports what it measured."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import torch

from smvae_core.files import OutputError, write_text
from training.provenance import commit, provenance

commit()  # of the code that is measured, not of what the checkout becomes meanwhile


def publish(name: str, figures: Mapping[str, float], notes: Mapping[str, str]) -> None:
    """Prints a table for people and a JSON object as the last line, and writes the object to
    out/benchmarks/NAME.json, with the command and the commit that it was measured with.

    Args:
        name: of the benchmark, which is its module's, too.
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
        "name": name,
        "figures": {key: round(float(value), 4) for key, value in figures.items()},
        "notes": dict(notes),
        "machine": {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
    }
    text = json.dumps(result)
    print(text, flush=True)
    try:
        write_text(Path("out/benchmarks") / f"{name}.json", text + "\n")
    except OutputError as error:  # nothing is lost: it stands above
        raise SystemExit(f"benchmarks.{name}: error: {error}") from None
