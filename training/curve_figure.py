"""How far training has come, and what is missing to the published figures: a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from training.likelihood_table import PUBLISHED
from training.protocol import Protocol

_SHOWN = 15.0  # nats below the best point; what lies further down is the first few epochs
_XY = 1  # place of log p(x, y) among the published figures


def curve_figure(protocol: Protocol, records: Sequence[Mapping[str, Any]]) -> Figure | None:
    """The ELBO of held-out training images over the epochs, a line for each run and a colour for
    each method; dotted, what importance sampling found for log p(x, y) of the test images in the
    end, of which the ELBO is a lower bound; dashed, the published figure of MVAE.

    CVAEs, whose bound is of log p(x|y), are left out, and runs without a curve.

    Args:
        protocol: of the runs.
        records: see :func:`training.run_file.runs_of`.

    Returns:
        None where there is nothing to draw.
    """
    drawn = [
        record
        for record in records
        if len(record["training"].get("curve") or ()) > 1
        and record["configuration"]["model"] != "cvae"
    ]
    if not drawn:
        return None
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axis = figure.subplots()
    best = -float("inf")
    colours: dict[str, str] = {}  # of each method; its seeds share one
    for record in drawn:
        method = record["configuration"]["method"]
        label = None if method in colours else method
        colour = colours.setdefault(method, f"C{len(colours)}")
        epochs, elbo = zip(*record["training"]["curve"], strict=True)
        axis.plot(epochs, elbo, lw=1.2, color=colour, label=label)
        best = max(best, *elbo)
        measured = record.get("likelihoods", {}).get("proposal_xy", {}).get("log_p_xy")
        if measured:
            axis.axhline(measured["mean"], color=colour, ls=":", lw=1)
            best = max(best, measured["mean"])
    published = PUBLISHED.get((protocol.dataset, protocol.pixels), {}).get("MVAE")
    if published:
        value = published[_XY]
        axis.axhline(value, color="black", ls="--", lw=1, label="log p(x, y) of MVAE,\npublished")
        best = max(best, value)
    axis.set(xlabel="epoch", ylabel="nats", ylim=(best - _SHOWN, best + 0.05 * _SHOWN))
    axis.grid(alpha=0.3)
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    widths = "-".join(map(str, protocol.image_widths))
    axis.set_title(
        f"{protocol.data_set.title}, {protocol.image_network} {widths}: validation ELBO; dotted: "
        "log p(x, y) of test images",
        fontsize=10,
    )
    return figure
