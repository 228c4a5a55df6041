# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The protocol of a study ↔ options of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from smvae_ros.cli.programs import parser_of
from training.studies.command import changed_options
from training.studies.labelled_images.data_sets import DATA_SETS
from training.studies.labelled_images.protocol import Protocol

NUMBERS = {  # fields of the protocol that are options
    "epochs": "of training",
    "batch_size": "samples in a step",
    "learning_rate": "highest rate of Adam",
    "warm_up_steps": "in which the weight of the KL terms rises",
    "latent_size": "D, numbers in z",
    "embedding_size": "d, numbers that an embedding network puts out",
    "validation": "training images held out",
    "test_images": "images that are measured",
    "importance_samples": "K",
}


def study_parser(
    program: str, description: str, data_sets: Sequence[str], data_required: bool = True
) -> argparse.ArgumentParser:
    """A parser with what all commands of the study take: every part of a protocol, where what is
    left out is as usual for the data set, and the folders of data and of models.

    Args:
        program: module of the command.
        description: shown with its help.
        data_sets: that may be chosen, the default first.
        data_required: whether the folder of the data must be given.
    """
    parser = parser_of(f"python -m {program}", description)
    add = parser.add_argument
    add("--dataset", choices=data_sets, default=data_sets[0], help=f"default: {data_sets[0]}")
    pixels = dict.fromkeys(kind for name in data_sets for kind in DATA_SETS[name].pixels)
    add(
        "--pixels",
        choices=pixels,
        help="binarised anew in each epoch (dynamic), or grey or colour values under a Bernoulli "
        "likelihood (default: dynamic for mnist, grey for fashion_mnist, colour for others)",
    )
    add(
        "--image-network",
        metavar="NAME",
        help="embedding network and decoder of images, by its name in smvae_core.models.networks, "
        "such as mlp or convolution (default: mlp for 28 pixels, convolution for others)",
    )
    add(
        "--image-widths",
        nargs="+",
        type=int,
        metavar="N",
        help="of that network (default: 512 512 for mlp, 32 64 for convolution, twice as many "
        "layers for 64 pixels)",
    )
    for field, what in NUMBERS.items():
        usual = {name: getattr(Protocol.usual(name), field) for name in data_sets}
        add(
            "--" + field.replace("_", "-"),
            type=type(getattr(Protocol, field)),
            metavar="N",
            help=f"{what} (default: {_listed(usual)})",
        )
    add(
        "--data-dir",
        type=Path,
        required=data_required,
        help="folder of the data set; missing files of MNIST and FashionMNIST are downloaded",
    )
    add(
        "--work",
        type=Path,
        default=Path("out/benchmark"),
        help="folder of unfinished runs, of trained models and of what is computed from the data "
        "once (default: out/benchmark)",
    )
    return parser


def _listed(usual: Mapping[str, float]) -> str:
    """Data set → number, as words; the first one's without a name."""
    first, *others = usual.items()
    words = [f"{number:g} for {name}" for name, number in others if number != first[1]]
    return ", ".join([f"{first[1]:g}", *words])


def chosen_protocol(options: argparse.Namespace) -> Protocol:
    """The protocol that parsed options name.

    Raises:
        ValueError: where they do not fit the data set.
    """
    names = ("pixels", "image_network", "image_widths", *NUMBERS)
    given = {name: getattr(options, name) for name in names}
    if given["image_widths"] is not None:
        given["image_widths"] = tuple(given["image_widths"])
    return Protocol.usual(
        options.dataset, **{name: value for name, value in given.items() if value is not None}
    )


def protocol_options(protocol: Protocol) -> list[str]:
    """The shortest options that name this protocol."""
    usual = Protocol.usual(protocol.dataset)
    like = Protocol.usual(protocol.dataset, image_network=protocol.image_network)
    return [
        *("--dataset", protocol.dataset),
        *changed_options(protocol, usual, ("pixels", "image_network")),
        *changed_options(protocol, like, ("image_widths", *NUMBERS)),
    ]


def page_name(protocol: Protocol) -> str:
    """Of a page; other pixels or networks than usual are a page of their own."""
    usual = Protocol.usual(protocol.dataset)
    parts = [protocol.dataset]
    if protocol.pixels != usual.pixels:
        parts.append(protocol.pixels)
    if protocol.image_network != usual.image_network:
        parts.append(protocol.image_network)
    return "_".join(parts)
