# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""All models by name, and the objectives that each of them is trained with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from smvae_core.models.cvae import CVAE, cvae_bound
from smvae_core.models.jmvae import JMVAE, jmvae_kl_bound
from smvae_core.models.mmvae import DREG_SAMPLES, MMVAE, dreg_bound, mixture_bound
from smvae_core.models.mopoe import MoPoE, mopoe_bound
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.models.mvae import MVAE, subsampled_bound, subsampled_terms
from smvae_core.models.objectives import (
    OBJECTIVES,
    Bound,
    Inputs,
    draw_subsets,
    full_bound,
    predictive_bound,
)
from smvae_core.models.smvae import SMVAE
from smvae_core.models.telbo import TELBO, triple_bound

# Of "predictive": draws of S in a step, the share of them that are a single modality, and the
# weight of predictions, whose errors are larger, and with them the noise of their gradient.
TAUGHT, ALONE, PREDICTED = 8, 0.5, 0.3


@dataclass(frozen=True)
class Objective:
    """A bound that training maximises.

    Attributes:
        bound: a function of the model and its :class:`smvae_core.models.objectives.Inputs`.
        noises: number of modalities M → number N of noise vectors that a sample needs.
    """

    bound: Callable[[Any, Inputs], Bound]
    noises: Callable[[int], int]


@dataclass(frozen=True)
class Method:
    """A model, the objectives it can be trained with (the first by default), and the bound that
    validation reports: an ELBO of everything that was observed, with β = 1."""

    model: type[MultimodalVAE]
    objectives: Mapping[str, Objective]
    validation: Objective

    @property
    def options(self) -> tuple[str, ...]:
        """The constructor's arguments other than the modalities."""
        _, *options = inspect.signature(self.model).parameters
        return tuple(options)

    def objective(self, name: str | None = None) -> Objective:
        """The objective of that name, or the default.

        Raises:
            ValueError: where the model is not trained with it.
        """
        if name is None:
            return next(iter(self.objectives.values()))
        if name not in self.objectives:
            raise ValueError(
                f"model {self.model.kind} has no objective {name!r}; "
                f"known are {', '.join(self.objectives)}"
            )
        return self.objectives[name]


def _of_random_subsets(bound: Callable[..., Bound], count: int) -> Objective:
    """The bound's mean over so many subsets S of each sample, drawn from ``uniform``."""

    def drawn(model: MultimodalVAE, inputs: Inputs) -> Bound:
        return bound(model, inputs, draw_subsets(inputs.present, inputs.uniform, count))

    return Objective(drawn, lambda _: count + 1)


def _predictive(model: MultimodalVAE, inputs: Inputs) -> Bound:
    """For models that shall predict: single modalities are drawn more often, since most is to be
    learned where least is given, and many S are drawn where no decoder has to run for them."""
    taught = draw_subsets(inputs.present, inputs.uniform, TAUGHT, ALONE)
    return predictive_bound(model, inputs, taught[:1], taught, PREDICTED)


_FULL = Objective(full_bound, lambda _: 2)
_MIXTURE = Objective(mixture_bound, lambda count: count)
_MOPOE = Objective(mopoe_bound, lambda _: 1)
_CVAE = Objective(cvae_bound, lambda _: 1)

METHODS: dict[str, Method] = {
    method.model.kind: method
    for method in (
        Method(
            SMVAE,
            {
                f"{name}{suffix}": _of_random_subsets(bound, count)
                for count, suffix in ((1, ""), (2, "-pair"))
                for name, bound in OBJECTIVES.items()
            }
            | {"predictive": Objective(_predictive, lambda _: 2)},
            _FULL,
        ),
        Method(JMVAE, {"kl": Objective(jmvae_kl_bound, lambda _: 1)}, _FULL),
        Method(TELBO, {"triple": Objective(triple_bound, lambda count: count + 1)}, _FULL),
        Method(MVAE, {"subsampled": Objective(subsampled_bound, subsampled_terms)}, _FULL),
        Method(
            MMVAE,
            {
                "elbo": _MIXTURE,
                "dreg": Objective(dreg_bound, lambda count: count * DREG_SAMPLES),
            },
            _MIXTURE,
        ),
        Method(MoPoE, {"elbo": _MOPOE}, _MOPOE),
        Method(CVAE, {"elbo": _CVAE}, _CVAE),
    )
}


def find_method(name: str) -> Method:
    """The method whose model has that name.

    Raises:
        ValueError: for an unknown name.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise ValueError(f"unknown model {name!r}; known are {', '.join(METHODS)}")
    return METHODS[name]
