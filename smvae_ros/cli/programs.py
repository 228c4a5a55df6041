# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Parts of all commands: ROS arguments, clean exits, one-line errors."""

from __future__ import annotations

import argparse
import faulthandler
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

from smvae_ros.node.interrupts import Interrupts

EXPECTED = (ValueError, OSError)  # of any command: their messages are for people
Number = TypeVar("Number", int, float)


@contextmanager
def ros_program(
    node_name: str,
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    *,
    parameter_services: bool = False,
) -> Iterator[tuple[Any, argparse.Namespace]]:
    """Parses the command line, and gives a node for the time of the context.

    SIGINT and SIGTERM raise KeyboardInterrupt in the main thread, once; it ends the context
    silently, and further signals are ignored while everything is being closed.

    Args:
        node_name: unless ``--ros-args -r __node:=`` says otherwise.
        parser: for everything that is not for ROS.
        argv: arguments without the program's name; those of the process by default.
        parameter_services: whether `ros2 param` reaches the node, which then has to be spun.

    Yields:
        (rclpy node, parsed arguments)
    """
    try:
        with interruptible():
            ours, for_ros = split_arguments(sys.argv[1:] if argv is None else argv)
            arguments = parser.parse_args(ours)
            logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")

            import rclpy  # only now, so that --help and mistakes are answered at once
            from rclpy.signals import SignalHandlerOptions

            from smvae_ros.node.guarded_node import GuardedNode

            rclpy.init(args=for_ros, signal_handler_options=SignalHandlerOptions.NO)
            try:
                node = GuardedNode(node_name, start_parameter_services=parameter_services)
                try:
                    yield node, arguments
                finally:
                    ignore_interrupts()
                    node.destroy_node()
            finally:
                ignore_interrupts()
                rclpy.try_shutdown()
    except KeyboardInterrupt:
        pass


