"""The text of compiled programs: what is exchanged, how often, and what it costs."""

import pytest

from pix2seq_d.dry_run import hlo
from pix2seq_d.dry_run.hlo import Collective

# As XLA prints for CPU and TPU, shortened: a loop of 6 turns with a product that has an
# estimate and a reduction, a fusion, and every notation of groups and of asynchronous
# collectives.
PROGRAM = """\
HloModule jit_step, entry_computation_layout={(f32[8]{0})->f32[8]{0}}

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[] parameter(0)
  %b = f32[] parameter(1)
  ROOT %sum = f32[] add(%a, %b)
}

%all-reduce-scatter.1 (p: f32[64,4]) -> f32[16,4] {
  %p = f32[64,4]{1,0} parameter(0)
  %r = f32[64,4]{1,0} all-reduce(%p), replica_groups=[4,4]<=[16], to_apply=%add
  ROOT %s = f32[16,4]{1,0} dynamic-slice(%r), dynamic_slice_sizes={16,4}
}

%fused (q: f32[8]) -> f32[8] {
  %q = f32[8]{0} parameter(0)
  ROOT %n = f32[8]{0} negate(%q), backend_config={"estimated_cycles":"999"}
}

%body (state: (s32[], f32[8])) -> (s32[], f32[8]) {
  %state = (s32[], f32[8]{0}) parameter(0)
  %x = f32[8]{0} get-tuple-element(%state), index=1
  %c = f32[8]{0} convolution(%x, %x), backend_config={"estimated_cycles":"100"}
  %y = bf16[2,3]{1,0} all-reduce(%c), replica_groups={{0,1},{2,3}}, to_apply=%add, \
metadata={op_name="jit(step)/decoder/norm/reduce"}
  ROOT %t = (s32[], f32[8]{0}) tuple(%x)
}

%condition (state: (s32[], f32[8])) -> pred[] {
  %state = (s32[], f32[8]{0}) parameter(0)
  ROOT %less = pred[] compare(%state), direction=LT
}

ENTRY %main (x: f32[8]) -> f32[8] {
  %x = f32[8]{0} parameter(0)
  %w = (s32[], f32[8]{0}) while(%x), condition=%condition, body=%body, \
backend_config={"known_trip_count":{"n":"6"}}
  %f = f32[8]{0} fusion(%x), kind=kLoop, calls=%fused, \
backend_config={"estimated_cycles":"7"}
  %scatter = f32[16,4]{1,0} fusion(%x), kind=kCustom, calls=%all-reduce-scatter.1
  %g = (f32[5]{0}, f32[20]{0}) all-gather-start(%x), \
replica_groups=mesh['data'=2, 'fsdp'=4] {'fsdp'}, dimensions={0}
  %gd = f32[20]{0} all-gather-done(%g)
  %p = (f32[3]{0}, f32[3]{0}, u32[], u32[]) collective-permute-start(%x), \
source_target_pairs={{0,1}}
  %two = (f32[], f32[2]{0}) all-reduce(%x, %x), replica_groups=[1,8]<=[8], to_apply=%add
  %rs = f32[2,7]{1,0} reduce-scatter(%x), replica_groups=[2,4]<=[8], dimensions={0}
  ROOT %o = f32[8]{0} copy(%f)
}
"""


def test_every_exchanged_array_is_found_with_its_size_group_and_count():
    def one(op, dtype, shape, group, count=1, path="", together=1):
        return Collective(op, dtype, shape, group, count, path, together)

    assert hlo.collectives(PROGRAM) == (
        one("all-reduce", "bf16", (2, 3), 2, 6, "jit(step)/decoder/norm/reduce"),
        one("reduce-scatter", "f32", (64, 4), 4),
        one("all-gather", "f32", (20,), 4),
        one("collective-permute", "f32", (3,), 0),
        one("all-reduce", "f32", (), 8, together=2),
        one("all-reduce", "f32", (2,), 8, together=2),
        one("reduce-scatter", "f32", (8, 7), 4),
    )


def test_bytes_are_of_the_whole_array_times_its_count():
    found = hlo.collectives(PROGRAM)
    assert [c.bytes for c in found] == [6 * 12, 1024, 80, 12, 4, 8, 224]


def test_cycles_in_a_loop_count_as_often_as_it_turns_those_in_a_fusion_once():
    assert hlo.estimated_cycles(PROGRAM) == 6 * 100 + 7


def test_what_has_no_estimate_costs_nothing():
    text = PROGRAM.replace(
        '"estimated_cycles":"7"', f'"estimated_cycles":"{2**63 - 1}"'
    )
    assert hlo.estimated_cycles(text) == 6 * 100


def test_the_loop_with_most_cycles_is_found_with_its_turns():
    assert hlo.costliest_loop(PROGRAM) == (6, 100)
    unknown = PROGRAM.replace(', backend_config={"known_trip_count":{"n":"6"}}', "")
    assert hlo.costliest_loop(unknown) == (1, 100)
    assert hlo.costliest_loop(PROGRAM.replace(" while(", " call(")) == (1, 0)


def test_turns_are_read_from_the_condition_where_the_compiler_does_not_say_them():
    """As the TPU compiler prints a scan of 6 steps."""
    text = PROGRAM.replace(', backend_config={"known_trip_count":{"n":"6"}}', "")
    text = text.replace(
        "  ROOT %less = pred[] compare(%state), direction=LT",
        """\
  %limit = s32[]{:T(128)} constant(6)
  %turn = s32[]{:T(128)} get-tuple-element(%state), index=0
  ROOT %less = pred[]{:T(512)} compare(%turn, %limit), direction=LT, metadata={}""",
    )
    assert hlo.estimated_cycles(text) == 6 * 100 + 7
    assert hlo.costliest_loop(text) == (6, 100)
    assert hlo.collectives(text) == hlo.collectives(PROGRAM)


@pytest.mark.parametrize(
    ("dtype", "bits"), [("pred", 8), ("bf16", 16), ("s4", 4), ("f8e4m3fn", 8)]
)
def test_bits_of_a_type(dtype, bits):
    assert hlo.item_bits(dtype) == bits


def test_other_text_is_refused():
    with pytest.raises(ValueError, match="it has no ENTRY"):
        hlo.collectives("module @jit_step {}")
