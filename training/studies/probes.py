# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Linear probes: what linear models read from the posterior's mean, given any subset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from smvae_core.distributions import Posterior
from smvae_core.metrics.subset_choice import Subset
from smvae_core.models.multimodal_vae import MultimodalVAE

Transform = Callable[[np.ndarray], np.ndarray]


def subset_posteriors(
    model: MultimodalVAE, observed: Mapping[str, Tensor], subsets: Sequence[Subset]
) -> Iterator[tuple[str, Posterior]]:
    """Subset, joined by ``+``, and q(z|x_S) of a batch; the embeddings are computed once."""
    embeddings = model.embed(observed)
    for subset in subsets:
        chosen = {name: embeddings[name] for name in subset}
        yield "+".join(subset), model.encode_embeddings(chosen)


@torch.inference_mode()
def subset_means(
    model: MultimodalVAE, batches: Iterable[Mapping[str, Tensor]], subsets: Sequence[Subset]
) -> dict[str, np.ndarray]:
    """Subset, joined by ``+``, → means of q(z|x_S) of all batches, (N, D)."""
    parts: dict[str, list[np.ndarray]] = {}
    for observed in batches:
        for label, posterior in subset_posteriors(model, observed, subsets):
            parts.setdefault(label, []).append(posterior.mean.numpy())
    return {label: np.concatenate(chunks) for label, chunks in parts.items()}


def classify(
    x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray, balanced: bool = False
) -> float:
    """Accuracy of :func:`fit_classifier`, fitted on the first two and measured on the others."""
    with _scikit_learn():
        from sklearn.metrics import accuracy_score
    guess = fit_classifier(x, y, balanced)(test_x)
    return balanced_accuracy(test_y, guess) if balanced else float(accuracy_score(test_y, guess))


def fit_classifier(x: np.ndarray, y: np.ndarray, balanced: bool = False) -> Transform:
    """Logistic regression from standardised x (N, D) to classes y (N,), as a function of x;
    ``balanced``: with every class of the same weight."""
    with _scikit_learn():
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
    weight = "balanced" if balanced else None
    regression = LogisticRegression(max_iter=1000, class_weight=weight)
    return make_pipeline(StandardScaler(), regression).fit(x, y).predict


def fit_trees(x: np.ndarray, y: np.ndarray) -> Transform:
    """Gradient-boosted trees from x (N, D) to classes y (N,) of the same weight, as a function of
    x: what is to be known without being linear."""
    with _scikit_learn():
        from sklearn.ensemble import HistGradientBoostingClassifier
    trees = HistGradientBoostingClassifier(class_weight="balanced", random_state=0)
    return trees.fit(x, y).predict


def fit_components(x: np.ndarray, count: int) -> Transform:
    """The first principal components of x (N, D), (N, count), as a function of x."""
    with _scikit_learn():
        from sklearn.decomposition import PCA
    return PCA(min(count, *x.shape), random_state=0).fit(x).transform


def balanced_accuracy(truth: np.ndarray, guess: np.ndarray) -> float:
    """Mean over the classes of the share of right answers."""
    with _scikit_learn():
        from sklearn.metrics import balanced_accuracy_score
    return float(balanced_accuracy_score(truth, guess))


def regress(x: np.ndarray, y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray) -> float:
    """Mean squared error of least squares from x (N, D) to y (N, n)."""
    with _scikit_learn():
        from sklearn.linear_model import LinearRegression
        from sklearn.metrics import mean_squared_error
    return float(mean_squared_error(test_y, LinearRegression().fit(x, y).predict(test_x)))


@contextmanager
def _scikit_learn() -> Iterator[None]:
    try:
        yield
    except ImportError:
        advice = "linear probes need scikit-learn: pip install 'smvae_ros[benchmarks]'"
        raise ValueError(advice) from None
