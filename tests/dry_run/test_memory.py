"""What compilers say when a program is too large for the device."""

import pytest

from pix2seq_d.dry_run import fitting, memory

TPU = (
    "RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory in memory "
    "space hbm. Used 17.20G of 15.75G hbm. Exceeded hbm capacity by 1.45G."
)


def test_what_is_needed_and_what_there_is_are_read_from_the_tpu_compilers_message():
    found = memory.does_not_fit(RuntimeError(TPU))
    assert found is not None
    assert found.needed == pytest.approx(17.20 * 2**30)
    assert found.limit == pytest.approx(15.75 * 2**30)
    assert fitting.excess(found) == ": needs 17.20 of 15.75 GiB, 1.45 GiB too much"


def test_the_message_about_temporaries_alone_is_read_too():
    text = (
        "RESOURCE_EXHAUSTED: Ran out of memory on HBM, the total memory required for "
        "HLO temporaries (512.00G) exceeds available HBM (15.75G)."
    )
    found = memory.does_not_fit(RuntimeError(text))
    assert found is not None
    assert (found.needed, found.limit) == (512 * 2**30, round(15.75 * 2**30))


def test_a_compiler_that_says_no_numbers_is_understood_too():
    found = memory.does_not_fit(RuntimeError("RESOURCE_EXHAUSTED: Out of memory"))
    assert found is not None
    assert (found.needed, found.limit) == (0, 0)
    assert fitting.excess(found) == ""


def test_other_errors_are_not_about_memory():
    assert memory.does_not_fit(RuntimeError("INVALID_ARGUMENT: 12.0G hbm")) is None
