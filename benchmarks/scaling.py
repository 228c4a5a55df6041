# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Time of a training step against the number of modalities M: SMVAE beside MoPoE.

    python -m benchmarks.scaling

SMVAE's set encoder sees M embeddings, MoPoE's posterior has 2^M - 1 components, 65,535 for M = 16.
All modalities are vectors of 16 numbers with the same small networks; four samples make a batch, so
that MoPoE with M = 16 takes gigabytes and not tens of them. The models take turns, and
medians over the turns count. One thread, and its CPU time, so that other work on the machine says
little. A plot goes to out/benchmarks/scaling.png.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from jsonargparse.typing import PositiveInt

from benchmarks.results import publish, run_command
from smvae_core.modalities import Modality, Network
from smvae_core.models.objectives import Inputs
from smvae_core.models.registry import find_method

COUNTS = (2, 4, 8, 12, 16)
LABELS = {"smvae": "SMVAE", "mopoe": "MoPoE"}
BATCH, LATENT, SIZE = 4, 8, 16
OUTPUT = Path("out/benchmarks/scaling.png")


def training_step(kind: str, count: int) -> Callable[[], None]:
    """One step of the default objective on M modalities."""
    network = Network("mlp", (64, 64))
    modalities = [
        Modality(f"m{number}", "vector", (SIZE,), embedding=network, decoder=network)
        for number in range(count)
    ]
    torch.manual_seed(0)
    method = find_method(kind)
    model, objective = method.model(modalities, LATENT, 64), method.objective()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    observations = {name: torch.randn(BATCH, SIZE) for name in model.names}
    present = torch.ones(BATCH, count, dtype=torch.bool)

    def step() -> None:
        uniform = torch.rand(BATCH, count + 1)
        noise = torch.randn(objective.noises(count), BATCH, LATENT)
        bound = objective.bound(model, Inputs(observations, present, uniform, noise))
        optimizer.zero_grad()
        (-bound.value.mean()).backward()
        optimizer.step()

    return step


def milliseconds(step: Callable[[], None]) -> float:
    """Of CPU for a step, the average over at least a tenth of a second, after one to warm up."""
    step()
    begin, steps = time.process_time(), 0
    while (spent := time.process_time() - begin) < 0.1:
        step()
        steps += 1
    return 1000 * spent / steps


def measure(turns: int) -> dict[str, list[float]]:
    """Model → milliseconds of a step for each of COUNTS."""
    steps = {(kind, count): training_step(kind, count) for kind in LABELS for count in COUNTS}
    spent: dict[tuple[str, int], list[float]] = {case: [] for case in steps}
    for _ in range(turns):
        for case, step in steps.items():
            spent[case].append(milliseconds(step))
    return {kind: [statistics.median(spent[kind, count]) for count in COUNTS] for kind in LABELS}


def growth(times: Mapping[str, list[float]]) -> dict[str, float]:
    """How the step grows where M counts most: what is linear doubles from 8 to 16, and 2^M doubles
    with each modality."""
    figures = {}
    for kind, values in times.items():
        at = dict(zip(COUNTS, values, strict=True))
        figures[f"{kind}_16_over_8"] = at[16] / at[8]
        figures[f"{kind}_growth_per_modality_12_to_16"] = (at[16] / at[12]) ** (1 / 4)
    return figures


def plot(times: Mapping[str, list[float]], path: Path) -> None:
    """Both axes logarithmic, with a guide for what is linear and one for what is exponential."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.5), layout="constrained")
    for kind, values in times.items():
        axes.loglog(COUNTS, values, "o-", label=LABELS[kind])
    first, last = times["smvae"][0], times["mopoe"][-1]
    linear = [first * count / COUNTS[0] for count in COUNTS]
    axes.loglog(COUNTS, linear, ":", color="grey", label="linear in M")
    counts = range(8, COUNTS[-1] + 1)
    exponential = [last * 2.0 ** (count - COUNTS[-1]) for count in counts]
    axes.loglog(counts, exponential, "--", color="grey", label="doubling with each")
    axes.set_xticks(COUNTS, [str(count) for count in COUNTS])
    axes.minorticks_off()
    axes.set(xlabel="modalities M", ylabel="training step [ms of CPU]")
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main(turns: PositiveInt = 3) -> None:
    """Measures and prints.

    Args:
        turns: of each model.
    """
    torch.set_num_threads(1)
    times = measure(turns)
    figures = {
        f"{kind}_ms_at_{count}": value
        for kind, values in times.items()
        for count, value in zip(COUNTS, values, strict=True)
    }
    plot(times, OUTPUT)
    publish(
        "scaling",
        {**figures, **growth(times)},
        {"batch": str(BATCH), "latent size": str(LATENT), "plot": str(OUTPUT)},
    )


if __name__ == "__main__":
    run_command(main)
