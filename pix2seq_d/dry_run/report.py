"""The text of a dry run."""

from collections.abc import Mapping

from pix2seq_d import accelerators
from pix2seq_d.config import Config
from pix2seq_d.dry_run import estimate, shards, traffic
from pix2seq_d.dry_run.measure import Measured
from pix2seq_d.dry_run.prices import Prices
from pix2seq_d.models import parameter_count
from pix2seq_d.training.program import Program
from pix2seq_d.training.throughput import image_flops


def model(config: Config, program: Program) -> str:
    """What is trained: parameters, arithmetic, devices."""
    mesh = program.mesh
    flops = image_flops(config.model, config.diffusion) * config.train.batch_size
    count = parameter_count(program.state.variables["params"])
    data, fsdp = mesh.shape["data"], mesh.shape["fsdp"]
    return "\n".join(
        (
            f"parameters   {count:,d}",
            f"step         {config.train.batch_size} images, {flops / 1e12:,.4g} TFLOP "
            "(convolutions with their padding and products, forward and backward)",
            f"devices      {mesh.size} x {mesh.devices.flat[0].device_kind}: data "
            f"{data} x fsdp {fsdp}",
        )
    )


def sampling(mask_flops: Mapping[int, int]) -> str:
    """What a mask takes, for every number of steps in `sampling.mask_flops`."""
    costs = [
        f"{steps} steps {count / 1e12:,.4g} TFLOP"
        for steps, count in mask_flops.items()
    ]
    return f"sampling     {', '.join(costs)} a mask"


def _counted(found: Measured) -> str:
    if found.xla_flops is None:
        return ""
    counted = f"{found.xla_flops / 1e12:,.4g} TFLOP"
    return f"; XLA counts {counted} on each device, loops once"


def measured(found: Measured) -> str:
    """What the compiled step says: memory, sharding, traffic, time where estimated."""
    memory, program = found.memory, found.program
    state = program.state
    parts = [
        f"whole step   {found.flops / 1e12:,.4g} TFLOP without padding, element-wise "
        "work and remat included",
        f"compiled     in {found.compile_seconds:.0f} s{_counted(found)}",
        "",
        "memory of one device while a step runs, MB",
        _amount("arguments: state and batch", memory.arguments),
        _amount("temporaries: activations, gradients", memory.temporaries),
        _amount("output: state and scalars", memory.output),
        _amount("of it in the arguments' place", -memory.alias),
        _amount("program", memory.code),
        _amount("together", memory.total),
        "",
        f"state        {shards.whole_bytes(state) / 1e6:,.1f} MB (parameters, EMA, "
        f"moments), {shards.device_bytes(state) / 1e6:,.1f} MB on each device",
        shards.table(shards.groups(program)),
        "",
        "exchanged between devices in a step",
    ]
    rows = traffic.summarize(found.collectives, program)
    parts.append(traffic.table(rows) if rows else "  nothing: there is one device")
    moved = [row for row in rows if row.purpose == traffic.ACTIVATIONS]
    if moved:
        parts.append(
            "  activations should stay where they are: please report this config"
        )
    if found.cycles:
        parts += ["", _speed(found)]
    return "\n".join(parts)


def outlook(config: Config, prices: Prices | None) -> str:
    """Time of the whole training on accelerators that are known, with prices money."""
    return "\n".join(
        (
            f"{config.train.num_steps:,d} steps at {estimate.UTILIZATION:.0%} of the "
            "bfloat16 peak: an estimate, nothing was run",
            estimate.MEASURED,
            estimate.table(config, prices),
        )
    )


def _amount(name: str, size: int) -> str:
    return f"  {name:38s}{size / 1e6:12,.1f}"


def _speed(found: Measured) -> str:
    device = found.program.mesh.devices.flat[0]
    known = accelerators.find(device.device_kind)
    clock = estimate.CLOCK_GHZ.get(known.name) if known else None
    text = f"the TPU compiler estimates {found.cycles:,d} cycles a step"
    if known is None or clock is None:
        return text
    seconds = found.cycles / (clock * 1e9)
    config, mesh = found.config, found.program.mesh
    flops = image_flops(config.model, config.diffusion) * config.train.batch_size
    # A v4 chip is two devices here, of half the peak each.
    cores = 1 + max(device.core_on_chip for device in mesh.devices.flat)
    peak = known.bf16_tflops * 1e12 * mesh.size / cores
    days = seconds * config.train.num_steps / 86400
    return (
        f"{text}: {seconds * 1e3:,.1f} ms at {clock} GHz, "
        f"{config.train.batch_size / seconds:,.0f} images/s, MFU "
        f"{flops / seconds / peak:.1%}, {estimate.number(days)} days for "
        f"{config.train.num_steps:,d} steps.\n"
        "An estimate: it has the exchange between devices and waiting for data at 0."
    )
