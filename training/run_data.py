"""The data of a run, as its model takes them."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from smvae_core.fitting_data import ImageData
from smvae_core.multimodal_vae import MultimodalVAE
from smvae_core.preprocessing import to_tensor
from training.protocol import Run


def image_data(run: Run, data: Path) -> ImageData:
    """The run's data set, not opened yet; its order and its draws follow from the run's seed."""
    protocol = run.protocol
    return ImageData(
        str(data),
        protocol.dataset,
        protocol.pixels,
        protocol.batch_size,
        protocol.validation,
        draw_seed=run.seed,
        order_seed=run.seed,
    )


def observations(
    model: MultimodalVAE, run: Run, data: Path, part: str, count: int
) -> dict[str, Tensor]:
    """The first samples of a part of the split: modality → (count, *shape).

    Raises:
        ValueError: where there are fewer.
        DataSetError: where the data cannot be used.
    """
    source = image_data(run, data)
    source.open(list(model.modalities.values()))
    rows = source.split[part][:count]
    if len(rows) < count:
        raise ValueError(f"{data} has {len(rows)} {part} images, not the {count} asked for")
    batch = source.cache.read(rows, model.names)
    return {name: to_tensor(model.modalities[name], x) for name, x in batch.prepared.items()}
