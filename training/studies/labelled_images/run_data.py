"""The data of a run, as its model takes them."""

from __future__ import annotations

from torch import Tensor

from smvae_core.fit.data import SampleData
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.preprocessing import to_tensor
from training.studies.labelled_images.data_sets import Folders
from training.studies.labelled_images.protocol import Run


def run_data(run: Run, folders: Folders) -> SampleData:
    """The run's data set, not loaded yet; its order and its draws follow from the run's seed."""
    return run.protocol.data_set.open(run.protocol, run.seed, folders)


def observations(
    model: MultimodalVAE,
    run: Run,
    folders: Folders,
    part: str,
    count: int,
    at_most: bool = False,
) -> dict[str, Tensor]:
    """The first samples of a part of the split: modality → (count, *shape), or fewer with
    `at_most`.

    Raises:
        ValueError: where there are fewer, without `at_most`.
        DataSetError: where the data cannot be used.
    """
    source = run_data(run, folders)
    source.open(list(model.modalities.values()))
    rows = source.split[part][:count]
    if len(rows) < count and not at_most:
        raise ValueError(f"{folders.data} has {len(rows)} {part} images, not the {count} asked for")
    batch = source.cache.read(rows, model.names)
    return {name: to_tensor(model.modalities[name], x) for name, x in batch.prepared.items()}
