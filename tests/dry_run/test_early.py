"""The TPU compiler's report on memory, as it writes it before it generates code."""

import pytest

from configs import shapes
from pix2seq_d import config as config_lib
from pix2seq_d.dry_run import early

REPORT = """\
Memory Space: default (color=0)
Total bytes: 16829440 (16.05MiB)
  cumulative_size;       size;       offset; used_by_n_values; shapes_list
  ------------------------------------------------------------
    8.00MiB(100%);    8.00MiB;            0;                6; bf16[2048,2048]


Memory Space: vmem (color=1)
Total bytes: 25166336 (24.00MiB)
"""


def test_the_chips_main_memory_is_read_and_no_other():
    assert early.total_bytes(REPORT) == 16829440


def test_another_text_is_refused():
    vmem = REPORT[REPORT.index("Memory Space: vmem") :]
    with pytest.raises(ValueError, match="no report of the TPU compiler"):
        early.total_bytes(vmem)


def test_the_other_process_says_what_is_wrong():
    """Before it compiles, too; not that it has died."""
    config = config_lib.from_config_dict(shapes.get_config("tiny"))
    with pytest.raises(ValueError, match=r"--topology=v5e:9: give a TPU slice"):
        early.settle(config, "v5e:9")
