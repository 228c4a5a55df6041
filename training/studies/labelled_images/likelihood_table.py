# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Finished runs → one table of likelihoods, beside the published figures."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.studies.labelled_images.coherence_table import coherence_entry, coherence_grid, judge
from training.studies.labelled_images.likelihoods import MEASURES, PROPOSALS
from training.studies.labelled_images.protocol import METHODS, Protocol
from training.studies.tables import grid, number, origin, over_seeds, page, spread

# Wu & Goodman 2018: log p(x), log p(x, y), log p(x|y).
PUBLISHED: dict[tuple[str, str], dict[str, tuple[float | None, float | None, float]]] = {
    ("mnist", "dynamic"): {
        "MVAE": (-86.03, -86.26, -83.97),
        "JMVAE": (-86.31, -86.37, -83.99),
        "CVAE": (None, None, -83.45),
    },
    ("mnist", "grey"): {
        "MVAE": (-90.62, -90.86, -88.57),
        "JMVAE": (-90.70, -90.77, -88.70),
    },
    ("fashion_mnist", "grey"): {
        "MVAE": (-232.54, -233.01, -230.70),
        "JMVAE": (-232.63, -232.95, -230.40),
    },
}
_COLUMNS = {"log_p_x": "log p(x)", "log_p_xy": "log p(x, y)", "log_p_x_given_y": "log p(x\\|y)"}
_PIXELS = {
    "dynamic": "dynamic binarisation (Burda et al. 2015), one fixed draw of the test images",
    "grey": "grey values under a Bernoulli likelihood (the legacy protocol: no probability of the "
    "pixels, so these figures compare only with each other)",
    "colour": "colour values under a Bernoulli likelihood (no probability of the pixels, so these "
    "figures compare only with each other)",
}


