# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The normal residuals of one modality, given one set of others: fitted to healthy data.

Features (:mod:`smvae_core.residuals.features`) become numbers in units of their healthy spread, are
averaged over time, and are compared with the quantiles of the same numbers in healthy data. How far
readings are from what is expected depends on what is expected: forces scatter in contact and hardly
in free space. So spreads are kept for bins of one expected channel, the one that tells most.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smvae_core.residuals.features import Features

#: How often a healthy check exceeds the knots of a table.
TAIL = np.array([0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001])
#: What is looked at: the size of the difference, its direction, and the change of the posterior.
STATISTICS = ("surprise", "bias", "disagreement")

TIME_CONSTANT = 0.4  # seconds over which checks are averaged
LARGEST = 10.0  # spreads at which one check is cut off, so that it raises no alarm alone
BINS = 6
_RIDGE = 20.0  # healthy steps that speak against any relation between residuals
_FOLDS = 5
_SMALL = 1e-3
_END = 0.01  # the tail's end, whose mean excess says how it goes on


@dataclass(frozen=True)
class Table:
    """Quantiles of a statistic in healthy data.

    Attributes:
        knots: (len(TAIL),) values that a healthy check exceeds as often as :data:`TAIL` says.
        decade: how much further a value has to be to be ten times rarer, beyond the last knot.
    """

    knots: np.ndarray
    decade: float

    @classmethod
    def fit(cls, values: np.ndarray) -> Table:
        """Of healthy values (N,)."""
        end = np.quantile(values, 1 - _END)
        excess = values[values > end] - end
        # Of an exponential tail the mean excess is the scale, and a decade ln 10 of it.
        decade = float(excess.mean() * np.log(10)) if len(excess) else 0.0
        return cls(np.quantile(values, 1 - TAIL), max(decade, _SMALL))

    def score(self, value: float) -> float:
        """−log10 p, p being how often a healthy check exceeds the value. Beyond the data, the tail
        is taken to fall off exponentially, as it does at its measured end."""
        if value > self.knots[-1]:
            return float(-np.log10(TAIL[-1]) + (value - self.knots[-1]) / self.decade)
        return float(np.interp(value, self.knots, -np.log10(TAIL)))


