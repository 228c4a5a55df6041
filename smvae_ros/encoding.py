"""A frame's observations to its posterior, without those that the model makes nothing finite of."""

from __future__ import annotations

import dataclasses

from smvae_core.inference import Encoding, Inference, NotFiniteError
from smvae_ros.sources import Observations


def encode(
    inference: Inference, observations: Observations
) -> tuple[Encoding | None, Observations]:
    """The posterior, and what it was made of.

    A reading that is finite can still be so large that what the model makes of it is not. It is
    then as unusable as one that is not finite itself: left out and named.

    Args:
        inference: the model.
        observations: of a frame; may be empty.

    Returns:
        The posterior, None where nothing is left; and the observations, with what was left out
        among the invalid ones.

    Raises:
        NotFiniteError: where the posterior is not finite and no single reading is to blame.
    """
    arrays, invalid = dict(observations.arrays), {}
    encoding = None
    while arrays and encoding is None:
        try:
            encoding = inference.encode(arrays)
        except NotFiniteError as error:
            if not error.names:
                raise
            for name in error.names:
                invalid[name] = "its values are so large that the model's latent is not finite"
                del arrays[name]
    if invalid:
        observations = dataclasses.replace(
            observations,
            sample=observations.sample.without(invalid),
            arrays=arrays,
            invalid={**observations.invalid, **invalid},
        )
    return encoding, observations
