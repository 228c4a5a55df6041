# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Finished runs of the robot study → a table, and a page for people."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.studies.insertion.measures import Table
from training.studies.insertion.protocol import ALL, DEDICATED, EPOCHS, METHODS, TARGETS, Protocol
from training.studies.tables import NONE, grid, origin, page

ALLOWED = 0.03  # of skill, behind a dedicated network
NOTABLE = 0.01  # of skill; smaller violations are counted, not listed on the page
LISTED = 20  # violations of SMVAE on the page; all are in the JSON
OURS = ("smvae_long", "smvae")  # the first that was measured is shown with every subset
PAPER = ("rgb", "depth", "force", "action")  # the four modalities of the paper
COMPARED = ("+".join(PAPER), "rgb", "depth", "force+action", "force+action+proprio")  # by models
_SECTIONS = (("errors",), ("likelihoods",), ("probes", "subsets"), ("generated_contact", "subsets"))
# Key of a measure → title and factor for the page.
_COLUMNS = {
    "rgb_psnr_db": ("RGB PSNR [dB]", 1.0, 1),
    "rgb_ssim": ("RGB SSIM", 1.0, 3),
    "rgb_skill_vs_mean": ("RGB skill", 1.0, 3),
    "depth_rmse_m": ("depth RMSE [mm]", 1000.0, 1),
    "depth_skill_vs_mean": ("depth skill", 1.0, 3),
    "force_rmse_n": ("force RMSE [N]", 1.0, 2),
    "force_rmse_nm": ("torque RMSE [N m]", 1.0, 3),
    "contact_probe_balanced_accuracy": ("contact", 1.0, 3),
    "next_contact_probe_balanced_accuracy": ("next contact", 1.0, 3),
    "position_probe_mse_m2": ("next position MSE [1e-5 m²]", 1e5, 2),
    "generated_contact_agreement_ratio": ("contact in generated RGB-D", 1.0, 3),
}


def tabulate(
    protocol: Protocol, records: Sequence[Mapping[str, Any]], command: str, commit: str
) -> dict[str, Any]:
    """What RESULTS/NAME.json holds: averages over seeds.

    ``subsets`` are those of the model ``shown``, an SMVAE, each with the dedicated networks' skills
    where there are some; ``methods`` are all models, with the same measures; ``violations`` are the
    nested pairs of subsets of which the larger one predicts a modality worse.

    Args:
        protocol: of the runs.
        records: runs, see :func:`training.studies.ledger.runs_of`.
        command: that makes them.
        commit: of the checkout that makes the table.

    Raises:
        ValueError: for runs on different data.
    """
    data = [record["configuration"]["data"] for record in records]
    if any(entry != data[0] for entry in data):
        raise ValueError(
            "the runs were made on different data; name the caches to choose among them"
        )
    methods: dict[str, Any] = {}
    for method in METHODS:
        own = [r for r in records if r["configuration"]["method"] == method]
        if own:
            methods[method] = _of_method(own)
    dedicated = _dedicated(records)
    shown = next((method for method in OURS if method in methods), None)
    subsets = {
        label: dict(entry)
        for label, entry in methods.get(shown, {"subsets": {}})["subsets"].items()
    }
    for (label, target), skill in dedicated.items():
        subsets.setdefault(label, {})[f"{target}_skill_dedicated"] = skill
    return {
        **origin(records, command, commit),
        "protocol": vars(protocol),
        "data": data[0],
        "shown": shown,
        "subsets": subsets,
        "methods": methods,
        "persistence": _persistence(records),
        "violations": {name: violations(entry["subsets"]) for name, entry in methods.items()},
    }


