# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The normal residuals of every sensor, beside any set of others; kept in the checkpoint.

``health.safetensors`` in the checkpoint's directory holds plain tensors; its header names the
weights that it was made for.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from smvae_core.residuals.reference import STATISTICS, TAIL, Reference, Table

FORMAT = "1"
#: For at most so many missing others a model is calibrated, fewer where :data:`MOST` is exceeded.
MISSING = 3
#: Combinations of a sensor and others; with nine modalities and three missing ones there are 837.
MOST = 1024
_SEPARATOR = "|"


@dataclass(frozen=True)
class Calibration:
    """Of one model.

    Attributes:
        period: seconds between the steps that it was made from.
        references: (modality, the other sensors in the model's order) → what is normal then.
        repeats: modality → how often in a row a healthy sensor gave exactly the same reading again.
        source: where the healthy data came from; free-form.
    """

    period: float
    references: Mapping[tuple[str, tuple[str, ...]], Reference]
    repeats: Mapping[str, int]
    source: Mapping[str, object]

    def reference(self, name: str, others: Sequence[str]) -> Reference | None:
        """The normal residuals of a modality beside these; None where they were not measured."""
        return self.references.get((name, tuple(others)))

    def to_tensors(self) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Arrays and texts, as safetensors stores them."""
        arrays = {}
        for (name, others), reference in self.references.items():
            for key, value in _arrays(reference).items():
                arrays[_SEPARATOR.join((name, "+".join(others), key))] = value
        texts = {
            "format": FORMAT,
            "period": repr(self.period),
            "repeats": json.dumps(dict(self.repeats)),
            "source": json.dumps(dict(self.source)),
        }
        return arrays, texts

    @classmethod
    def from_tensors(
        cls, arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]
    ) -> Calibration:
        """The inverse of :meth:`to_tensors`.

        Raises:
            ValueError: for anything that it did not write; says what.
        """
        if texts.get("format") != FORMAT:
            raise ValueError(f"format {texts.get('format')!r}, but this version reads {FORMAT!r}")
        groups: dict[tuple[str, tuple[str, ...]], dict[str, np.ndarray]] = {}
        try:
            for label, array in arrays.items():
                name, others, key = label.split(_SEPARATOR)
                groups.setdefault((name, tuple(others.split("+"))), {})[key] = array
            period = float(texts["period"])
            repeats = {str(k): int(v) for k, v in json.loads(texts["repeats"]).items()}
            source = dict(json.loads(texts["source"]))
            references = {place: _reference(group) for place, group in groups.items()}
        except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"not a calibration ({error!r})") from error
        if not period > 0:
            raise ValueError(f"a period of {period} s")
        return cls(period, references, repeats, source)


def usual_missing(count: int) -> int:
    """Others that may be missing where nothing is said, for so many modalities."""
    fitting = [m for m in range(1, MISSING + 1) if count_references(count, m) <= MOST]
    return max(fitting, default=0)


def count_references(count: int, missing: int) -> int:
    """Combinations of a sensor and others, for so many modalities and missing others."""
    smallest = max(1, count - 1 - missing)
    return sum(math.comb(count, size) * (count - size) for size in range(smallest, count))


def calibrated_sets(names: Sequence[str], missing: int | None = None) -> list[tuple[str, ...]]:
    """The sets of other sensors that a calibration of a model with these modalities covers: those
    of which at most ``missing`` are missing besides the one that is checked, by default
    :func:`usual_missing`."""
    missing = usual_missing(len(names)) if missing is None else missing
    smallest = max(1, len(names) - 1 - missing)
    return [
        others
        for size in range(smallest, len(names))
        for others in itertools.combinations(names, size)
    ]


def _arrays(reference: Reference) -> dict[str, np.ndarray]:
    values = {
        "coefficients": reference.coefficients,
        "channel": np.array([reference.channel]),
        "edges": reference.edges,
        "centre": reference.centre,
        "width": reference.width,
        "whitening": reference.whitening,
        "knots": np.stack([table.knots for table in reference.tables]),
        "decades": np.array([table.decade for table in reference.tables]),
    }
    return {key: np.ascontiguousarray(value, np.float32) for key, value in values.items()}


def _reference(arrays: Mapping[str, np.ndarray]) -> Reference:
    values = {key: np.asarray(value, np.float64) for key, value in arrays.items()}
    if not all(np.isfinite(value).all() for value in values.values()):
        raise ValueError("it holds NaN or infinite values")
    channels, bins = len(values["whitening"]), len(values["edges"]) + 1
    shapes = {
        "whitening": (channels, channels),
        "centre": (bins, channels + 2),
        "width": (bins, channels + 2),
        "knots": (len(STATISTICS), len(TAIL)),
        "decades": (len(STATISTICS),),
    }
    wrong = [key for key, shape in shapes.items() if values[key].shape != shape]
    if values["coefficients"].ndim != 2 or values["coefficients"].shape[1] != channels:
        wrong.append("coefficients")
    if wrong or not 0 <= values["channel"][0] < channels:
        raise ValueError(f"{', '.join(wrong) or 'channel'} of another shape")
    if not ((values["width"] > 0).all() and (values["decades"] > 0).all()):
        raise ValueError("spreads must be positive")
    tables = tuple(
        Table(knots, float(decade))
        for knots, decade in zip(values["knots"], values["decades"], strict=True)
    )
    return Reference(
        values["coefficients"],
        int(values["channel"][0]),
        values["edges"],
        values["centre"],
        values["width"],
        values["whitening"],
        tables,
    )
