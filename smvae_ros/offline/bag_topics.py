# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The topics of a bag that the parameters name, and their messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from smvae_ros.bags import BagError, BagReader
from smvae_ros.messages import can_carry, known_types, listed_types
from smvae_ros.messages.serialised import SerialisedMessage
from smvae_ros.sensors.topic_inputs import TopicInput


def missing_sources(reader: BagReader, sources: Mapping[str, TopicInput]) -> dict[str, TopicInput]:
    """The sources whose topic the bag lacks. Of a topic that holds several types, the configured
    one is read from here on.

    Raises:
        BagError: where it lacks all of them, or a topic has another type than configured.
    """
    missing = {n: s for n, s in sources.items() if s.topic not in reader.topics}
    if len(missing) == len(sources):
        reasons = [
            f"{s.topic} is left out: {reader.left_out[s.topic]}"
            for s in sources.values()
            if s.topic in reader.left_out
        ]
        raise BagError(
            f"{reader.path} has none of the topics {', '.join(s.topic for s in sources.values())}; "
            + "".join(f"{reason}; " for reason in reasons)
            + f"it has {', '.join(reader.topics)}. Name its topics in a parameters file (--params) "
            "or in the robot file (--robot)"
        )
    for name, source in sources.items():
        if name in missing:
            continue
        reader.choose_type(source.topic, source.adapter.type_name)
        found = reader.topics[source.topic].type_name
        if found != source.adapter.type_name:
            kind = source.modality.kind
            advice = (
                f"set {name}.type in the parameters file (--params) or the robot file (--robot)"
                if can_carry(found, kind)
                else f"which cannot be read as {kind}; name a topic of "
                f"{listed_types(known_types(kind))}"
            )
            raise BagError(
                f"{reader.path}: {source.topic} holds {found}, but {name}.type is "
                f"{source.adapter.type_name}; {advice}"
            )
    return missing


def read_messages(
    reader: BagReader, sources: Mapping[str, TopicInput]
) -> Iterator[tuple[str, int, SerialisedMessage]]:
    """Modality, time of recording in nanoseconds, and message, in the order of recording; of topics
    that the bag lacks there are none. A topic can be the source of several modalities."""
    readers: dict[str, list[tuple[str, Callable[[bytes], SerialisedMessage]]]] = {}
    for name, source in sources.items():
        if source.topic in reader.topics:
            read = source.reader(partial(reader.deserialise, source.adapter.type_name))
            readers.setdefault(source.topic, []).append((name, read))
    for topic, _, received_ns, data in reader.messages(readers.keys()):
        for name, read in readers[topic]:
            yield name, received_ns, read(data)