def _of_method(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Averages over seeds; a run counts in what it has been measured in."""
    values: dict[str, dict[str, list[float]]] = {}
    for record in records:
        for path in _SECTIONS:
            table: Table | None = record
            for key in path:
                table = table.get(key) if table else None
            for label, entry in (table or {}).items():
                for measure, value in entry.items():
                    values.setdefault(label, {}).setdefault(measure, []).append(value)
    agreements = [
        r["generated_contact"]["real_agreement"] for r in records if "generated_contact" in r
    ]
    return {
        "seeds": sorted(record["configuration"]["seed"] for record in records),
        "parameters": records[0]["training"]["parameters"],
        "epochs": [record["training"]["epochs"] for record in records],
        "classifier_agreement_on_real_rgbd": statistics.fmean(agreements) if agreements else None,
        "subsets": {
            label: {measure: statistics.fmean(of_seeds) for measure, of_seeds in entry.items()}
            for label, entry in values.items()
        },
    }


def _dedicated(records: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """(subset, target) → skill, averaged over seeds."""
    found: dict[tuple[str, str], list[float]] = {}
    for record in records:
        configuration = record["configuration"]
        if configuration["method"] == DEDICATED and "errors" in record:
            label, target = "+".join(configuration["given"]), configuration["target"]
            skill = record["errors"][label][f"{target}_skill_vs_mean"]
            found.setdefault((label, target), []).append(skill)
    return {key: statistics.fmean(skills) for key, skills in found.items()}


def _persistence(records: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    found = [record["probes"]["persistence"] for record in records if "probes" in record]
    return found[0] if found else None  # of the data alone, so alike in all


def violations(subsets: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Where a larger set of modalities predicts worse than a smaller one that it contains.

    Returns:
        ``pairs``, how many (smaller, larger, predicted modality) there are; ``worse``, how many of
        them are violations; ``list`` of these, the largest loss of skill first.
    """
    sets = {label: set(label.split("+")) for label in subsets}
    measures = [f"{name}_skill_vs_mean" for name in ALL]
    pairs, found = 0, []
    for small, large in itertools.permutations(subsets, 2):
        if not sets[small] < sets[large]:
            continue
        for measure in measures:
            if measure not in subsets[small] or measure not in subsets[large]:
                continue
            pairs += 1
            loss = subsets[small][measure] - subsets[large][measure]
            if loss > 0:
                predicted = measure.removesuffix("_skill_vs_mean")
                entry = {"predicted": predicted, "from": small, "worse_from": large}
                found.append({**entry, "skill_lost": float(f"{loss:.6g}")})
    found.sort(key=lambda entry: -entry["skill_lost"])
    return {"pairs": pairs, "worse": len(found), "list": found}


def to_markdown(table: Mapping[str, Any], name: str = "insertion") -> str:
    """The same as the page NAME.md."""
    methods, subsets = table["methods"], table["subsets"]
    labels = [label for label in subsets if label not in ("training_mean", "prior")]
    five = [label for label in labels if "proprio" in label.split("+")]
    four = [*(label for label in labels if label not in five), "training_mean"]
    compared = {
        label: {n: e["subsets"][label] for n, e in methods.items() if label in e["subsets"]}
        for label in COMPARED
    }
    return page(
        Path(__file__).with_name("page.md.jinja"),
        **table,
        name=name,
        long=EPOCHS["smvae_long"],
        four={_name(label): subsets[label] for label in four if label in subsets},
        five={_name(label): subsets[label] for label in five},
        limits=_limits(subsets, {n: methods[n] for n in OURS[::-1] if n in methods}),
        allowed=ALLOWED,
        compared={label: entries for label, entries in compared.items() if entries},
        likelihoods=_likelihoods(methods),
        next_step=_next_step(table),
        least=NOTABLE,
        ours=OURS,
        measured=_measured,
        readable=_name,
        by_modality=_by_modality,
        worst=_worst,
    )


def _measured(title: str, entries: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each entry, a column for each measure that one of them has."""
    columns = [key for key in _COLUMNS if any(key in entry for entry in entries.values())]
    rows = [[name, *(_cell(entry, key) for key in columns)] for name, entry in entries.items()]
    return grid([title, *(_COLUMNS[key][0] for key in columns)], rows)


def _cell(entry: Mapping[str, float], key: str) -> str:
    _, factor, digits = _COLUMNS[key]
    return f"{factor * entry[key]:.{digits}f}" if key in entry else NONE


def _name(label: str) -> str:
    return label.replace("+", ", ").replace("_", " ")


def _limits(
    subsets: Mapping[str, Mapping[str, float]], ours: Mapping[str, Mapping[str, Any]]
) -> str:
    """One model for all subsets beside a network for each."""
    rows = []
    for target in TARGETS:
        for label, entry in subsets.items():
            dedicated = entry.get(f"{target}_skill_dedicated")
            measured = [model["subsets"].get(label, {}) for model in ours.values()]
            skills = [of_model.get(f"{target}_skill_vs_mean") for of_model in measured]
            if dedicated is None or None in skills:
                continue
            row = [target, _name(label), f"{dedicated:.3f}"]
            for skill in skills:
                mark = "" if dedicated - skill <= ALLOWED else " **more**"
                row += [f"{skill:.3f}", f"{dedicated - skill:+.3f}{mark}"]
            rows.append(row)
    if not rows:
        return ""
    header = ["predicted", "from", "dedicated"]
    for name in ours:
        header += [name, "behind by"]
    return grid(header, rows)


def _likelihoods(methods: Mapping[str, Any]) -> str:
    """log p(x_i) of every model that it was measured of."""
    rows = []
    for name, entry in methods.items():
        prior = entry["subsets"].get("prior", {})
        values = (prior.get(f"{modality}_log_likelihood") for modality in ALL)
        rows.append([name, *(NONE if value is None else f"{value:.1f}" for value in values)])
    measured = any(cell != NONE for row in rows for cell in row[1:])
    return grid(["model", *(f"log p({name})" for name in ALL)], rows) if measured else ""


def _next_step(table: Mapping[str, Any]) -> str:
    persistence = table["persistence"]
    entry = table["subsets"].get("+".join(PAPER), {})
    if not persistence or "position_probe_mse_m2" not in entry:
        return ""
    found = {
        f"{table['shown']}, all four": (
            entry["next_contact_probe_balanced_accuracy"],
            entry["position_probe_mse_m2"],
        ),
        "persistence": (
            persistence["next_contact_balanced_accuracy"],
            persistence["next_position_mse_m2"],
        ),
    }
    rows = [[name, f"{contact:.3f}", f"{error:.2e}"] for name, (contact, error) in found.items()]
    return grid(["", "next contact, balanced accuracy", "next position, MSE [m²]"], rows)


def _worst(listed: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [v["predicted"], _name(v["from"]), _name(v["worse_from"]), f"{v['skill_lost']:.3f}"]
        for v in listed[:LISTED]
    ]
    return grid(["predicted", "from", "worse from", "skill lost"], rows)


def _by_modality(listed: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(violation["predicted"] for violation in listed)
    named = ", ".join(f"{count} of {name}" for name, count in counts.most_common())
    return f" ({named})" if named else ""
