# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""Replay and record over real DDS, each in a process of its own."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from patience import PATIENCE
from ros_processes import ros_environment, start, unique_domain_id
from smvae_core.modalities import Modality
from smvae_ros.bags import BagError, BagReader, BagWriter
from smvae_ros.bags.replayer import move_stamp
from smvae_ros.cli.record import Recorder
from smvae_ros.cli.replay import Cut, Replayer
from smvae_ros.messages import adapter, bag_types, make_message, make_stamp, stamp_ns

pytestmark = pytest.mark.dds

RGB = Modality("rgb", "image", (3, 64, 64))
FORCE = Modality("force", "series", (6, 32), rate=1000.0)
ACTION = Modality("action", "vector", (4,))
START = 1_700_000_000_000_000_000
SECONDS = 2.0


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """Images at 20 Hz, wrenches at 500 Hz, a gap of half a second, and a latched topic."""
    path = tmp_path_factory.mktemp("bags") / "run"
    wrenches = adapter("geometry_msgs/msg/WrenchStamped")
    pixels = np.zeros((128, 128, 3), np.uint8)
    with BagWriter(path) as writer:
        writer.declare("/fixed", "geometry_msgs/msg/Twist", latched=True)
        twist = adapter("geometry_msgs/msg/Twist").to_message(np.ones(4), ACTION, bag_types)
        writer.write("/fixed", twist, START)
        for number in range(int(SECONDS * 500) + 1):
            stamp = START + number * 2_000_000
            if 1.0 < number / 500 < 1.5:
                continue
            message = wrenches.to_message(np.full(6, number), FORCE, bag_types, stamp_ns=stamp)
            writer.write("/wrench", message, stamp)
            if number % 25 == 0:
                pixels[:] = number // 25
                image = adapter("sensor_msgs/msg/Image").to_message(
                    pixels, RGB, bag_types, stamp_ns=stamp, frame_id="camera"
                )
                writer.write("/camera/image", image, stamp)
    return path


@pytest.fixture
def environment():
    return ros_environment(unique_domain_id())