def split_arguments(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The program's own arguments, and those between ``--ros-args`` and ``--`` or the end.

    rclpy's remove_ros_args would also take every ``a:=b`` away, as a remapping of ROS 1 days.
    """
    ours: list[str] = []
    for_ros: list[str] = []
    inside = False
    for argument in argv:
        if argument == "--ros-args" or (inside and argument == "--"):
            inside = argument == "--ros-args"
            for_ros.append(argument)
        else:
            (for_ros if inside else ours).append(argument)
    return ours, for_ros


@contextmanager
def interruptible() -> Iterator[None]:
    """Lets SIGINT and SIGTERM raise KeyboardInterrupt, but only the first of them.

    After it they stay ignored, so that further ones cannot break the end of the program. Where
    Python drops the exception, as in callbacks of weak references, of which h5py has many, it is
    raised once more a moment later. What it tears apart while it is being made, such as a progress
    bar, may complain when it is deleted; nobody hears of that.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    unraisable_hook = sys.unraisablehook
    main = threading.main_thread().ident
    repetitions: list[threading.Thread] = []
    interrupted = in_hook = dropped_one = False

    def interrupt(*_: object) -> None:
        nonlocal interrupted, dropped_one
        if in_hook:  # where Python would drop the exception again
            return
        ignore_interrupts()
        interrupted, dropped_one = True, False
        raise KeyboardInterrupt

    def listen() -> None:
        for number in before:
            signal.signal(number, interrupt)

    def complain(dropped: Any) -> None:
        if not (interrupted and getattr(dropped.object, "__name__", "") == "__del__"):
            unraisable_hook(dropped)

    def send_again() -> None:
        while dropped_one:
            time.sleep(0.01)
            if dropped_one and main is not None:
                signal.pthread_kill(main, signal.SIGINT)

    def repeat(dropped: Any) -> None:
        nonlocal in_hook, dropped_one
        if dropped.exc_type is not KeyboardInterrupt:
            complain(dropped)
            return
        in_hook = dropped_one = True
        listen()
        repetitions.append(threading.Thread(target=send_again, daemon=True))
        repetitions[-1].start()
        in_hook = False

    listen()
    sys.unraisablehook = repeat
    try:
        yield
    finally:
        # What was torn apart is deleted with the exception, later.
        sys.unraisablehook = complain if interrupted else unraisable_hook
        dropped_one = False
        for repetition in repetitions:
            repetition.join()
        for number, handler in before.items():
            if signal.getsignal(number) is interrupt:
                signal.signal(number, handler)


@contextmanager
def deferred_interrupts() -> Iterator[Interrupts]:
    """SIGINT and SIGTERM raise nothing; what is yielded tells whether one has come.

    For work that an exception must not tear apart, such as callbacks called from C++.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    interrupts = Interrupts()
    for number in before:
        signal.signal(number, interrupts.come)
    try:
        yield interrupts
    finally:
        if interrupts():
            ignore_interrupts()
        else:
            for number, handler in before.items():
                signal.signal(number, handler)


def isolate() -> None:
    """Lets this process and its children talk only to each other, whatever runs on the network.

    To be called before rclpy is initialised.
    """
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)


def ignore_interrupts() -> None:
    """From here on SIGINT and SIGTERM are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def end_within(seconds: int) -> None:
    """Gives this process so long to end; then SIGALRM ends it, and while Python is still there, it
    says where its threads stand.

    For the end of a program, where a middleware that waits for others must not keep it alive. The
    kernel counts the time: neither Python nor the destructors after it have to take part.
    """
    faulthandler.register(signal.SIGALRM, chain=True)
    signal.alarm(seconds)


def leave(code: int) -> NoReturn:
    """Ends the process at once, after everything has been closed.

    To unload themselves, Python and torch would take seconds, in which whoever waits for the end,
    such as `ros2 launch`, loses patience.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


def run_command(
    program: str, work: Callable[[], int], *expected: type[Exception], interrupted: str = ""
) -> int:
    """Runs a command that needs no ROS; returns its exit code: 1 after an error that it names in a
    line, 130 after Ctrl-C.

    Args:
        program: as it is typed.
        work: returns the exit code.
        expected: exceptions whose message is for people, besides ValueError and OSError.
        interrupted: what to know after Ctrl-C.
    """
    from tqdm.contrib.logging import logging_redirect_tqdm

    def listening() -> int:
        with interruptible(), logging_redirect_tqdm():
            return work()

    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    return exit_code(program, listening, (*EXPECTED, *expected), interrupted)


def exit_code(
    program: str,
    work: Callable[[], int],
    expected: tuple[type[Exception], ...],
    interrupted: str = "",
    failed: int = 1,
) -> int:
    """The exit code of what a program does; arguments as :func:`run_command`, but ``expected`` is
    all, and ``failed`` the code after one of them."""
    try:
        code = work()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f"\n{program}: interrupted{interrupted and '; '}{interrupted}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # `| head` has seen enough. Nothing is lost; what is still buffered must go somewhere.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return 1
    except expected as error:
        print_error(program, error)
        return failed


@contextmanager
def from_extra(extra: str, need: str) -> Iterator[None]:
    """What is imported inside needs one of setup.py's extras.

    Args:
        extra: its name; several with commas.
        need: who needs what, in words.

    Raises:
        ValueError: where a package is missing; names the extra that brings it.
    """
    try:
        yield
    except ImportError as error:
        raise ValueError(f"{need} ({error}): pip install 'smvae_ros[{extra}]'") from error


def parser_of(program: str, description: str | None, **more: Any) -> argparse.ArgumentParser:
    """The parser of a program as it is typed; its description and epilog keep their lines."""
    form = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(program, description=description, formatter_class=form, **more)


def number(
    kind: type[Number],
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
) -> Callable[[str], Number]:
    """The type of an option: a finite number in a range.

    Args:
        kind: int or float.
        least: it is this at least,
        most: and this at most,
        above: and more than this.
    """
    bounds = {f"from {least:g}": least, f"above {above:g}": above, f"up to {most:g}": most}
    named = " ".join(name for name, bound in bounds.items() if math.isfinite(bound))

    def parse(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not (math.isfinite(value) and least <= value <= most and value > above):
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text} is not {what} {named}".rstrip())
        return value

    return parse


def print_error(program: str, error: Exception) -> int:
    """One line for the person at the terminal; returns the exit code."""
    print(f"{program}: {error}", file=sys.stderr, flush=True)
    return 1
