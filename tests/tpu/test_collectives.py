"""On a v5e:4x4 devices exchange what data parallelism needs, and nothing else."""

import pytest
from jax.experimental import topologies

from configs import coco_panoptic, shapes
from pix2seq_d import config as config_lib
from pix2seq_d.cli import dry_run
from pix2seq_d.dry_run import early, measure, slice_sampling, topology, traffic


def settled(fields):
    return dry_run.settle(config_lib.from_config_dict(fields))[0]


def compiled(fields):
    return measure.measure(settled(fields), topology.devices("v5e:4x4"))


def tiny():
    fields = shapes.get_config("tiny")
    fields.train.batch_size = 16
    fields.diffusion.num_steps = 6
    return fields


@pytest.fixture(scope="module")
def tiny_step():
    return compiled(tiny())


def shallow(fields):
    """One layer or block of each kind, and half the sides: five minutes.

    For 1024 px this compiler needs more than twenty, however few the layers.
    """
    fields.model.update(image_size=(512, 512), mask_size=(256, 256))
    fields.model.resnet.depth = 14
    fields.model.encoder.num_layers = 1
    fields.model.decoder.transformer_layers = 1
    return fields


def exchanged(found):
    rows = traffic.summarize(found.collectives, found.program)
    return {(row.purpose, row.op, row.group) for row in rows}


def test_data_parallel_shapes_reduces_gradients_moments_and_scalars(tiny_step):
    found = tiny_step
    assert exchanged(found) == {
        ("gradients", "all-reduce", 16),
        ("batch-norm moments", "all-reduce", 16),
        ("scalars", "all-reduce", 16),
    }
    assert found.cycles > 0
    assert 0 < found.memory.total < 16e9


def test_memory_and_exchange_are_known_before_the_code_is(tiny_step):
    found = early.settle(settled(tiny()), "v5e:4x4")
    # Generating code adds and removes buffers: 50 MB less and 37 MB more were seen.
    memory = tiny_step.memory
    assert found.bytes == pytest.approx(memory.total - memory.code, abs=100e6)
    assert found.bytes > memory.arguments
    assert exchanged(found) == exchanged(tiny_step)
    assert found.compile_seconds < tiny_step.compile_seconds


def test_a_copy_of_the_state_stays_within_one_of_two_slices():
    """jax.make_mesh refuses two slices."""
    topology.devices("v5e:4x4")  # sets what libtpu asks for
    two = topologies.get_topology_desc("v5e:4x4", platform="tpu", num_slices=2)
    fields = tiny()
    fields.train.batch_size = 32
    fields.sharding.fsdp = 4
    found = measure.measure(settled(fields), two.devices)
    rows = found.program.mesh.devices
    assert rows.shape == (8, 4)
    slices = [{device.slice_index for device in row} for row in rows]
    assert slices == [{0}] * 4 + [{1}] * 4
    assert ("parameters", "all-gather", 4) in exchanged(found)


def test_chips_sample_by_themselves_in_one_loop():
    devices = topology.devices("v5e:4x4")
    found = slice_sampling.measure(settled(tiny()), devices)
    assert found.exchanged == 0
    assert found.once_cycles > 0
    assert found.step_cycles > 0
    assert 0 < found.memory.total < 16e9


def test_fsdp_of_the_high_resolution_recipe_moves_no_activation():
    fields = shallow(coco_panoptic.get_config("high_res"))
    fields.sharding.fsdp = 4
    found = compiled(fields)
    moved = exchanged(found)
    assert not traffic.activations(found.collectives, found.program)
    assert ("parameters", "all-gather", 4) in moved
    assert {purpose for purpose, _, _ in moved} == {
        "gradients",
        "parameters",
        "batch-norm moments",
        "scalars",
    }
    assert {op for _, op, _ in moved} <= {"all-reduce", "reduce-scatter", "all-gather"}
