# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The lifecycle node: topics → sensor set → inference → topics.

configure loads the model that the parameter ``checkpoint`` names, warms every network up and makes
the :class:`Pipeline`, which subscribes; activate only starts publishing. Callbacks only store; a
worker owns the model.
Nothing depends on ROS time: being live is a matter of monotonic time, and outputs carry the stamps
of the inputs.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import LoggingSeverity
from rclpy.parameter import Parameter
from rclpy.utilities import get_rmw_implementation_identifier

from smvae_core.inference.inference import Inference
from smvae_core.precision import precision_advice
from smvae_core.stored_model import CheckpointError
from smvae_ros.node.diagnostics import HealthReport, NodeHealth, PipelineHealth
from smvae_ros.node.guarded_node import GuardedCallbacks
from smvae_ros.node.interrupts import Interrupts
from smvae_ros.node.key_values import status_prefix
from smvae_ros.node.model_folder import ModelFolder
from smvae_ros.node.pipeline import Pipeline
from smvae_ros.node.slow_service import SlowService
from smvae_ros.node.tare import measure_zeros
from smvae_ros.node.throttle import Throttle
from smvae_ros.node.transport import transport_problem
from smvae_ros.parameters.configuration import describe_unused
from smvae_ros.parameters.names import NODE_NAME, with_absolute_topics
from smvae_ros.parameters.node_parameters import NodeParameters
from smvae_ros.sensors.still_second import Stillness

DIAGNOSTICS_PERIOD = 1.0  # seconds
EVENTS_PERIOD = 0.2  # seconds


