"""Trains a model on converted logs and exports it as a checkpoint directory.

    python -m training.train --config config/training/insertion.yaml --data.cache CACHE

Every field of the configuration can be given on the command line, too (`--model.latent_size 32`,
`--model.modalities.rgb.weight 2`, `--trainer.devices 2 --trainer.strategy ddp`). Ctrl-C leaves a
run that `--resume` continues as if it had not been interrupted.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from smvae_core.checkpoint import load_checkpoint, save_calibration, save_checkpoint
from smvae_core.data.log_dataset import CacheError
from smvae_core.data.vision_touch import CONTROL_RATE
from smvae_core.fitting import SetFitting, StopAtBatchEnd, WholeFiles
from smvae_core.fitting_data import LogData
from smvae_core.health.calibrate import calibrate
from smvae_core.precision import precision_advice

MONITOR = "validation/elbo"


class TrainingCommand(LightningCLI):
    """Configuration in YAML or arguments → model, data and trainer."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--output", type=Path, default=Path("out/training"), help="folder of this run's files"
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
        output, patience = self.config.output, self.config.patience
        last = last_state(output)
        if last.exists() and not self.config.resume:
            self.parser.error(
                f"{output} holds a run already; continue it with --resume, or give another --output"
            )
        if self.config.resume and not last.exists():
            self.parser.error(f"nothing to resume: there is no {last}")
        trainer = super().instantiate_trainer(
            default_root_dir=output,
            logger=[
                CSVLogger(output, name="log"),
                TensorBoardLogger(output, name="tensorboard", version=""),
            ],
            callbacks=[
                *(self.config_init.trainer.callbacks or []),
                TQDMProgressBar(),
                EarlyStopping(MONITOR, mode="max", patience=patience),
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
        return trainer


def last_state(output: Path) -> Path:
    """The file from which a run continues."""
    return output / "checkpoints" / "last.ckpt"


def command_line(arguments: list[str] | None = None) -> TrainingCommand:
    """The model, the data and the trainer that the arguments describe."""
    return TrainingCommand(
        SetFitting,
        LogData,
        save_config_callback=None,
        seed_everything_default=0,
        trainer_defaults={"max_epochs": 50, "use_distributed_sampler": False},
        parser_kwargs={"description": __doc__},
        args=arguments,
        run=False,
        load_from_checkpoint_support=False,
    )


def main(arguments: list[str] | None = None) -> int:
    """Trains, or continues to, and exports the best state; returns the exit code."""
    command = shlex.join(["python", "-m", "training.train", *(arguments or sys.argv[1:])])
    try:
        cli = command_line(arguments)
        output, trainer = cli.config.output, cli.trainer
        if trainer.is_global_zero:
            output.mkdir(parents=True, exist_ok=True)
            cli.parser.save(cli.config, output / "config.yaml", overwrite=True)
            if advice := precision_advice(trainer.precision, trainer.strategy.root_device):
                print(f"training.train: {advice}", file=sys.stderr)
        trainer.fit(
            cli.model, cli.datamodule, ckpt_path=last_state(output) if cli.config.resume else None
        )
        metrics = trainer.validate(cli.model, cli.datamodule, ckpt_path="best", verbose=False)[0]
    except (CacheError, ValueError) as error:
        print(f"training.train: error: {error}", file=sys.stderr)
        return 2
    if trainer.is_global_zero:
        export, half = cli.config.export or output / "model", cli.config.half
        save_checkpoint(export, cli.model.model, _record(cli, command, metrics), half)
        print(f"Exported the best state ({MONITOR} {metrics[MONITOR]:.1f}) to {export}")
        if cli.config.calibrate:
            _calibrate(cli, export)
    return 0


def _calibrate(cli: TrainingCommand, export: Path) -> None:
    """Adds what is normal for sensors in the validation split; training.calibrate does it later
    where this cannot."""
    data = cli.datamodule
    try:
        model = load_checkpoint(export).model.to(cli.model.device)  # as it was rounded
        calibration = calibrate(model, data.cache, data.split["validation"], CONTROL_RATE)
    except ValueError as error:
        print(f"Sensor health is not calibrated: {error}", file=sys.stderr)
        return
    save_calibration(export, calibration)
    print(f"Calibrated its sensor health with {calibration.source['steps']} validation steps")


def _record(cli: TrainingCommand, command: str, metrics: dict[str, float]) -> dict[str, Any]:
    """What the checkpoint says of its making."""
    split = {part: len(rows) for part, rows in cli.datamodule.split.items()}
    return {
        "command": command,
        "model": dict(cli.model.hparams),
        "data": {**cli.datamodule.hparams, "samples": split},
        "epochs": cli.trainer.current_epoch,
        "steps": cli.trainer.global_step,
        "metrics": {name: float(value) for name, value in metrics.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
