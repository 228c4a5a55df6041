"""Makes a whole bag of what a recording that was cut short has left: the command.

``ros2 run smvae_ros recover BAG OUTPUT``; the work is done by :mod:`smvae_ros.bags.recovery`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from smvae_ros.bags import BagError, BagWriter
from smvae_ros.bags.recovery import recovered_messages
from smvae_ros.bags.writer import STORAGES
from smvae_ros.programs import interruptible, print_error


def make_parser() -> argparse.ArgumentParser:
    """The command line of ``ros2 run smvae_ros recover``."""
    parser = argparse.ArgumentParser(
        prog="recover",
        description="Make a whole bag of what a recording has left that was killed, or whose disk "
        "was full. BAG gets the end that its file lacks, nothing whole is taken from it.",
        epilog="Bags of `ros2 bag record` can be recovered, too.",
    )
    parser.add_argument(
        "bag", metavar="BAG", help="folder (of `record`: NAME.partial), .mcap or .db3 file"
    )
    parser.add_argument("output", metavar="OUTPUT", help="folder of the new bag")
    parser.add_argument(
        "--storage", choices=STORAGES, default=STORAGES[0], help="format (default: %(default)s)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Console command; returns its exit code."""
    arguments = make_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    try:
        with interruptible():
            counts, damage = recover(Path(arguments.bag), Path(arguments.output), arguments.storage)
    except BagError as error:
        return print_error("recover", error)
    except KeyboardInterrupt:
        return print_error("recover", BagError(f"interrupted; {arguments.output} is not complete"))
    for topic, count in sorted(counts.items()):
        print(f"{count:8d}  {topic}")
    print(f"{sum(counts.values())} messages are in {arguments.output}; {arguments.bag} is kept")
    return 0 if damage is None else print_error("recover", damage)


def recover(path: Path, output: Path, storage: str) -> tuple[dict[str, int], BagError | None]:
    """Copies what can be read.

    Returns:
        Messages of each topic, and where and why no more could be read, if that was so.

    Raises:
        BagError: where nothing can be read, or the new bag not be written.
    """
    from tqdm import tqdm

    messages = recovered_messages(path)
    damage = None
    with BagWriter(output, storage) as writer, tqdm(unit=" messages", disable=None) as progress:
        while True:
            try:
                topic, type_name, latched, stamp_ns, data = next(messages)
            except StopIteration:
                break
            except BagError as error:
                damage = error
                break
            writer.declare(topic, type_name, latched)
            writer.write_raw(topic, type_name, data, stamp_ns)
            progress.update()
    if damage is not None and not writer.counts:
        raise damage
    return writer.counts, damage


if __name__ == "__main__":
    sys.exit(main())