class PerceptionNode(GuardedCallbacks, LifecycleNode):
    """See the module's description; parameters are in :mod:`smvae_ros.parameters.node_parameters`.

    Args:
        interrupted: tells whether the process shall end; it then need not become active any more.
    """

    def __init__(self, interrupted: Interrupts) -> None:
        super().__init__(NODE_NAME)
        self._interrupted = interrupted
        self._pipeline: Pipeline | None = None
        self._failure = ""
        self._transport_problem = transport_problem(os.environ, get_rmw_implementation_identifier())
        self._warn = Throttle(self.get_logger().warning)
        self._settings = NodeParameters(self, lambda: self._pipeline is not None, self._apply)
        self._model_folder = ModelFolder(
            self._settings["model_folder"], self._settings["checkpoint"]
        )
        self._report = HealthReport(status_prefix(self))
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(DIAGNOSTICS_PERIOD, self._publish_diagnostics, clock=steady)
        self.create_timer(EVENTS_PERIOD, self._attend, clock=steady)
        self._taring = False
        self._slow_services = (
            SlowService(self, "reload_model", self._reload, "the model was not replaced"),
            SlowService(self, "tare", self._tare, "nothing was tared"),
        )

    def autostart(self) -> None:
        """Configures and activates, where the parameter of that name says so."""
        if not self._settings["autostart"] or self._interrupted():
            return
        configured = self.trigger_configure() == TransitionCallbackReturn.SUCCESS
        if configured and not self._interrupted():
            self.trigger_activate()

    @property
    def is_finalised(self) -> bool:
        """Whether it was shut down: it will never do anything again."""
        return self._state_machine.current_state[0] == State.PRIMARY_STATE_FINALIZED

    @property
    def rests(self) -> bool:
        """Whether there are fewer snapshots than messages arrive, since nobody listens."""
        return self._pipeline is not None and self._pipeline.rests

    # -- life cycle --------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._failure = ""
        try:
            self._configure()
        except KeyboardInterrupt:
            self.get_logger().info("interrupted while it was being configured")
            self._release()
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # whatever it is, the node stays alive and says it
            expected = isinstance(error, (ValueError, CheckpointError))
            self._failure = str(error) if expected else f"{type(error).__name__}: {error}"
            self.get_logger().error(f"cannot configure: {self._failure}")
            self._release()
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        result = super().on_activate(state)
        assert self._pipeline is not None  # it is configured
        self._pipeline.worker.start()
        self.get_logger().info("active")
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        assert self._pipeline is not None
        self._pipeline.worker.stop()
        self.get_logger().info("inactive")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._release()
        return TransitionCallbackReturn.SUCCESS

    on_shutdown = on_cleanup

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.get_logger().error("a transition failed, everything is released")
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        for service in self._slow_services:
            service.destroy()
        self._release()
        super().destroy_node()

    def _configure(self) -> None:
        parameters = self._settings
        if parameters.problem:
            raise ValueError(parameters.problem)
        start = time.monotonic()
        with self._interrupted.cause(_interrupt):
            inference = self._load()
        modalities = inference.modalities
        parameters.declare_modalities(modalities.values())
        if parameters.problem:
            raise ValueError(parameters.problem)
        robot = parameters.robot
        unused = describe_unused(robot, modalities) if robot else ""
        for warning in filter(None, (parameters.describe_unknown(modalities), unused)):
            self.get_logger().warning(warning)
        values = with_absolute_topics(parameters.values, self.get_fully_qualified_name())
        self._pipeline = Pipeline(self, inference, values, self._warn, self._debug)
        self.get_logger().info(
            f"model {inference.model_hash} of {', '.join(modalities)} on {inference.device} is "
            f"ready after {time.monotonic() - start:.1f} s; subscribed to "
            + ", ".join(self._pipeline.subscriptions.topics.values())
        )
        if self._transport_problem:
            self.get_logger().warning(self._transport_problem)
        if inference.calibration is None:
            self.get_logger().info(
                "the model does not say what is normal for its sensors, so their health is not "
                "watched: `python -m training.calibrate`"
            )

    def _load(self) -> Inference:
        """The model that the parameters name, warmed up.

        Raises:
            CheckpointError: where the checkpoint cannot be used.
            DeviceError: where device, precision or runtime is not available.
            ValueError: where the checkpoint does not lie in the model folder.
            RobotError: where it was trained on other readings than those of the robot file.
        """
        parameters = self._settings
        path = self._model_folder.resolve(parameters["checkpoint"])
        inference = Inference.load(
            path,
            parameters["device"],
            parameters["precision"],
            parameters["runtime"],
            parameters["cpu_threads"],
        )
        if parameters.robot is not None:
            parameters.robot.check(inference.modalities)
        if advice := precision_advice(parameters["precision"], inference.device):
            self.get_logger().warning(advice)
        inference.warm_up()
        return inference

    def _debug(self, line: Callable[[], str]) -> None:
        """Logs what ``line`` returns, which is asked only where somebody wants to read it."""
        logger = self.get_logger()
        if logger.is_enabled_for(LoggingSeverity.DEBUG):
            logger.debug(line())

    def _release(self) -> None:
        if self._pipeline is not None:
            self._pipeline.destroy()
        self._pipeline = None

    # -- while configured --------------------------------------------------------------------------

    def _apply(self, values: dict[str, Any]) -> None:
        """New values of parameters; ValueError refuses them."""
        self._debug(lambda: f"parameters: {_changes(self._settings.values, values)}")
        if values["checkpoint"] != self._settings["checkpoint"]:
            self._model_folder.resolve(values["checkpoint"])
        if self._pipeline is not None:
            self._pipeline.configure(with_absolute_topics(values, self.get_fully_qualified_name()))

    def _reload(self) -> str:
        """Loads ``checkpoint`` beside the running model, and swaps them between two snapshots.

        Raises:
            ValueError, CheckpointError: where the old model has to stay.
        """
        pipeline = self._pipeline
        if pipeline is None:
            raise ValueError("there is none yet; configure the node first")
        inference = self._load()
        if differences := _differences(pipeline.worker.inference.modalities, inference.modalities):
            raise ValueError(
                f"the new one has {differences}; to change that, deactivate, clean up, configure "
                "and activate"
            )
        if pipeline is not self._pipeline:
            raise ValueError("the node was cleaned up while the new one was being loaded")
        pipeline.exchange(inference)
        return f"model {inference.model_hash} is in use"

    def _tare(self) -> str:
        """Sets the zero of every wrench to the mean of the second that follows.

        Raises:
            ValueError: with the reason where nothing was set.
        """
        pipeline = self._require_active()
        self._taring = True  # subscribes, where nobody listens
        try:
            limits = Stillness(
                self._settings["tare_force_spread"], self._settings["tare_torque_spread"]
            )
            zeros, text = measure_zeros(pipeline.subscriptions, limits)
        finally:
            self._taring = False
        if self._require_active() is not pipeline:
            raise ValueError("the node was configured anew meanwhile")
        result = self.set_parameters_atomically(
            [Parameter(f"{name}.zero", value=zero.mean.tolist()) for name, zero in zeros.items()]
        )
        if not result.successful:
            raise ValueError(result.reason)
        return f"zero is {text}"

    def _require_active(self) -> Pipeline:
        """The pipeline; raises ValueError where it does not work."""
        state = self._state_machine.current_state[1]
        if self._pipeline is None or state != "active":
            raise ValueError(f"the node is {state}: activate it first")
        return self._pipeline

    def _attend(self) -> None:
        if self._pipeline is not None:
            diagnosed = self._diagnostics.get_subscription_count() > 0
            heard = diagnosed or self._taring or not self._settings["lazy"]
            self._pipeline.attend(heard)

    def _publish_diagnostics(self) -> None:
        now, pipeline = time.monotonic_ns(), self._pipeline
        since = 0.0 if pipeline is None else pipeline.subscriptions.since
        if since == math.inf:
            return  # nobody listens
        statuses = self._report(
            NodeHealth(
                self._state_machine.current_state[1],
                self._failure,
                self._transport_problem,
                (self._settings["late_warn"], self._settings["late_error"]),
                self._settings["deadline_ms"] / 1000,
                self._settings["max_acceptable_consecutive_delay_ms"] / 1000,
                self._settings.robot.name if self._settings.robot else "",
            ),
            PipelineHealth() if pipeline is None else pipeline.report(now),
            now,
        )
        if now < (since + DIAGNOSTICS_PERIOD) * 1e9:
            return  # sensors had less than the time that rates are of
        message = DiagnosticArray(status=statuses)
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _changes(old: dict[str, Any], new: dict[str, Any]) -> str:
    changes = [f"{name} is to be {value!r}" for name, value in new.items() if value != old[name]]
    return ", ".join(changes) or "all as they were"


def _interrupt() -> None:
    raise KeyboardInterrupt


def _differences(old: dict[str, Any], new: dict[str, Any]) -> str:
    """In words, what keeps a model from taking the place of another; empty if nothing does."""
    if list(old) != list(new):
        return f"the modalities {', '.join(new)} instead of {', '.join(old)}"
    return ", ".join(
        f"{name}.{field} {after} instead of {before}"
        for name, modality in old.items()
        for field, (before, after) in modality.differences(new[name]).items()
    )
