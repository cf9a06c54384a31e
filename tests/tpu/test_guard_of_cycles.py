"""Cycles, FLOPs and memory by the TPU compiler are those that are committed."""

from guard_process import output_of_guard


def test_a_v5e_takes_no_more_than_what_is_committed():
    assert "train_step, cycles" in output_of_guard("--chip=v5e")
