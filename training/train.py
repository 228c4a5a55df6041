# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Trains a model on converted logs and exports it as a checkpoint directory.

    python -m training.train --config config/training/insertion.yaml --data.cache CACHE
    python -m training.train --robot my_robot.yaml --data.cache CACHE

Every field of the configuration can be given on the command line, too (`--model.latent_size 32`,
`--model.modalities.rgb.weight 2`, `--trainer.devices 2 --trainer.strategy ddp`). Ctrl-C leaves a
run that `--resume` continues as if it had not been interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from smvae_core.checkpoint import load_checkpoint, save_checkpoint
from smvae_core.data.batches import Batches
from smvae_core.files import check_output
from smvae_core.fit.callbacks import StopAtBatchEnd, WholeFiles
from smvae_core.fit.data import LogData
from smvae_core.fit.module import SetFitting
from smvae_core.inference.devices import find_torch_device
from smvae_core.metrics.subset_errors import SubsetErrors, nothing_learned, skills_of
from smvae_core.modalities import MAXIMUM_MODALITIES
from smvae_core.models.multimodal_vae import MultimodalVAE
from smvae_core.precision import precision_advice
from smvae_core.residuals.calibrate import calibrate
from smvae_core.stored_model import CheckpointError, save_calibration
from smvae_core.words import counted
from training.export import export_graphs
from training.programs import run_program
from training.provenance import provenance
from training.robot_configuration import with_robot
from training.run_binding import CONFIGURATION, bind_run, check_run, check_state
from training.warnings_filter import quieten

MONITOR = "validation/elbo"
EXPECTED = (MisconfigurationException, ModuleNotFoundError)  # of an accelerator


