# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Makes a whole bag of what a recording that was cut short has left: the command.

``ros2 run smvae_ros recover BAG OUTPUT``; the work is done by :mod:`smvae_ros.bags.recovery`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from smvae_core.words import counted
from smvae_ros.bags import BagError, BagWriter
from smvae_ros.bags.recovery import RecoveredBag
from smvae_ros.bags.writer import STORAGES
from smvae_ros.cli.programs import print_error, run_command
from smvae_ros.messages.types import full_type_name

log = logging.getLogger(__name__)


def make_parser() -> argparse.ArgumentParser:
    """The command line of ``ros2 run smvae_ros recover``."""
    parser = argparse.ArgumentParser(
        prog="recover",
        description="Make a whole bag of what a recording has left that was killed, or whose disk "
        "was full. BAG stays as it is.",
        epilog="Bags of `ros2 bag record` can be recovered, too, also those that are compressed or "
        "lack their metadata.yaml. Topics that hold no messages of ROS 2 are named and left out.",
    )
    add = parser.add_argument
    add("bag", metavar="BAG", help="folder (of `record`: NAME.partial), .mcap or .db3 file")
    add("output", metavar="OUTPUT", help="folder of the new bag")
    add("--storage", choices=STORAGES, default=STORAGES[0], help="format (default: %(default)s)")
    add(
        "--type",
        nargs="+",
        type=_choice,
        default=[],
        metavar="TOPIC=TYPE",
        help="of a topic with messages of several types, keep those of this one (default: the type "
        "of most of them)",
    )
    return parser


def _choice(text: str) -> tuple[str, str]:
    topic, equals, type_name = text.partition("=")
    if not (topic and equals and type_name):
        raise argparse.ArgumentTypeError(f"{text!r}: write TOPIC=TYPE")
    return topic, full_type_name(type_name)


def _choosing(topic: str, type_name: str) -> str:
    """How to keep messages of another type; of other systems' messages nothing."""
    is_foreign = "(" in type_name  # the encoding
    return "" if is_foreign else f"; --type {topic}={type_name} keeps these instead"


def main(argv: Sequence[str] | None = None) -> int:
    """Console command; returns its exit code."""
    arguments = make_parser().parse_args(argv)
    return run_command(
        "recover",
        lambda: _recover(arguments),
        BagError,
        interrupted=f"{arguments.output} is not complete",
    )


def _recover(arguments: argparse.Namespace) -> int:
    counts, damage = recover(
        Path(arguments.bag), Path(arguments.output), arguments.storage, dict(arguments.type)
    )
    for topic, count in sorted(counts.items()):
        print(f"{count:8d}  {topic}")
    print(
        f"kept {counted(sum(counts.values()), 'message')} in {arguments.output}; {arguments.bag} "
        "is as it was",
        flush=True,
    )
    for reason in damage:
        print_error("recover", BagError(reason))
    return 1 if damage else 0


def recover(
    path: Path, output: Path, storage: str, types: Mapping[str, str] | None = None
) -> tuple[dict[str, int], list[str]]:
    """Copies what can be read.

    Args:
        path: of what is left of a bag.
        output: of the new one.
        storage: its format.
        types: topic → the type to keep, where it holds several; by default that of most messages.

    Returns:
        Messages of each topic, and for each file that could not be read to its end, the reason.

    Raises:
        BagError: where nothing can be read, or the new bag not be written.
    """
    with RecoveredBag(path, types or {}) as bag:
        for name, reason in bag.left_out.items():
            log.warning("topic %s is left out: %s", name, reason)
        for name, topic in bag.topics.items():
            for type_name, count in topic.other_types.items():
                log.warning(
                    "%s of %s on %s left out: a topic holds one type, and those of %s (%d) are "
                    "kept%s",
                    *(counted(count, "message"), type_name, name, topic.type_name, topic.count),
                    _choosing(name, type_name),
                )
        messages = iter(tqdm(bag.messages(), unit=" messages", disable=None))
        first = next(messages, None)
        if first is None:
            reasons = [*bag.damage, *(f"{name}: {why}" for name, why in bag.left_out.items())]
            raise BagError(
                f"{path} holds no messages of ROS 2, so {output} is not made"
                + "".join(f"; {reason}" for reason in reasons)
            )
        with BagWriter(output, storage) as writer:
            for name, stamp_ns, data in chain([first], messages):
                topic = bag.topics[name]
                writer.declare(name, topic.type_name, topic.latched, bag.definitions[name])
                writer.write_raw(name, topic.type_name, data, stamp_ns)
        return writer.counts, bag.damage


if __name__ == "__main__":
    sys.exit(main())