@dataclass(frozen=True)
class Reference:
    """Of one modality with C channels, given others of which U channels are small.

    Attributes:
        coefficients: (U, C) what the others' residuals explain of the modality's.
        channel: the expected channel that tells most about the spreads.
        edges: (K - 1,) of the bins of that channel.
        centre: (K, C + 2) healthy mean of the unexplained residual, surprise and disagreement.
        width: (K, C + 2) their standard deviation.
        whitening: (C, C) of the averaged residual: its length becomes the statistic ``bias``.
        tables: one for each of :data:`STATISTICS`.
    """

    coefficients: np.ndarray
    channel: int
    edges: np.ndarray
    centre: np.ndarray
    width: np.ndarray
    whitening: np.ndarray
    tables: tuple[Table, ...]

    @classmethod
    def fit(cls, runs: Sequence[Features], period: float) -> Reference:
        """From healthy runs, each of consecutive steps ``period`` seconds apart.

        The tables are of runs that the numbers before them were not fitted to: what merely differs
        from scene to scene, as colours do, then shows as the wide spread that it is.

        Raises:
            ValueError: for fewer than two runs.
        """
        if len(runs) < 2:
            raise ValueError(f"at least two runs are needed to learn from, not {len(runs)}")
        folds = min(_FOLDS, len(runs))
        values = []
        for fold in range(folds):
            fitted = cls._fit_moments([r for k, r in enumerate(runs) if k % folds != fold], period)
            values += [fitted.statistics(fitted.average(run, period)) for run in runs[fold::folds]]
        tables = tuple(Table.fit(column) for column in np.concatenate(values).T)
        return dataclasses.replace(cls._fit_moments(runs, period), tables=tables)

    @classmethod
    def _fit_moments(cls, runs: Sequence[Features], period: float) -> Reference:
        """All but the tables."""
        residual = np.concatenate([run.residual for run in runs])
        others = np.concatenate([run.others for run in runs])
        expected = np.concatenate([run.expected for run in runs])
        centred = others - others.mean(0)
        gram = centred.T @ centred + _RIDGE * np.eye(others.shape[1])
        coefficients = np.linalg.solve(gram, centred.T @ (residual - residual.mean(0)))
        values = np.concatenate([_unexplained(run, coefficients) for run in runs])
        channel, edges, centre, width = _fit_bins(values, expected)
        unit = np.eye(residual.shape[1])
        reference = cls(coefficients, channel, edges, centre, width, unit, ())
        averaged = np.concatenate([reference.average(run, period)[:, :-2] for run in runs])
        covariance = averaged.T @ averaged / len(averaged) + _SMALL * unit
        whitening = np.linalg.inv(np.linalg.cholesky(covariance))
        return dataclasses.replace(reference, whitening=whitening)

    def standardise(self, features: Features) -> np.ndarray:
        """(B, C + 2): the unexplained residual, surprise and disagreement in units of their healthy
        spread, cut off at :data:`LARGEST`."""
        bins = np.searchsorted(self.edges, features.expected[:, self.channel])
        values = _unexplained(features, self.coefficients)
        return np.clip((values - self.centre[bins]) / self.width[bins], -LARGEST, LARGEST)

    def average(self, run: Features, period: float) -> np.ndarray:
        """(T, C + 2): the standard features of consecutive steps, averaged over time."""
        return average(self.standardise(run), period, period)

    def statistics(self, averaged: np.ndarray) -> np.ndarray:
        """(B, C + 2) averages → (B, 3), in the order of :data:`STATISTICS`."""
        bias = np.linalg.norm(averaged[:, :-2] @ self.whitening.T, axis=1)
        return np.stack([averaged[:, -2], bias, averaged[:, -1]], axis=1)

    def scores(self, averaged: np.ndarray) -> dict[str, float]:
        """Of one check, (C + 2,): statistic → score, −log10 p."""
        values = self.statistics(averaged[None])[0]
        return {
            name: table.score(value)
            for name, table, value in zip(STATISTICS, self.tables, values, strict=True)
        }


def _unexplained(features: Features, coefficients: np.ndarray) -> np.ndarray:
    """(B, C + 2)."""
    rest = features.residual - features.others @ coefficients
    return np.column_stack([rest, features.surprise, features.disagreement])


def _fit_bins(
    values: np.ndarray, expected: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """Channel, edges, means and standard deviations (K, F) of the bins of that channel of
    ``expected`` (B, C) for which normal densities fit ``values`` (B, F) best."""
    best = None
    for channel, key in enumerate(expected.T):
        edges = np.quantile(key, np.arange(1, BINS) / BINS)
        bins = np.searchsorted(edges, key)
        counts = np.bincount(bins, minlength=BINS)
        if counts.min() < 2:  # hardly any variety
            continue
        centre = np.stack([values[bins == k].mean(0) for k in range(BINS)])
        width = np.stack([values[bins == k].std(0) for k in range(BINS)])
        width = np.maximum(width, _SMALL)
        loss = counts @ np.log(width).sum(1)
        if best is None or loss < best[0]:
            best = (loss, channel, edges, centre, width)
    if best is None:
        width = np.maximum(values.std(0, keepdims=True), _SMALL)
        return 0, np.zeros(0), values.mean(0, keepdims=True), width
    return best[1:]


def weight(seconds: float, period: float) -> float:
    """Of a new check in the moving average, ``seconds`` after the one before. Checks that come more
    rarely than in calibration count as there, so that fewer are not trusted more."""
    return float(1 - np.exp(-min(seconds, period) / TIME_CONSTANT))


def average(standard: np.ndarray, seconds: float, period: float) -> np.ndarray:
    """Moving average over consecutive checks (T, F), from a healthy start of zeros."""
    share = weight(seconds, period)
    averaged = np.empty_like(standard)
    state = np.zeros(standard.shape[1])
    for row, values in enumerate(standard):
        state = state + share * (values - state)
        averaged[row] = state
    return averaged