def tabulate(
    protocol: Protocol,
    records: Sequence[Mapping[str, Any]],
    command: str,
    commit: str,
    legacy: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """What RESULTS/NAME.json holds.

    For every method and proposal ``mean`` and ``std`` of each measure over seeds (``std`` is null
    for one seed), and the averages of the standard errors over test images and of the Monte-Carlo
    errors. What a method does not have is missing.

    Args:
        protocol: of the runs.
        records: runs, see :func:`training.studies.ledger.runs_of`.
        command: that makes them.
        commit: of the checkout that makes the table.
        legacy: runs of the same on grey values, where ours are binarised; a column beside theirs.
    """
    methods = {method: _of_method(own) for method, own in _by_method(records).items()}
    for method, own in _by_method(legacy).items():
        measured = {
            record["configuration"]["seed"]: record["likelihoods"]["proposal_xy"]
            for record in own
            if "log_p_xy" in record.get("likelihoods", {}).get("proposal_xy", {})
        }
        if method in methods and measured:
            methods[method]["legacy_grey"] = {
                "seeds": list(measured),
                **{name: _over_seeds([m[name] for m in measured.values()]) for name in MEASURES},
            }
    return {
        **origin(records, command, commit),
        **identity(protocol),
        **({"classifier": classifier} if (classifier := judge(records)) else {}),
        "methods": methods,
    }


def identity(protocol: Protocol) -> dict[str, Any]:
    """The entries of a table that tell its protocol from others."""
    return {
        "protocol": _describe(protocol),
        "test_images": protocol.test_images,
        "importance_samples": protocol.importance_samples,
    }


def _by_method(records: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """In the order of METHODS, the runs of each in that of their seeds."""
    ordered = sorted(records, key=lambda record: record["configuration"]["seed"])
    found = {m: [r for r in ordered if r["configuration"]["method"] == m] for m in METHODS}
    return {method: own for method, own in found.items() if own}


def _of_method(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of all its runs; a run counts in what it has been measured in."""
    entry: dict[str, Any] = {
        "seeds": [record["configuration"]["seed"] for record in records],
        "parameters": records[0]["training"]["parameters"],
        **coherence_entry(records),
    }
    found = [record["likelihoods"] for record in records if "likelihoods" in record]
    if not found:
        return entry
    for proposal in PROPOSALS:
        if proposal in found[0]:
            entry[proposal] = {
                measure: _over_seeds([likelihoods[proposal][measure] for likelihoods in found])
                for measure in MEASURES
                if measure in found[0][proposal]
            }
    if "log_p_y" in found[0]:
        entry["log_p_y"] = _over_seeds([likelihoods["log_p_y"] for likelihoods in found])
    return entry


def _over_seeds(summaries: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    return {
        **over_seeds([summary["mean"] for summary in summaries], 3),
        **{
            error: round(statistics.fmean(summary[error] for summary in summaries), 4)
            for error in ("standard_error", "monte_carlo_error")
        },
    }


def _describe(protocol: Protocol) -> str:
    widths = "-".join(map(str, protocol.image_widths))
    label = "-".join(map(str, protocol.label_widths))
    y, held_out = protocol.data_set.label, protocol.validation
    training = f"all but the last {held_out}" if held_out else "the"
    encoding = "one-hot" if y == "label" else f"{len(protocol.data_set.classes)} of 0 or 1"
    return (
        f"{protocol.data_set.title}, {_PIXELS[protocol.pixels]}; {y} {encoding}. Same "
        f"networks for all methods: image {protocol.image_network} {widths}, {y} mlp {label}, "
        f"D = {protocol.latent_size}, embeddings of {protocol.embedding_size}. Same budget: "
        f"{protocol.epochs} epochs of {training} training images, "
        f"batch {protocol.batch_size}, Adam from {protocol.learning_rate:g} to 0 along a cosine, "
        f"beta from 0 to 1 in {protocol.warm_up_steps} steps; the last state is measured."
    )


def to_markdown(protocol: Protocol, table: Mapping[str, Any]) -> str:
    """The same as a page for people."""
    methods: Mapping[str, Any] = table["methods"]
    names = [
        f"{column} [{proposal.removeprefix('proposal_')}]"
        for proposal in PROPOSALS
        for column in _COLUMNS.values()
    ]
    legacy = any("legacy_grey" in entry for entry in methods.values())
    rows = [
        [
            method,
            *(spread(entry.get(p, {}).get(measure)) for p in PROPOSALS for measure in _COLUMNS),
            spread(entry.get("log_p_y")),
            *([spread(entry.get("legacy_grey", {}).get("log_p_xy"))] if legacy else []),
            ", ".join(map(str, entry["seeds"])),
        ]
        for method, entry in methods.items()
    ]
    cells = [c for e in methods.values() for p in PROPOSALS for c in e.get(p, {}).values()]
    errors = ("standard_error", "monte_carlo_error")
    grey = ["legacy: log p(x, y) [xy] of grey values"] if legacy else []
    published = PUBLISHED.get((protocol.dataset, protocol.pixels), {})
    others = [[name, *map(number, values)] for name, values in published.items()]
    return page(
        Path(__file__).with_name("page.md.jinja"),
        protocol=protocol,
        data_set=protocol.data_set,
        table=table,
        largest={error: max((cell[error] for cell in cells), default=0.0) for error in errors},
        likelihoods=grid(["method", *names, "log p(y)", *grey, "seeds"], rows),
        judgement=_judgement(methods),
        legacy=legacy,
        published=others and grid(["method", *_COLUMNS.values()], others),
        classifier=table.get("classifier"),
        coherence=coherence_grid(table, protocol.data_set.label),
    )


def _judgement(methods: Mapping[str, Any]) -> str:
    """Where the best row of SMVAE is not ahead of a joint model's."""
    joint = {name: entry for name, entry in methods.items() if set(PROPOSALS) <= set(entry)}
    ours = [entry for name, entry in joint.items() if name.startswith("smvae")]
    others = [name for name in joint if not name.startswith("smvae")]
    if not ours or not others:
        return ""
    behind = []
    for proposal in PROPOSALS:
        for measure, title in _COLUMNS.items():
            best = max(entry[proposal][measure]["mean"] for entry in ours)
            for name in others:
                if methods[name][proposal][measure]["mean"] >= best:
                    difference = methods[name][proposal][measure]["mean"] - best
                    behind.append(
                        f"{name} in {title} [{proposal.removeprefix('proposal_')}] "
                        f"by {difference:.2f}"
                    )
    if not behind:
        return "The best row of SMVAE is ahead of every joint model here in every column."
    return f"Ahead of the best row of SMVAE: {'; '.join(behind)}."
