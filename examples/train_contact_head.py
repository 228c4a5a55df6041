# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Fits a small head that reads contact from latents: logistic regression, with scikit-learn.

    python -m training.encode MODEL CACHE --output latents.npz
    python examples/train_contact_head.py CACHE latents.npz head.npz

The cache's logs say at which steps there was contact. docs/how_to/contact.md has the scores.
"""

import sys

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from smvae_core.data.logs.dataset import open_cache

cache_path, latents_path, head_path = sys.argv[1:]
cache = open_cache(cache_path)
with np.load(latents_path) as file:
    mean, model_hash = file["mean"], file["model_hash"]
    steps = zip(file["trajectory"].tolist(), file["step"].tolist(), strict=True)

# Steps without a finite latent are in the cache alone.
trajectory, step = cache.arrays["trajectory"].tolist(), cache.arrays["step"].tolist()
row = {place: number for number, place in enumerate(zip(trajectory, step, strict=True))}
contact = cache.arrays["contact"][[row[place] for place in steps]]

centre, spread = mean.mean(0), mean.std(0) + 1e-6
regression = LogisticRegression(max_iter=1000, class_weight="balanced")
regression.fit((mean - centre) / spread, contact)
weights = regression.coef_[0] / spread  # of a latent as it is
bias = regression.intercept_[0] - weights @ centre
np.savez(head_path, weights=weights, bias=bias, model_hash=model_hash)

score = balanced_accuracy_score(contact, mean @ weights + bias > 0)
print(
    f"{len(mean)} steps, {contact.mean():.0%} with contact, of which it was fitted to {score:.1%}"
)
