"""Errors in past masks: dropped, merged and shifted instances, and nothing else."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pix2seq_d.config import ConfigError, PastNoiseConfig
from pix2seq_d.training.past_noise import spoil, spoil_batch

N = 8


def past():
    """Two frames of 6 x 8: sky (class 1, no id), things 3 (class 2) and 5 (class 3)."""
    frame = np.zeros((6, 8, 2), np.int32)
    frame[..., 0] = 1
    frame[1:3, 1:4] = (2, 3)
    frame[4:6, 5:7] = (3, 5)
    later = np.roll(frame, 1, axis=1)
    return np.concatenate([frame, later], -1)


@functools.cache
def compiled(noise):
    return jax.jit(functools.partial(spoil, noise=noise, max_instances=N))


def spoiled(seed=0, **noise):
    return np.asarray(compiled(PastNoiseConfig(**noise))(jax.random.key(seed), past()))


def pairs(frame):
    return {tuple(p) for p in frame.reshape(-1, 2).tolist()}


def test_no_noise_changes_nothing():
    np.testing.assert_array_equal(spoiled(), past())


def test_dropped_instances_become_void_and_stuff_stays():
    found = spoiled(drop=1.0)
    for frame in (0, 2):
        expected = past()[..., frame : frame + 2].copy()
        expected[expected[..., 1] > 0] = 0
        np.testing.assert_array_equal(found[..., frame : frame + 2], expected)


def test_about_as_many_are_dropped_as_asked_for_frame_by_frame():
    gone = np.array(
        [
            [not (spoiled(seed, drop=0.3)[..., k] == i).any() for k in (1, 3)]
            for seed in range(100)
            for i in (3, 5)
        ]
    )
    assert 0.2 < gone.mean() < 0.4
    assert (gone[:, 0] != gone[:, 1]).any()  # the frames are spoiled apart


def test_a_merged_instance_has_id_and_class_of_one_that_is_there():
    seen = set()
    for seed in range(20):
        found = spoiled(seed, merge=1.0)
        for frame in (0, 2):
            seen |= pairs(found[..., frame : frame + 2])
            covered = found[..., frame + 1] > 0
            np.testing.assert_array_equal(covered, past()[..., frame + 1] > 0)
    assert seen == {(1, 0), (2, 3), (3, 5)}
    merged = [len(pairs(spoiled(seed, merge=1.0)[..., :2])) < 3 for seed in range(20)]
    assert any(merged)


def test_a_shift_moves_a_whole_frame_and_leaves_void_behind():
    offsets = set()
    for seed in range(40):
        found, original = spoiled(seed, shift=2)[..., :2], past()[..., :2]
        matches = []
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                padded = np.pad(original, ((2, 2), (2, 2), (0, 0)))
                moved = padded[2 - dy : 8 - dy, 2 - dx : 10 - dx]
                if (moved == found).all():
                    matches.append((dy, dx))
        assert len(matches) == 1
        offsets.add(matches[0])
    assert len(offsets) > 10


def test_a_frame_without_instances_stays():
    empty = jnp.zeros((4, 4, 2), jnp.int32).at[..., 0].set(1)
    noise = PastNoiseConfig(drop=0.5, merge=1.0)
    found = spoil(jax.random.key(0), empty, noise=noise, max_instances=N)
    np.testing.assert_array_equal(found, empty)


def test_an_examples_errors_depend_on_its_name_alone():
    noise = PastNoiseConfig(drop=0.5, merge=0.3, shift=1)
    batch = jnp.stack([jnp.asarray(past())] * 6)

    def run(batch, index):
        return spoil_batch(
            jax.random.key(1), batch, jnp.array(index), noise=noise, max_instances=N
        )

    whole = run(batch, range(6))
    np.testing.assert_array_equal(run(batch[:2], [4, 1]), whole[jnp.array([4, 1])])
    assert any((whole[0] != other).any() for other in whole[1:])


def test_probabilities_are_checked():
    with pytest.raises(ConfigError, match=r"data\.past_noise\.drop"):
        PastNoiseConfig(drop=1.5)
