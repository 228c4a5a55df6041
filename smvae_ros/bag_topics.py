"""Whether a bag holds the topics that the parameters name."""

from __future__ import annotations

from collections.abc import Mapping

from smvae_ros.bags import BagError, BagReader
from smvae_ros.sources import Source


def missing_sources(reader: BagReader, sources: Mapping[str, Source]) -> dict[str, Source]:
    """The sources whose topic the bag lacks.

    Raises:
        BagError: where it lacks all of them, or a topic has another type than configured.
    """
    missing = {n: s for n, s in sources.items() if s.topic not in reader.topics}
    if len(missing) == len(sources):
        raise BagError(
            f"{reader.path} has none of the topics {', '.join(s.topic for s in sources.values())}; "
            f"it has {', '.join(reader.topics)}. Name its topics in a parameters file (--params)"
        )
    for name, source in sources.items():
        found = reader.topics[source.topic].type_name if name not in missing else None
        if found not in (None, source.adapter.type_name):
            raise BagError(
                f"{reader.path}: {source.topic} holds {found}, but {name}.type is "
                f"{source.adapter.type_name}; change it in the parameters file (--params)"
            )
    return missing
