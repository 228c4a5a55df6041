"""A frame's observations to its posterior, without those that the model makes nothing finite of."""

from __future__ import annotations

import dataclasses

from smvae_core.inference.inference import Encoding, Inference, NotFiniteError
from smvae_ros.sensors.absence import Absence, Cause
from smvae_ros.sensors.snapshot import Unusable
from smvae_ros.sensors.topic_inputs import Observations

TOO_LARGE = "its values are so large that the model's latent is not finite"


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
        among the unusable ones.

    Raises:
        NotFiniteError: where the posterior is not finite and no single reading is to blame.
    """
    arrays = dict(observations.arrays)
    unusable: list[Unusable] = []
    encoding = None
    while arrays and encoding is None:
        try:
            encoding = inference.encode(arrays)
        except NotFiniteError as error:
            if not error.names:
                raise
            for name in error.names:
                entry = observations.sample.inputs[name]
                unusable.append(Unusable(name, entry, TOO_LARGE))
                del arrays[name]
    if unusable:
        observations = dataclasses.replace(
            observations,
            sample=observations.sample.without(
                {name: Absence(Cause.UNUSABLE, reason) for name, _, reason in unusable}
            ),
            arrays=arrays,
            unusable=(*observations.unusable, *unusable),
        )
    return encoding, observations
