"""Times of sums over devices, against numbers worked out by hand."""

import math

import pytest

from pix2seq_d.accelerators import ACCELERATORS
from pix2seq_d.scaling import interconnect

V5E, V5P, H100 = map(interconnect.find, ("TPU v5e", "TPU v5p", "H100"))
GB = 10**9


def test_one_device_sums_in_no_time():
    for fabric in interconnect.FABRICS:
        assert fabric.sum_seconds(GB, 1) == 0
        assert fabric.wait_seconds(1) == 0


def test_a_whole_pod_sums_over_all_its_links():
    # Each chip sends 2 * 255/256 GB; four links of 50 GB/s one way.
    assert V5E.sum_seconds(GB, 256) == pytest.approx(2 * 255 / 256 / 200)


def test_links_that_do_not_close_to_rings_carry_half():
    assert V5E.sum_seconds(GB, 64) == pytest.approx(2 * 63 / 64 / 100)
    assert V5P.sum_seconds(GB, 64) == pytest.approx(2 * 63 / 64 / 600)


def test_two_pods_sum_their_parts_over_the_network():
    # Two slices: each chip sends 2 * 1/2 of its 1/256 at 6.4 Tbit/s / 256 chips.
    between = 1 / 256 / 3.125
    expected = V5E.sum_seconds(GB, 256) + between
    assert V5E.sum_seconds(GB, 512) == pytest.approx(expected)
    assert V5P.sum_seconds(GB, 512) == pytest.approx(2 * 511 / 512 / 600)


def test_gpus_sum_in_the_node_then_over_the_network():
    assert H100.sum_seconds(GB, 8) == pytest.approx(2 * 7 / 8 / 450)
    expected = 2 * 7 / 8 / 450 + 2 * 7 / 8 / 8 / 50
    assert H100.sum_seconds(GB, 64) == pytest.approx(expected)


def test_waits_are_hops_there_and_back():
    assert V5E.wait_seconds(256) == pytest.approx(2 * (8 + 8) * 1e-6)
    assert V5E.wait_seconds(64) == pytest.approx(2 * (7 + 7) * 1e-6)
    assert V5P.wait_seconds(64) == pytest.approx(2 * (2 + 2 + 2) * 1e-6)


def test_a_slice_that_is_not_sold_is_refused():
    with pytest.raises(ValueError, match="TPU v5e: no slice of 48 chips; take one of"):
        V5E.sum_seconds(GB, 48)


def test_fabrics_are_of_known_accelerators_and_slices_grow():
    known = {one.name for one in ACCELERATORS}
    for fabric in interconnect.FABRICS:
        assert fabric.accelerator in known
    for torus in interconnect.FABRICS[:3]:
        counts = [math.prod(shape) for shape in torus.slices]
        assert counts == sorted(set(counts))
