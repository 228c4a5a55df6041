# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Random changes of observations in training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from single_precision import FLOAT32
from small_caches import make_cache
from small_models import small_modalities
from small_training import column, write_config
from smvae_core.fit.augmentation import (
    COLOUR_NUMBERS,
    RandomChanges,
    jitter_colours,
    move_images,
    shake_vectors,
)
from training.train import main


@given(seed=st.integers(0, 2**31), strength=st.floats(0.0, 2.0))
def test_colours_change_alike_everywhere_in_an_image(seed: int, strength: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(3, 3, 4, 5, generator=generator)
    images[:, :, 1, 2] = images[:, :, 3, 0]  # one colour in two places
    images[:, :, 2, 2] = (images[:, :, 0, 0] + images[:, :, 0, 1]) / 2  # a mixture of two
    changed = jitter_colours(images, torch.rand(3, COLOUR_NUMBERS, generator=generator), strength)
    torch.testing.assert_close(changed[:, :, 1, 2], changed[:, :, 3, 0], **FLOAT32)
    mixture = (changed[:, :, 0, 0] + changed[:, :, 0, 1]) / 2
    torch.testing.assert_close(changed[:, :, 2, 2], mixture, **FLOAT32)


def test_each_image_has_its_own_draws_and_the_middle_of_them_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, 3, 4, 5, generator=generator).expand(3, -1, -1, -1)
    uniform = torch.full((3, COLOUR_NUMBERS), 0.5)
    uniform[1] = torch.rand(COLOUR_NUMBERS, generator=generator)
    changed = jitter_colours(images, uniform)
    torch.testing.assert_close(changed[0], images[0], **FLOAT32)
    torch.testing.assert_close(changed[2], images[0], **FLOAT32)
    assert (changed[1] - images[0]).abs().max() > 0.01
    any_draws = torch.rand(3, COLOUR_NUMBERS, generator=generator)
    torch.testing.assert_close(jitter_colours(images, any_draws, 0.0), images, **FLOAT32)


def test_colours_differ_in_training_only_and_from_epoch_to_epoch(tmp_path: Path) -> None:
    """With a learning rate of 0 every epoch of the same model would be the same but for colours."""
    config = write_config(make_cache(tmp_path / "logs", parts=1, steps=8), tmp_path / "c.yaml")
    still = ["--config", str(config), "--model.learning_rate=0", "--trainer.max_epochs=2"]
    still += ["--model.objective=regression", "--model.given=[rgb,depth]"]
    still += ["--model.targets=[rgb]", "--trainer.log_every_n_steps=1"]
    # One batch, so that their order does not matter.
    still += ["--data.batch_size=24"]
    objectives = {}
    for strength in (0.0, 0.5):
        output = tmp_path / str(strength)
        options = ["--output", str(output), f"--model.colour_jitter={strength}"]
        assert main([*still, *options]) == 0
        objectives[strength] = [
            column(output, name) for name in ("training/objective", "validation/elbo")
        ]
    (plain, validated), (coloured, validated_too) = objectives.values()
    assert plain[0] == pytest.approx(plain[1], rel=1e-5)
    assert len({*plain, *coloured}) >= 3, "each epoch has other colours"
    assert validated == validated_too


def test_images_move_as_a_whole_and_repeat_their_edge() -> None:
    images = torch.arange(2 * 3 * 5 * 6.0).view(2, 3, 5, 6)
    uniform = torch.tensor([[0.5, 0.5], [0.0, 0.999]])  # of 2 pixels: not at all; 2 up, 2 right
    moved = move_images(images, uniform, 2)
    assert torch.equal(moved[0], images[0])
    assert torch.equal(moved[1, :, 2:, :4], images[1, :, :3, 2:])
    assert torch.equal(moved[1, :, 0, :4], images[1, :, 0, 2:]), "the edge is repeated"
    assert torch.equal(moved[1, :, 2:, 4], images[1, :, :3, 5])


def test_noise_of_vectors_has_the_deviation_asked_for() -> None:
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(20_000, 3, generator=generator)
    noise = shake_vectors(torch.ones(20_000, 3), uniform, 0.2) - 1
    assert noise.mean() == pytest.approx(0.0, abs=0.01)
    assert noise.std() == pytest.approx(0.2, rel=0.02)


def test_changes_are_those_of_the_sample_and_the_epoch() -> None:
    modalities = small_modalities()
    changes = RandomChanges(modalities, 0.5, 1, 0.1, seed=3)
    changes.prepare(samples=9)
    observations = {m.name: torch.randn(4, *m.shape) for m in modalities}
    index = torch.tensor([7, 0, 2, 5])
    changed = changes(observations, 1, index)
    moved = {name for name in observations if not torch.equal(changed[name], observations[name])}
    assert moved == {"rgb", "action", "proprio"}
    part = changes({n: x[2:] for n, x in observations.items()}, 1, index[2:])
    for name, x in part.items():
        torch.testing.assert_close(x, changed[name][2:], **FLOAT32)
    assert not torch.equal(changes(observations, 2, index)["action"], changed["action"])
    alone = changes({"proprio": observations["proprio"]}, 1, index)  # the others are absent
    assert torch.equal(alone["proprio"], changed["proprio"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((0.0, 1, 0.0), "image_shift needs an image"),
        ((0.0, 0, 0.1), "vector_noise needs a vector"),
        ((0.0, 0, -0.1), "vector_noise must be at least 0"),
    ],
)
def test_changes_of_what_is_not_there_are_refused(
    options: tuple[float, int, float], message: str
) -> None:
    force = [m for m in small_modalities() if m.kind == "series"]
    with pytest.raises(ValueError, match=message):
        RandomChanges(force, *options, seed=0)


def test_without_colour_images_it_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(make_cache(tmp_path / "logs", parts=1, steps=8), tmp_path / "c.yaml")
    bernoulli = ["--model.modalities.rgb.likelihood=bernoulli"]
    options = ["--config", str(config), "--output", str(tmp_path / "out")]
    assert main([*options, *bernoulli, "--model.colour_jitter=1"]) == 2
    assert "colour_jitter needs an image of three channels" in capsys.readouterr().err
