"""``~/reload_model``, answered from a thread of its own.

Loading takes a while, and rclpy runs one callback at a time: in the node's own executor, no message
would be received meanwhile. A coroutine is no way out, since the EventsExecutor crashes on one that
raises (ros2/rclpy issue 1641). So a hidden node offers the service under the name of the first.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from std_srvs.srv import Trigger


class ReloadService:
    """Offers the service until it is destroyed.

    Args:
        node: in whose name.
        reload: does it and returns what to tell; raises ValueError or RuntimeError with the reason
            where it cannot be done.
    """

    def __init__(self, node: Node, reload: Callable[[], str]) -> None:
        self._logger = node.get_logger()
        self._reload = reload
        self._node = Node(
            f"_{node.get_name()}_loader",
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,  # a new name for the first is not meant for this one
            start_parameter_services=False,
            enable_rosout=False,
        )
        name = f"{node.get_fully_qualified_name()}/reload_model"
        self._node.create_service(Trigger, name, self._answer)
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="model loading", daemon=True)
        self._thread.start()

    def destroy(self) -> None:
        """Ends the service; waits for a model that is being loaded."""
        self._executor.shutdown()
        self._thread.join()
        self._node.destroy_node()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def _answer(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = self._reload(), True
            self._logger.info(f"reloaded: {response.message}")
        except (ValueError, RuntimeError) as error:
            response.message = f"the model was not replaced: {error}"
            self._logger.error(response.message)
        return response
