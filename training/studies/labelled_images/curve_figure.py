# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""How far training has come, and what is missing to the published figures: a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.studies.labelled_images.likelihood_table import PUBLISHED
from training.studies.labelled_images.protocol import METHODS, Protocol

_SHOWN = 15.0  # nats below the best point; what lies further down is the first few epochs
_XY = 1  # place of log p(x, y) among the published figures
_BELOW = 0.35  # height of the lower panel, times that of the upper one


def curve_figure(protocol: Protocol, records: Sequence[Mapping[str, Any]]) -> Figure | None:
    """The ELBO of held-out training images over the epochs, a line for each run and a colour for
    each method; dotted, what importance sampling found for log p(x, y) of the test images in the
    end, of which the ELBO is a lower bound; dashed, the published figure of MVAE.

    Methods with a far looser bound, such as those with a mixture, end far below the others; they
    have a panel of their own below, with its own scale. CVAEs, whose bound is of log p(x|y), are
    left out, and runs without a curve.

    Args:
        protocol: of the runs.
        records: see :func:`training.studies.ledger.runs_of`.

    Returns:
        None where there is nothing to draw.
    """
    curves: dict[str, list[tuple[Sequence[int], Sequence[float]]]] = {}
    likelihoods: dict[str, list[float]] = {}
    for record in records:
        configuration, curve = record["configuration"], record["training"].get("curve") or ()
        if len(curve) < 2 or configuration["model"] == "cvae":
            continue
        method = configuration["method"]
        epochs, elbo = zip(*curve, strict=True)
        curves.setdefault(method, []).append((epochs, elbo))
        measured = record.get("likelihoods", {}).get("proposal_xy", {}).get("log_p_xy")
        likelihoods.setdefault(method, []).extend([measured["mean"]] if measured else [])
    if not curves:
        return None
    published = PUBLISHED.get((protocol.dataset, protocol.pixels), {}).get("MVAE")
    ends = {method: max(max(elbo) for _, elbo in runs) for method, runs in curves.items()}
    constants = [value for values in likelihoods.values() for value in values]
    best = max([*ends.values(), *constants, *([published[_XY]] if published else [])])
    low = [method for method, end in ends.items() if end < best - _SHOWN]

    figure = Figure(figsize=(7.2, 5.6 if low else 4.6), layout="constrained")
    ratios = (1, _BELOW) if low else (1,)
    upper, *lower = figure.subplots(len(ratios), sharex=True, squeeze=False, height_ratios=ratios)[
        :, 0
    ]
    # A method has the same colour in the figures of all data sets.
    for number, method in enumerate(name for name in METHODS if METHODS[name].model != "cvae"):
        colour = f"C{number % 10}"
        axis = lower[0] if method in low else upper
        for epochs, elbo in curves.get(method, ()):
            axis.plot(epochs, elbo, lw=1.2, color=colour)
        for value in likelihoods.get(method, ()):
            upper.axhline(value, color=colour, ls=":", lw=1.2)
        if method in curves:
            note = ", below" if method in low else ""
            upper.plot([], [], color=colour, label=f"{method}{note}")
    if published:
        label = "log p(x, y) of MVAE, published"
        upper.axhline(published[_XY], color="black", ls="--", lw=1, label=label)
    upper.set_ylim(best - _SHOWN, best + 0.05 * _SHOWN)
    if low:
        least, most = min(ends[method] for method in low), max(ends[method] for method in low)
        margin = max(_SHOWN, 0.3 * (most - least))
        lower[0].set_ylim(least - margin, most + margin)
    for axis in (upper, *lower):
        axis.set_ylabel("nats")
        axis.grid(alpha=0.3)
    bottom = (upper, *lower)[-1]
    bottom.set_xlabel("epoch")
    bottom.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside lower center", frameon=False, ncols=3)
    widths = "-".join(map(str, protocol.image_widths))
    upper.set_title(
        f"{protocol.data_set.title}, {protocol.image_network} {widths}: validation ELBO;\n"
        "dotted: log p(x, y) of test images"
    )
    return figure