@pytest.fixture
def node(monkeypatch):
    """A node in this process, alone in its domain."""
    import rclpy

    for name, value in ros_environment(unique_domain_id()).items():
        monkeypatch.setenv(name, value)
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("test", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def record_replay(bag, output, environment, *arguments, topics=("--all",), interrupts=1):
    """Replays a bag into a recorder, and interrupts the recorder afterwards."""
    with (
        start("smvae_ros.cli.record", str(output), *topics, env=environment) as record,
        start("smvae_ros.cli.replay", str(bag), *arguments, env=environment) as replay,
    ):
        assert replay.finish() == 0, replay.text
        record.interrupt(interrupts)
        assert record.finish() == 0, record.text
    assert "Traceback" not in replay.text + record.text
    return replay, record


def stamps(reader, topic):
    """Bag times and, where there are any, header stamps, in seconds since the first."""
    times = np.array([(t, stamp_ns(message) or t) for _, t, message in reader.read([topic])])
    return (times - times[0]) / 1e9


def test_everything_comes_through_in_time(bag, tmp_path, environment):
    topics = ("/wrench", "/camera/image", "/fixed", "/clock", "/nobody/publishes/this")
    replay, record = record_replay(
        bag, tmp_path / "copy", environment, "--wait-for-subscribers", "--clock", topics=topics
    )
    assert "nobody published /nobody/publishes/this" in record.text
    with BagReader(bag) as original, BagReader(tmp_path / "copy") as copy:
        total = sum(topic.count for topic in original.topics.values())
        assert f"published {total} messages" in replay.text
        for name, topic in original.topics.items():
            assert copy.topics[name].type_name == topic.type_name
            assert copy.topics[name].latched == topic.latched
            sent = [data for *_, data in original.messages([name])]
            assert [data for *_, data in copy.messages([name])] == sent
        # How punctual it is, test_replaying_in_a_thread sees where it happens; here each of two
        # processes may have to wait for its turn.
        received, _ = stamps(copy, "/wrench").T
        assert received[-1] > SECONDS / 2

        clock = [m.clock.sec + m.clock.nanosec / 1e9 for _, _, m in copy.read(["/clock"])]
        assert len(clock) > 20
        assert np.all(np.diff(clock) > 0)
        assert START / 1e9 <= clock[0] < START / 1e9 + 0.25 * SECONDS
        assert clock[-1] > START / 1e9 + 0.75 * SECONDS


def test_cut_rate_remap_restamp_and_selection(bag, tmp_path, environment):
    record_replay(
        bag,
        tmp_path / "copy",
        environment,
        "--wait-for-subscribers",
        "--restamp",
        *("--rate", "2"),
        *("--topics", "/camera/*", "/wren??"),
        *("--cut", "/camera/image:0.5:1.75", "/wrench:1.9:"),
        *("--remap", "/camera/image:=/other/image"),
        topics=("/other/image", "/wrench", "/fixed"),
    )
    with BagReader(tmp_path / "copy") as copy:
        assert set(copy.topics) == {"/other/image", "/wrench"}
        numbers = [m.data[0] for _, _, m in copy.read(["/other/image"])]
        assert numbers == [*range(10), *range(35, 41)]
        numbers = [m.wrench.force.x for _, _, m in copy.read(["/wrench"])]
        assert numbers == [*range(501), *range(750, 950)]
        _, stamped = stamps(copy, "/wrench").T
        assert stamped[-1] == pytest.approx(949 / 500 / 2, abs=1e-6), "stamps follow the rate"
        _, received_ns, message = next(copy.read(["/wrench"]))
        assert stamp_ns(message) == pytest.approx(received_ns, abs=60e9), "stamped now"


def test_part_of_a_bag(bag, tmp_path, environment):
    record_replay(
        bag,
        tmp_path / "copy",
        environment,
        "--wait-for-subscribers",
        *("--start", "0.5"),
        *("--duration", "0.25"),
        *("--topics", "/camera/image"),
    )
    with BagReader(tmp_path / "copy") as copy:
        messages = list(copy.read(["/camera/image"]))
        assert [m.data[0] for _, _, m in messages] == [10, 11, 12, 13, 14, 15]
        assert stamp_ns(messages[0][2]) == START + 500_000_000, "stamps are kept by default"


@pytest.mark.parametrize("times", [1, 2])
def test_interrupting_a_loop(bag, environment, times):
    with start(
        "smvae_ros.cli.replay", str(bag), "--loop", "--rate", "4", env=environment
    ) as replay:
        replay.wait_for_line("replaying 2.0 s of 3 topics")
        replay.interrupt(times)
        assert replay.finish() == 0, replay.text
        assert "Traceback" not in replay.text


def test_interrupting_while_waiting_for_subscribers(bag, environment):
    with start(
        "smvae_ros.cli.replay", str(bag), "--wait-for-subscribers", env=environment
    ) as replay:
        replay.wait_for_line("waiting for subscribers")
        replay.interrupt()
        assert replay.finish() == 0, replay.text
        assert "Traceback" not in replay.text


def test_interrupting_a_recording_twice(bag, tmp_path, environment):
    arguments = ("--wait-for-subscribers", "--topics", "/wrench")
    record_replay(bag, tmp_path / "copy", environment, *arguments, interrupts=2)
    with BagReader(bag) as original, BagReader(tmp_path / "copy") as copy:
        assert copy.topics["/wrench"] == original.topics["/wrench"]


def test_recording_the_topics_of_a_robot(bag, tmp_path, environment):
    robot = tmp_path / "robot.yaml"
    robot.write_text("modalities: {force: {kind: vector, shape: [6], ros: {topic: wrench}}}\n")
    record_replay(
        bag,
        tmp_path / "copy",
        environment,
        "--wait-for-subscribers",
        topics=("--robot", str(robot)),
    )
    with BagReader(tmp_path / "copy") as copy:
        assert list(copy.topics) == ["/wrench"]


def test_recording_for_a_time_without_anything_to_record(tmp_path, environment):
    arguments = (str(tmp_path / "copy"), "/nothing", "--duration", "0.5")
    with start("smvae_ros.cli.record", *arguments, env=environment) as record:
        assert record.finish() == 1
        assert "nobody published /nothing" in record.text
        assert "nothing was written" in record.text
    assert not list(tmp_path.iterdir())


def test_what_is_refused(bag, tmp_path, environment):
    for module, arguments, complaint in (
        ("record", (str(bag), "--all"), "exists already; choose another name"),
        ("record", (str(tmp_path / "new"),), "name the topics to record, or give --robot or --all"),
        ("record", (str(tmp_path / "new"), "--robot", "g2"), "no robot 'g2'"),
        ("record", (str(tmp_path / "new"), "/a", "--outputs"), "--outputs goes with --all"),
        ("replay", (str(tmp_path / "none"),), "there is no bag"),
        ("replay", (str(bag), "--topics", "/no*"), r"has no topic /no\*; it has /camera/image"),
        ("replay", (str(bag), "--rate", "0"), "rate must be positive"),
        ("replay", (str(bag), "--start", "100"), "start is 100.0 s, but the bag has only 2.000 s"),
        ("replay", (str(bag), "--cut", "/wrench:2:1"), "no cut; write TOPIC:FROM:TO"),
        ("replay", (str(bag), "--remap", "/wrench"), "write FROM:=TO"),
    ):
        with start(f"smvae_ros.cli.{module}", *arguments, env=environment) as process:
            process.wait_for_line(complaint)
            assert process.finish() in (1, 2)
            assert "Traceback" not in process.text


def test_arguments_for_ros(bag, environment):
    """They may stand anywhere, and those of the program may look like remappings."""
    arguments = ("--topics", "/wrench", "--duration", "0.01", "--remap", "/wrench:=/w")
    ros_arguments = ("--ros-args", "-r", "__node:=other", "--log-level", "warn")
    with start(
        "smvae_ros.cli.replay", *ros_arguments, "--", str(bag), *arguments, env=environment
    ) as replay:
        assert replay.finish() == 0, replay.text
        assert "published 6 messages" in replay.text


def test_replaying_in_a_thread(bag, node):
    """As the demo does it: told when each message goes out, and stopped from outside."""
    published = []
    stop = threading.Event()

    def on_publish(topic, stamp, moment):
        published.append((topic, stamp, moment))
        if len(published) == 1500:
            stop.set()

    with BagReader(bag) as reader:
        replayer = Replayer(node, reader, rate=2.0, loop=True, cuts=[Cut("/fixed")])
        begin = time.monotonic()
        count = replayer.run(stop, on_publish)
        in_one_loop = sum(t.count for name, t in reader.topics.items() if name != "/fixed")
    assert count == len(published) == 1500
    assert {topic for topic, _, _ in published} == {"/wrench", "/camera/image"}
    moments = np.array([moment for *_, moment in published]) / 1e9
    seconds = (np.array([stamp for _, stamp, _ in published]) - START) / 1e9
    assert np.all(np.diff(moments) >= 0)
    (restart,) = np.flatnonzero(np.diff(seconds) < 0)
    assert restart == in_one_loop - 1, "the loop began again after the whole bag"
    late = moments - begin - seconds / 2.0
    late[restart + 1 :] -= SECONDS / 2.0
    assert late.min() >= 0, "nothing comes early"
    after_the_gap = np.flatnonzero(seconds >= 1.5)[0]
    for first in (after_the_gap, restart + 1, 1300):
        assert late[first : first + 200].min() < late[:200].min() + 0.25, "delays do not add up"


def test_latecomers_get_latched_messages(bag, node):
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import DurabilityPolicy, QoSProfile

    from smvae_ros.messages import installed_types

    with BagReader(bag) as reader:
        Replayer(node, reader, topics=["/fixed"]).run(threading.Event())
    received = []
    node.create_subscription(
        installed_types("geometry_msgs/msg/Twist"),
        "/fixed",
        received.append,
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    )
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    deadline = time.monotonic() + PATIENCE
    while not received and time.monotonic() < deadline:
        executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    assert received[0].linear.x == 1.0


def test_recording_when_a_best_effort_publisher_joins(node, tmp_path):
    """A reliable subscription would receive nothing from it."""
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import QoSProfile, ReliabilityPolicy

    from smvae_ros.messages import installed_types

    string = installed_types("std_msgs/msg/String")
    best_effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)

    def spin_until(condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            executor.spin_once(timeout_sec=0.1)

    with BagWriter(tmp_path / "bag") as writer:
        recorder = Recorder(node, writer, ["/text"])
        assert recorder.missing == ["/text"]
        first = node.create_publisher(string, "/text", 10)
        spin_until(lambda: not recorder.missing and first.get_subscription_count())
        first.publish(string(data="reliable"))
        spin_until(lambda: recorder.count == 1)
        second = node.create_publisher(string, "/text", best_effort)
        spin_until(second.get_subscription_count)
        second.publish(string(data="best effort"))
        spin_until(lambda: recorder.count == 2)
        first.publish(string(data="reliable again"))
        spin_until(lambda: recorder.count == 3)
    executor.shutdown()
    with BagReader(tmp_path / "bag") as reader:
        texts = [message.data for _, _, message in reader.read(["/text"])]
    assert texts == ["reliable", "best effort", "reliable again"]


def publisher_of(node, name, topics):
    """Another node of the same process that publishes texts."""
    import rclpy

    from smvae_ros.messages import installed_types

    other = rclpy.create_node(name, context=node.context)
    for topic in topics:
        other.create_publisher(installed_types("std_msgs/msg/String"), topic, 10)
    return other


@pytest.mark.parametrize("outputs", [False, True])
def test_recording_all_but_outputs(node, tmp_path, outputs):
    """What the perception node makes of the sensors is no sensor; other nodes' topics are kept."""
    from rclpy.executors import SingleThreadedExecutor

    mine = ["~/latent", "~/status", "~/prediction/rgb", "/diagnostics"]
    others = ["~/status", "/camera/image", "/camera/latent", "/_hidden", "/a/_hidden/topic"]
    nodes = [publisher_of(node, "perception", mine), publisher_of(node, "arm", others)]
    kept = {"/arm/status", "/camera/image", "/camera/latent", "/diagnostics"}
    left_out = {"/perception/latent", "/perception/status", "/perception/prediction/rgb"}
    left_out |= {"/_hidden", "/a/_hidden/topic", "/rosout"}
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    subscribed = set()
    with BagWriter(tmp_path / "bag") as writer:
        recorder = Recorder(node, writer, None, lambda topic, _: subscribed.add(topic), outputs)
        deadline = time.monotonic() + 20
        while not kept | left_out <= subscribed | recorder.left_out:
            assert time.monotonic() < deadline
            executor.spin_once(timeout_sec=0.1)
    executor.shutdown()
    for other in nodes:
        other.destroy_node()
    if outputs:
        assert kept | left_out <= subscribed
        assert not recorder.left_out
    else:
        assert kept <= subscribed
        assert not left_out & subscribed


@pytest.mark.parametrize("kind", ["SingleThreadedExecutor", "EventsExecutor"])
def test_a_message_that_cannot_be_written_is_no_error_of_the_executor(node, tmp_path, capfd, kind):
    """The executor would print where it came from; the writer tells it once."""
    import rclpy.executors
    import rclpy.experimental

    modules = (rclpy.executors, rclpy.experimental)
    found = [getattr(module, kind) for module in modules if hasattr(module, kind)]
    if not found:
        pytest.skip(f"this rclpy has no {kind}")
    executor = found[0](context=node.context)
    executor.add_node(node)
    other = publisher_of(node, "talker", ["/text"])
    publisher = next(p for p in other.publishers if p.topic_name == "/text")
    deadline = time.monotonic() + 20

    def record_on_a_full_disk():
        with BagWriter(tmp_path / "bag") as writer:
            recorder = Recorder(node, writer, ["/text"])
            while recorder.count < 3:
                assert time.monotonic() < deadline
                publisher.publish(publisher.msg_type(data="text"))
                executor.spin_once(timeout_sec=0.1)
            writer._error = OSError(28, "No space left on device")
            for _ in range(5):
                publisher.publish(publisher.msg_type(data="text"))
                executor.spin_once(timeout_sec=0.1)
            writer.check()

    with pytest.raises(BagError, match=r"cannot write the bag .*No space left.*recover"):
        record_on_a_full_disk()
    executor.shutdown()
    other.destroy_node()
    output = "".join(capfd.readouterr())
    assert not any(trace in output for trace in ("Traceback", "Exception in", "Error occurred at"))


def test_topics_of_types_that_are_not_installed(node, tmp_path, caplog):
    """They are left out; where nothing else is left, that is an error."""
    stamp = make_stamp(bag_types, 1)
    with BagWriter(tmp_path / "bag") as writer:
        grid = make_message(
            bag_types,
            "nav_msgs/msg/MapMetaData",
            map_load_time=stamp,
            resolution=1.0,
            width=1,
            height=1,
            origin=make_message(
                bag_types,
                "geometry_msgs/msg/Pose",
                position=bag_types("geometry_msgs/msg/Point")(x=0.0, y=0.0, z=0.0),
                orientation=bag_types("geometry_msgs/msg/Quaternion")(x=0.0, y=0.0, z=0.0, w=1.0),
            ),
        )
        writer.write("/map", grid, START)
    pytest.importorskip("rclpy")
    try:
        import nav_msgs.msg  # noqa: F401

        pytest.skip("nav_msgs is installed here")
    except ImportError:
        pass
    with BagReader(tmp_path / "bag") as reader, pytest.raises(BagError, match="no topic that can"):
        Replayer(node, reader)
    assert "/map is left out: message type nav_msgs/msg/MapMetaData" in caplog.text
    assert "apt install ros-$ROS_DISTRO-nav-msgs" in caplog.text


def test_moving_stamps():
    from smvae_ros.messages.types import bag_typestore

    kind = "geometry_msgs/msg/WrenchStamped"
    message = adapter(kind).to_message(np.arange(6), FORCE, bag_types, stamp_ns=START + 10)
    for little_endian in (True, False):
        data = bytes(bag_typestore().serialize_cdr(message, kind, little_endian=little_endian))
        moved = bag_typestore().deserialize_cdr(move_stamp(data, START, 5_000_000_000, 2.0), kind)
        assert stamp_ns(moved) == 5_000_000_005
        assert moved.wrench.torque.z == 5
    assert move_stamp(b"\0\1\0\0", START, 5, 1.0) == b"\0\1\0\0"


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("/wrench:1:2.5", Cut("/wrench", 1.0, 2.5)),
        ("/wrench::2", Cut("/wrench", 0.0, 2.0)),
        ("/camera/*:3:", Cut("/camera/*", 3.0, float("inf"))),
        ("/wrench::", Cut("/wrench")),
    ],
)
def test_cuts(text, cut):
    assert Cut.parse(text) == cut


@pytest.mark.parametrize("text", ["", "/wrench", "/wrench:1", ":1:2", "/w:a:b", "/w:2:1", "/w:1:1"])
def test_what_is_no_cut(text):
    with pytest.raises(ValueError, match="is no cut; write TOPIC:FROM:TO"):
        Cut.parse(text)
