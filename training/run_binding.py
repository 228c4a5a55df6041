# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""A run of `training.train` is continued only as it began: as configured, and on the same data.

OUTPUT/config.yaml and OUTPUT/data.yaml say how it began. Both are written once, when it does.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from smvae_core.files import write_text

CONFIGURATION = "config.yaml"
DATA = "data.yaml"
# Where and how it is computed, what is shown of it and what is made of it in the end. The rest,
# also the number of epochs, over which the learning rate falls, decides what a step does.
FREE = {
    "config",
    "resume",
    "output",
    "export",
    "half",
    "calibrate",
    "data.cache",  # its content counts, not its place
    *(
        f"trainer.{name}"
        for name in (
            "accelerator",
            "devices",
            "num_nodes",
            "strategy",
            "callbacks",
            "logger",
            "log_every_n_steps",
            "default_root_dir",
            "detect_anomaly",
            "enable_checkpointing",
            "enable_model_summary",
            "enable_progress_bar",
            "max_time",
            "profiler",
        )
    ),
}
_LISTED = 5  # differences that a message names
_NONE = "not given"


def bind_run(output: Path, configuration: str, data: Mapping[str, Any]) -> None:
    """Writes down how a run begins.

    Args:
        output: its folder.
        configuration: YAML, as `--config` takes it.
        data: what tells its data from others.

    Raises:
        OutputError: where that cannot be written.
    """
    write_text(output / CONFIGURATION, configuration)
    write_text(output / DATA, yaml.safe_dump(dict(data), sort_keys=False))


def check_run(
    output: Path,
    began: Mapping[str, Any],
    configuration: Mapping[str, Any],
    data: Mapping[str, Any],
) -> None:
    """Says where a run is not as it began.

    Args:
        output: the run's folder.
        began: content of its config.yaml.
        configuration: the present one.
        data: what tells the present data from others.

    Raises:
        ValueError: where they differ; says in what, and what to do.
    """
    old, new = _flat(began), _flat(configuration)
    keys = [key for key in {**old, **new} if not _is_free(key) and old.get(key) != new.get(key)]
    if keys:
        found = [f"{key}: {old.get(key, _NONE)} → {new.get(key, _NONE)}" for key in keys]
        raise ValueError(
            f"{output} was begun with another configuration: {_listed(found)}. --resume continues "
            f"a run as it began: `--config {output / CONFIGURATION} --resume` does; or give "
            "another --output to begin a new run"
        )
    if not (output / DATA).exists():  # a run from before data were written down
        return
    try:
        before = dict(yaml.safe_load((output / DATA).read_text(encoding="utf-8")))
    except (yaml.YAMLError, TypeError, ValueError):  # not a mapping
        raise ValueError(
            f"{output / DATA} is damaged, so that nobody can tell whether the run was begun on "
            "these data; copy it again, or give another --output to begin a new run"
        ) from None
    # Runs from before the rate was written down do not have it.
    found = [
        f"{key}: {before[key]} → {data[key]}"
        for key in data
        if key in before and before[key] != data[key]
    ]
    if found:
        raise ValueError(
            f"{output} was begun on other data: {_listed(found)}. Give the --data.cache that it "
            "began with, wherever that lies now, or another --output to begin a new run"
        )


def check_state(path: Path, best: Path) -> None:
    """Reads the state that a run shall continue from.

    Raises:
        ValueError: where it is damaged; names a whole one where there is one.
    """
    if (problem := _damage(path)) is None:
        return
    advice = "copy it again, or give another --output to begin anew"
    if best.exists() and _damage(best) is None:
        advice = (
            f"{best.name} beside it is whole: `cp {best} {path}`, then the same command continues "
            "from the best state so far"
        )
    raise ValueError(f"{path} cannot be continued from: {problem}; {advice}")


def _damage(path: Path) -> str | None:
    """The reason why a state, a zip archive as torch writes it, cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError) as error:
        return f"it is truncated or damaged ({error}, {path.stat().st_size} bytes)"
    return None if broken is None else f"it is damaged (at {broken})"


def _is_free(key: str) -> bool:
    parts = key.split(".")
    return any(".".join(parts[:length]) in FREE for length in range(1, len(parts) + 1))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one: ``model.modalities.rgb.weight`` → its value. What is null counts as
    not given."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value is not None:
            flat[f"{prefix}{key}"] = value
    return flat


def _listed(found: list[str]) -> str:
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more
