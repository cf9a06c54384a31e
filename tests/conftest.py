"""Fixtures that several test folders use; sets JAX up before any test imports it."""

import atexit
import os
import shutil
import tempfile
from importlib.metadata import version

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Tests compile the same program again and again: what one worker has compiled is there
# for the others, for this run. Those of pytest-xdist inherit the folder's name.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="pix2seq_d_jit_")
    atexit.register(
        shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True
    )
# In the processes of tests, which are killed, perhaps half-way through a file.
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"
# The suite compiles much and computes little: no optimization, and one thread each, for
# the other cores have tests of their own.
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_parallel_codegen_split_count=1"
    # Without these emitters, which lower fusions through MLIR, a training step compiles
    # in half the time. XLA aborts where it does not know a flag, as in 0.12.
    + " --xla_cpu_use_fusion_emitters=false"
    * version("jaxlib").startswith("0.10."),
)

import gc
import json
import signal
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_enable_compilation_cache", True)
# With a limit JAX locks its files: none is read that another writes. Each new one looks
# at all, so those that take as long to write are left out.
jax.config.update("jax_compilation_cache_max_size", 10**10)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


# Tracing makes many small objects: Python's 700 cost it a third more.
gc.set_threshold(10_000)

# Shells start background jobs, and so all of their processes, with Ctrl-C ignored.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


CATEGORIES = [
    {"id": 7, "name": "sky", "isthing": 0, "color": [0, 0, 255]},
    {"id": 3, "name": "door", "isthing": 1, "color": [255, 0, 0]},
]


@pytest.fixture
def shared() -> Path:
    """The folder of real data and reference numbers beside the repository."""
    path = Path(__file__).resolve().parents[2] / "shared"
    if not path.is_dir():
        pytest.skip(f"no reference data: {path} does not exist")
    return path


class CocoFolder:
    """A tiny COCO panoptic folder, split `val`; tests break one thing at a time.

    Three images of 6 x 8 pixels, ids out of order; every map has sky (id 1000),
    two doors (5 and 70000) and a void column.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images, self.pngs = root / "images" / "val", root / "panoptic_val"
        self.json_path = root / "panoptic_val.json"
        self.images.mkdir(parents=True)
        self.pngs.mkdir()
        rng = np.random.default_rng(0)
        images, annotations = [], []
        for image_id in (30, 10, 20):
            rgb = rng.integers(0, 256, (6, 8, 3), np.uint8)
            Image.fromarray(rgb).save(self.images / f"{image_id}.png")
            self.save_ids(f"{image_id}.png", self.ids)
            images.append({"id": image_id, "file_name": f"{image_id}.png"})
            annotations.append(
                {
                    "image_id": image_id,
                    "file_name": f"{image_id}.png",
                    "segments_info": [
                        {"id": 1000, "category_id": 7},
                        {"id": 5, "category_id": 3},
                        {"id": 70000, "category_id": 3, "iscrowd": 1},
                    ],
                }
            )
        self.content = {
            "images": images,
            "annotations": annotations,
            "categories": CATEGORIES,
        }
        self.save_json()

    @property
    def ids(self) -> np.ndarray:
        ids = np.full((6, 8), 1000, np.int32)
        ids[2:5, 1:3], ids[2:5, 4:6], ids[:, 7] = 5, 70000, 0
        return ids

    def save_ids(self, name: str, ids: np.ndarray) -> None:
        rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], -1)
        Image.fromarray(rgb.astype(np.uint8)).save(self.pngs / name)

    def save_json(self) -> None:
        self.json_path.write_text(json.dumps(self.content))


@pytest.fixture
def coco_folder(tmp_path: Path) -> CocoFolder:
    return CocoFolder(tmp_path / "dataset")


# A model that compiles in seconds; batches split over the 8 devices.
MICRO = [
    "--config.model.image_size=(32,32)",
    "--config.model.mask_size=(16,16)",
    "--config.model.resnet.width=0.125",
    "--config.model.encoder.num_layers=1",
    "--config.model.encoder.dim=16",
    "--config.model.encoder.mlp_dim=16",
    "--config.model.encoder.num_heads=2",
    "--config.model.pyramid.dim=8",
    "--config.model.decoder.dim=8",
    "--config.model.decoder.channel_multipliers=(1,)",
    "--config.model.decoder.num_res_blocks=(1,)",
    "--config.model.decoder.transformer_dim=16",
    "--config.model.decoder.transformer_layers=1",
    "--config.model.decoder.head_dim=8",
    "--config.diffusion.num_steps=2",
    "--config.diffusion.noise_draws=1",
    "--config.train.batch_size=8",
    "--config.train.log_every=1",
    "--config.evaluation.batch_size=8",
    "--config.evaluation.min_area=4",
]


@pytest.fixture(scope="session")
def micro() -> list[str]:
    """Arguments that make any config's model tiny."""
    return list(MICRO)


@pytest.fixture
def heard_hang_up():
    """SIGHUP has its default; under nohup it is ignored, by processes of tests too."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
