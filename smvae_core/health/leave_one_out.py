# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The observations of one moment, each compared with what any set of the other sensors predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from smvae_core.inference.inference import Encoding, Inference, NotFiniteError
from smvae_core.residuals.features import divergence, measure, small_others
from smvae_core.residuals.reference import Reference


class LeaveOneOut:
    """Computes every posterior at most once.

    Args:
        inference: with a calibration.
        encoding: of ``arrays``.
        arrays: modality → prepared array.

    Attributes:
        names: the modalities observed.
    """

    def __init__(
        self,
        inference: Inference,
        encoding: Encoding,
        arrays: Mapping[str, np.ndarray],
    ) -> None:
        self.names = tuple(arrays)
        self._inference = inference
        self._arrays = arrays
        self._posteriors = {self.names: encoding}

    def standardised(
        self, name: str, others: Sequence[str], reference: Reference
    ) -> np.ndarray | None:
        """(C + 2,): how a reading differs from what these others predict, in units of its healthy
        spread, see :meth:`Reference.standardise`; None where what the model makes of the others is
        not finite."""
        used = tuple(n for n in self.names if n == name or n in others)
        wanted = [name, *small_others(name, used, self._inference.modalities)]
        try:
            whole, rest = self._posterior(used), self._posterior(others)
            predicted = self._inference.decode(rest, wanted)
        except NotFiniteError:
            return None
        features = measure(
            name,
            self._inference.modalities,
            self._inference.scales,
            {n: self._arrays[n][None] for n in wanted},
            {n: predicted[n][None] for n in wanted},
            divergence(*_belief(whole), *_belief(rest)),
        )
        return reference.standardise(features)[0]

    def isolate(self, candidates: Sequence[str], names: Sequence[str]) -> str | None:
        """The candidate without which the rest of ``names`` agree best: the sum of
        their scores, −log10 p, says how unlikely the rest would be if it were healthy.

        None where too few are left to say, or where the calibration knows nothing of them. A
        single candidate is the answer.
        """
        if len(candidates) < 2:
            return next(iter(candidates), None)
        if len(names) < 3:
            return None
        rest = {name: self._disagreement([n for n in names if n != name]) for name in candidates}
        known = {name: score for name, score in rest.items() if score is not None}
        return min(known, key=known.__getitem__) if len(known) == len(rest) else None

    def _disagreement(self, names: Sequence[str]) -> float | None:
        """The sum of the scores of these, each predicted from the rest of them."""
        total = 0.0
        for name in names:
            others = tuple(n for n in names if n != name)
            reference = self._inference.calibration.reference(name, others)
            standard = reference and self.standardised(name, others, reference)
            if standard is None:
                return None
            total += max(reference.scores(standard).values())
        return total

    def _posterior(self, names: Sequence[str]) -> Encoding:
        kept = tuple(name for name in self.names if name in names)
        if kept not in self._posteriors:
            # From the posterior of one more, which is often known or wanted, too.
            left_out = next(name for name in self.names if name not in kept)
            more = self._posterior([*kept, left_out])
            self._posteriors[kept] = self._inference.leave_out(more, left_out)
        return self._posteriors[kept]


def _belief(encoding: Encoding) -> tuple[np.ndarray, np.ndarray]:
    """(1, D) each."""
    return (
        encoding.mean.astype(np.float64)[None],
        encoding.log_variance.astype(np.float64)[None],
    )
