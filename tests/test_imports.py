"""What importing costs: no TensorFlow where none is needed, no backend started."""

import subprocess
import sys

CORE = [
    "pix2seq_d",
    "pix2seq_d.analog_bits",
    "pix2seq_d.config",
    "pix2seq_d.diffusion.sampler",
    "pix2seq_d.diffusion.loss",
    "pix2seq_d.models",
    "pix2seq_d.training.step",
    "pix2seq_d.training.loop",
    "pix2seq_d.training.checkpoint",
    "pix2seq_d.training.writer",
    "pix2seq_d.inference.device_postprocess",
    "pix2seq_d.inference.id_reuse",
    "pix2seq_d.inference.image",
    "pix2seq_d.inference.predictor",
    "pix2seq_d.evaluation.bootstrap",
    "pix2seq_d.evaluation.davis",
    "pix2seq_d.evaluation.diagnosis",
    "pix2seq_d.evaluation.pool",
    "pix2seq_d.evaluation.pq",
    "pix2seq_d.evaluation.runner",
    "pix2seq_d.evaluation.semantic",
    "pix2seq_d.evaluation.stq",
    "pix2seq_d.evaluation.vpq",
    "pix2seq_d.evaluation.readers.array_sequences",
    "pix2seq_d.evaluation.readers.semantic_files",
    "pix2seq_d.evaluation.readers.step_sequences",
    "pix2seq_d.evaluation.tasks.objects",
    "pix2seq_d.evaluation.tasks.panoptic",
    "pix2seq_d.evaluation.tasks.semantic",
    "pix2seq_d.evaluation.tasks.video",
    "pix2seq_d.data.shapes",
    "pix2seq_d.data.coco_panoptic",
    "pix2seq_d.data.in_memory",
    "pix2seq_d.data.arrays",
    "pix2seq_d.data.sources",
    "pix2seq_d.data.evaluation",
    "pix2seq_d.models.summary",
    "pix2seq_d.convert.tf_checkpoint",
    "pix2seq_d.convert.imagenet_resnet",
    "pix2seq_d.convert.transfer",
    "pix2seq_d.convert.weights",
    "pix2seq_d.visualize.curves",
    "pix2seq_d.visualize.ladder_plot",
    "pix2seq_d.visualize.sheet",
    "pix2seq_d.report.page",
    "pix2seq_d.cli.evaluate_report",
    "pix2seq_d.cli.train",
    "pix2seq_d.cli.evaluate",
    "pix2seq_d.cli.predict",
    "pix2seq_d.assets.card",
    "pix2seq_d.cli.demo",
    "pix2seq_d.cli.draw",
    "pix2seq_d.cli.convert",
    "pix2seq_d.cli.curves",
    "pix2seq_d.cli.doctor",
    "pix2seq_d.cli.metrics",
    "pix2seq_d.cli.summary",
]


def python(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_core_imports_without_tensorflow():
    # Not only "was not imported": it must also work where it is not installed.
    code = (
        "import sys; sys.modules['tensorflow'] = None; sys.modules['clu'] = None\n"
        f"import importlib; [importlib.import_module(m) for m in {CORE!r}]\n"
        "print(sum(m.startswith('tensorflow.') for m in sys.modules))"
    )
    assert python(code) == "0"


def test_scores_and_checks_of_files_need_no_jax():
    # A process of `launch.metrics --num_workers` starts in half the time.
    modules = [
        m for m in CORE if m.startswith("pix2seq_d.evaluation.") and "runner" not in m
    ]
    modules += ["launch.metrics", "pix2seq_d.cli.main", "pix2seq_d.cli.metrics"]
    code = (
        "import sys; sys.modules['jax'] = None; sys.modules['flax'] = None\n"
        f"import importlib; [importlib.import_module(m) for m in {modules!r}]\n"
        "print(len(sys.modules['pix2seq_d'].__version__) > 0)"
    )
    assert python(code) == "True"


def test_a_process_that_scores_imports_no_command():
    code = (
        "import sys, launch.metrics, pix2seq_d.evaluation.tasks.panoptic\n"
        "print('absl' in sys.modules, 'scipy.optimize' in sys.modules)"
    )
    assert python(code) == "False False"


def test_importing_starts_no_jax_backend():
    code = (
        f"import importlib; [importlib.import_module(m) for m in {CORE!r}]\n"
        "from jax._src import xla_bridge; print(len(xla_bridge._backends))"
    )
    assert python(code) == "0"


def test_the_public_names():
    code = (
        "import pix2seq_d\n"
        "pix2seq_d.analog_bits.encode\n"
        "assert not hasattr(pix2seq_d, 'analog_bit')\n"
        "from pix2seq_d import *\n"
        "from pix2seq_d import analog_bits\n"
        "from pix2seq_d.diffusion import loss, sampler, schedule\n"
        "from pix2seq_d.models import ModelConfig, Pix2SeqD\n"
        "from pix2seq_d.evaluation import pq\n"
        "print(pix2seq_d.__version__)"
    )
    assert python(code)
