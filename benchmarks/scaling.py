"""Time of a training step against the number of modalities M: SMVAE beside MoPoE.

    python -m benchmarks.scaling

SMVAE's set encoder sees M embeddings, MoPoE's posterior has 2^M - 1 components. All modalities are
vectors of 16 numbers with the same small networks. A plot goes to out/benchmarks/scaling.png.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.results import publish
from smvae_core.methods import find_method
from smvae_core.modalities import Modality, Network

COUNTS = (2, 4, 8, 16)
BATCH, LATENT, SIZE = 16, 8, 16
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
    optimizer = torch.optim.Adam(model.parameters())
    observations = {name: torch.randn(BATCH, SIZE) for name in model.names}
    present = torch.ones(BATCH, count, dtype=torch.bool)

    def step() -> None:
        uniform = torch.rand(BATCH, count + 1)
        noise = torch.randn(objective.noises(count), BATCH, LATENT)
        bound = objective.bound(model, observations, present, uniform, noise, 1.0)
        optimizer.zero_grad()
        (-bound.value.mean()).backward()
        optimizer.step()

    return step


def milliseconds(step: Callable[[], None], seconds: float) -> float:
    """Median of at least two steps, after one that warms up."""
    step()
    spent: list[float] = []
    while len(spent) < 2 or sum(spent) < seconds:
        begin = time.perf_counter()
        step()
        spent.append(time.perf_counter() - begin)
    return 1000 * statistics.median(spent)


def plot(times: dict[str, list[float]], path: Path) -> None:
    """Both axes logarithmic: what is linear in M rises as steeply as the dotted line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.5), layout="constrained")
    for name, values in times.items():
        axes.loglog(COUNTS, values, "o-", label={"smvae": "SMVAE", "mopoe": "MoPoE"}[name])
    first = times["smvae"][0]
    linear = [first * count / COUNTS[0] for count in COUNTS]
    axes.loglog(COUNTS, linear, ":", color="grey", label="linear in M")
    axes.set_xticks(COUNTS, [str(count) for count in COUNTS])
    axes.minorticks_off()
    axes.set(xlabel="modalities M", ylabel="training step [ms]")
    axes.grid(alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="for each point, at least (default: 2)"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    times: dict[str, list[float]] = {"smvae": [], "mopoe": []}
    for count in COUNTS:
        for name, values in times.items():
            values.append(milliseconds(training_step(name, count), options.seconds))
    figures = {
        f"{name}_ms_at_{count}": value
        for name, values in times.items()
        for count, value in zip(COUNTS, values, strict=True)
    }
    for name, values in times.items():
        # From M = 8 to 16, what is linear doubles; 2^M doubles with each modality.
        figures[f"{name}_16_over_8"] = values[-1] / values[-2]
        figures[f"{name}_growth_per_modality"] = (values[-1] / values[-2]) ** (1 / 8)
    plot(times, OUTPUT)
    publish(
        "scaling",
        figures,
        {"batch": str(BATCH), "latent size": str(LATENT), "plot": str(OUTPUT)},
    )


if __name__ == "__main__":
    main()
