# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The data of a run, as its training and its stages take them."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from smvae_core.data.samples import Samples
from smvae_core.fit.data import SampleData
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.tensors import to_tensor
from training.studies.labelled_images.data_sets import Folders
from training.studies.labelled_images.protocol import Protocol, Run


class RunData:
    """The data set of a run, opened when it is first needed, and once.

    Args:
        run: its seed decides the order of the samples and what is drawn in training.
        folders: of the data.
    """

    def __init__(self, run: Run, folders: Folders) -> None:
        self._run = run
        self.folders = folders

    @cached_property
    def samples(self) -> Samples:
        """The data set.

        Raises:
            DataSetError: where it cannot be used.
        """
        return self._run.protocol.open(self.folders, self._run.seed)

    @cached_property
    def original(self) -> tuple[Protocol, Samples]:
        """The data set with the original values of pixels, and the usual protocol of that."""
        own = self._run.protocol
        pixels = "grey" if "grey" in own.data_set.pixels else own.pixels
        usual = Protocol.usual(own.dataset, pixels=pixels, validation=own.validation)
        return usual, self.samples if pixels == own.pixels else usual.open(self.folders, 0)

    def loader(self) -> SampleData:
        """The data as Lightning takes them."""
        return SampleData(self.samples, self._run.protocol.batch_size, self._run.seed)

    def observations(
        self, model: MultimodalVAE, part: str, count: int, at_most: bool = False
    ) -> dict[str, Tensor]:
        """The first samples of a part of the split: modality → (count, *shape), or fewer with
        `at_most`.

        Raises:
            ValueError: where there are fewer, without `at_most`, or where the data do not have the
                model's modalities.
            DataSetError: where the data cannot be used.
        """
        self.samples.check(list(model.modalities.values()))
        rows = self.samples.split[part][:count]
        if len(rows) < count and not at_most:
            raise ValueError(
                f"{self.folders.data} has {len(rows)} {part} images, not the {count} asked for"
            )
        batch = self.samples.read(rows, model.names)
        return {name: to_tensor(model.modalities[name], x) for name, x in batch.prepared.items()}
