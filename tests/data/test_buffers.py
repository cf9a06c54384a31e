"""Memory is used again only when nobody can see it any more."""

import gc

import jax
import numpy as np

from pix2seq_d.data.buffers import Buffers


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_when_the_array_and_its_views_are_gone():
    buffers = Buffers((4, 8), np.float32)
    first = buffers.take()
    assert first.shape == (4, 8) and first.dtype == np.float32
    place, view = address(first), first[2:, ::-1][..., :3]
    view[:] = 7
    del first
    second = buffers.take()
    second[:] = 0
    assert address(second) != place and (view == 7).all()
    del view
    gc.collect()
    assert address(buffers.take()) == place


def test_arrays_on_a_device_keep_it():
    buffers = Buffers((64, 64), np.float32)
    made = []
    for k in range(5):
        batch = buffers.take()
        batch[:] = k
        made.append(jax.device_put(batch))
        del batch
    assert [float(x.max()) for x in made] == [float(x.min()) for x in made]
    assert [float(x.max()) for x in made] == [0, 1, 2, 3, 4]