class TrainingCommand(LightningCLI):
    """Configuration in YAML or arguments → model, data and trainer."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--output", type=Path, default=Path("out/training"), help="folder of this run's files"
        )
        parser.add_argument(
            "--robot",
            type=str,
            default=None,
            help="robot file that says what the sensors are, or the name of one of config/robots; "
            "--config need not name modalities then",
        )
        parser.add_argument(
            "--export",
            type=Path,
            default=None,
            help="checkpoint directory to write at the end (default: OUTPUT/model)",
        )
        parser.add_argument(
            "--half",
            type=bool,
            default=False,
            help="export 16-bit weights, which halves the file (default: false)",
        )
        parser.add_argument(
            "--calibrate",
            type=bool,
            default=True,
            help="measure what is normal for sensors at the end, else training.calibrate can "
            "(default: true)",
        )
        parser.add_argument(
            "--resume", action="store_true", help="continue the run that stands in OUTPUT"
        )
        parser.add_argument(
            "--patience",
            type=int,
            default=20,
            help=f"stop after this many validations without a better {MONITOR}",
        )

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """A trainer that logs to CSV and TensorBoard, keeps the best and the last state, and stops
        early."""
        if self.config.trainer.accelerator in ("gpu", "cuda"):
            find_torch_device("cuda")  # says better what there is
        output, patience = self.config.output, self.config.patience
        last = last_state(output)
        if last.exists() and not self.config.resume:
            raise ValueError(
                f"{output} holds a run already; continue it with --resume, or give another --output"
            )
        if self.config.resume and not last.exists():
            raise ValueError(f"nothing to resume: there is no {last}")
        trainer = super().instantiate_trainer(
            default_root_dir=output,
            logger=[
                CSVLogger(output, name="log"),
                TensorBoardLogger(output, name="tensorboard", version=""),
            ],
            callbacks=[
                *(self.config_init.trainer.callbacks or []),
                TQDMProgressBar(),
                # Not strict: what ends within its first epoch has no such metric yet.
                EarlyStopping(MONITOR, mode="max", patience=patience, strict=False),
                StopAtBatchEnd(last),
                ModelCheckpoint(
                    last.parent, "best", MONITOR, mode="max", enable_version_counter=False
                ),
                # After every epoch, and after the best state, which it names; `save_last` of the
                # one above would leave out the epochs that are no better.
                ModelCheckpoint(last.parent, last.stem, enable_version_counter=False),
            ],
            **kwargs,
        )
        trainer.strategy.checkpoint_io = WholeFiles()
        most = max(2, os.cpu_count() or 1)  # two can be tried everywhere
        if isinstance(trainer.accelerator, CPUAccelerator) and trainer.num_devices > most:
            raise ValueError(
                f"--trainer.devices {trainer.num_devices}: on a CPU that is as many processes, and "
                f"this machine has {counted(os.cpu_count() or 1, 'processor')}"
            )
        return trainer


def last_state(output: Path) -> Path:
    """The file from which a run continues."""
    return output / "checkpoints" / "last.ckpt"


def configured(arguments: ArgsType = None) -> TrainingCommand:
    """The model, the data and the trainer that arguments, or the content of a configuration,
    describe."""
    quieten()
    return TrainingCommand(
        SetFitting,
        LogData,
        save_config_callback=None,
        seed_everything_default=0,
        trainer_defaults={"max_epochs": 50, "use_distributed_sampler": False},
        parser_kwargs={
            "description": __doc__,
            "exit_on_error": not isinstance(arguments, Mapping),
        },
        args=arguments,
        run=False,
        load_from_checkpoint_support=False,
    )


def main(arguments: list[str] | None = None) -> int:
    """Trains, or continues to, and exports the best state; returns the exit code."""

    def program() -> int:
        words = with_robot(sys.argv[1:] if arguments is None else arguments)
        _train(configured(words), provenance("training.train", arguments))
        return 0

    advice = "what is not finished continues with --resume"
    return run_program("training.train", program, advice, EXPECTED)


def train(configuration: Mapping[str, Any], output: Path) -> None:
    """Trains as the command does and exports the best state to OUTPUT/model; what was begun in
    OUTPUT continues.

    Args:
        configuration: content of a file for `--config`.
        output: folder of this run's files.

    Raises:
        ValueError, OSError, CacheError, CheckpointError: where configuration, data or what stands
            in OUTPUT cannot be used, or training comes to nothing; and those of :data:`EXPECTED`.
        SystemExit: Lightning's way after Ctrl-C; the state is saved.
    """
    options = {"output": str(output), "resume": last_state(output).exists()}
    words = ["--config", str(output / CONFIGURATION), "--output", str(output)]
    try:
        command = configured({**configuration, **options})
    except ArgumentError as error:
        raise ValueError(f"the configuration cannot be used: {error}") from error
    _train(command, provenance("training.train", words))


def _train(cli: TrainingCommand, origin: Mapping[str, str]) -> None:
    if len(cli.model.configured) > MAXIMUM_MODALITIES:
        raise ValueError(
            f"{len(cli.model.configured)} modalities; a checkpoint has at most {MAXIMUM_MODALITIES}"
        )
    output, trainer, resume = cli.config.output, cli.trainer, cli.config.resume
    export = cli.config.export or output / "model"
    cache = cli.datamodule.store
    data = {**cache.describe(), "rate": cache.rate}
    if trainer.is_global_zero:
        for folder in (output, export, export.parent):
            check_output(folder, folder=True)
    if resume:
        _check_resumed(cli, data)
    elif trainer.is_global_zero:
        bind_run(output, cli.parser.dump(cli.config), data)
    advice = precision_advice(trainer.precision, trainer.strategy.root_device.type)
    if advice and trainer.is_global_zero:
        print(f"training.train: {advice}", file=sys.stderr)
    cli.model.build(cli.datamodule.open(cli.model.configured))
    trainer.fit(cli.model, cli.datamodule, ckpt_path=last_state(output) if resume else None)
    best = trainer.checkpoint_callback
    if not isinstance(best, ModelCheckpoint) or not best.best_model_path:
        raise ValueError(
            "no state is there to export, since none was validated, as is done after every epoch: "
            "raise --trainer.max_steps or --trainer.max_epochs, and leave out limits of 0 and "
            "--trainer.fast_dev_run"
        )
    state = best.best_model_path
    metrics = trainer.validate(cli.model, cli.datamodule, ckpt_path=state, verbose=False)[0]
    if trainer.is_global_zero:
        record = _record(cli, origin, metrics, data)
        save_checkpoint(export, cli.model.model, record, cli.config.half)
        print(f"Exported the best state ({MONITOR} {metrics[MONITOR]:.1f}) to {export}")
        # As it was rounded; and where it was trained, from where Lightning has taken its own away.
        model = load_checkpoint(export).model.to(trainer.strategy.root_device)
        _judge(cli, model)
        if cli.config.calibrate:
            _calibrate(cli, model, export)
        _export_graphs(export)


def _check_resumed(cli: TrainingCommand, data: Mapping[str, Any]) -> None:
    """Raises ValueError where the run in OUTPUT cannot be continued like this."""
    output = cli.config.output
    if (output / CONFIGURATION).exists():
        # Through the parser, so that options that are newer than the run have their defaults.
        began = cli.parser.parse_path(output / CONFIGURATION)
        before, now = (yaml.safe_load(cli.parser.dump(config)) for config in (began, cli.config))
        check_run(output, before, now, data)
    check_state(last_state(output), last_state(output).with_name("best.ckpt"))


def _judge(cli: TrainingCommand, model: MultimodalVAE) -> None:
    """Says how well every modality is predicted from all in the validation split, and where none
    was learned."""
    data = cli.datamodule
    errors = SubsetErrors(model, [tuple(model.names)])
    rows = data.split["validation"]
    for batch in Batches(data.store, model.names, rows, data.hparams.batch_size):
        errors.add(batch.prepared, batch.present)
    summary = errors.summary()
    skills = skills_of(summary["+".join(model.names)])
    print("Skill from all, validation: " + ", ".join(f"{n} {s:.1%}" for n, s in skills.items()))
    if advice := nothing_learned(summary):
        print(f"training.train: {advice}", file=sys.stderr)


def _calibrate(cli: TrainingCommand, model: MultimodalVAE, export: Path) -> None:
    """Adds what is normal for sensors in the validation split; training.calibrate does it later
    where this cannot."""
    data = cli.datamodule
    try:
        calibration = calibrate(model, data.store, data.split["validation"])
        save_calibration(export, calibration)
    except (CheckpointError, ValueError) as error:
        print(f"Sensor health is not calibrated: {error}", file=sys.stderr)
        return
    print(f"Calibrated its sensor health with {calibration.source['steps']} validation steps")


def _export_graphs(export: Path) -> None:
    """Adds the model as ONNX; the node does not need it."""
    try:
        print(export_graphs(export))
    except CheckpointError as error:
        print(f"training.train: it is not there as ONNX: {error}", file=sys.stderr)


def _record(
    cli: TrainingCommand,
    origin: Mapping[str, str],
    metrics: Mapping[str, float],
    data: Mapping[str, Any],
) -> dict[str, Any]:
    """The checkpoint's record of its making."""
    split = {part: len(rows) for part, rows in cli.datamodule.split.items()}
    frame_ids = cli.datamodule.store.frame_ids
    frames = {m.name: frame_ids[m.name] for m in cli.model.configured if m.name in frame_ids}
    return {
        **origin,
        "model": dict(cli.model.hparams),
        "data": {
            **cli.datamodule.hparams,
            "samples": split,
            "rate": data["rate"],
            "digest": data["digest"],
            **({"frame_ids": frames} if frames else {}),
        },
        "epochs": cli.trainer.current_epoch,
        "steps": cli.trainer.global_step,
        "metrics": {name: float(value) for name, value in metrics.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
