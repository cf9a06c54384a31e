"""Tables of what was not compiled: GPUs, any number of devices, input; estimates."""

from collections.abc import Iterator

from pix2seq_d.dry_run import estimate
from pix2seq_d.evaluation import text_table
from pix2seq_d.scaling import interconnect, model, plan, predicted
from pix2seq_d.scaling.compiled import Record
from pix2seq_d.scaling.predicted import Predicted
from pix2seq_d.scaling.store import Results

GPUS = (8, 16, 32, 64)


def gpus(results: Results) -> str:
    """Every recipe on H100 or H200: a model, nothing was compiled."""
    head = ("recipe", "GPUs", "images a GPU", "TFLOP an image", "computing ms")
    head += ("summing gradients ms", "images/s, beside", "apart", "hours", "GPU-hours")
    rows = []
    for name, recipe in _recipes(results):
        for devices in GPUS:
            if recipe["batch"] % devices:
                continue
            found = on_gpus(results, name, devices)
            step, scaled = found.step, found.scaled
            rows.append(
                [
                    name,
                    str(devices),
                    f"{step.images:g}",
                    f"{recipe['image_flops'] / 1e12:.2f}",
                    f"{1e3 * step.seconds:,.1f}",
                    f"{1e3 * scaled.sums:.2f}",
                    f"{found.images_per_second:,.0f}",
                    f"{recipe['batch'] / scaled.apart:,.0f}",
                    estimate.number(found.hours),
                    estimate.number(found.device_hours),
                ]
            )
    return text_table.markdown(head, rows)


def on_gpus(results: Results, recipe: str, devices: int) -> Predicted:
    """A recipe on H100s; on H200s, which have the same peak, it is the same."""
    waits = _waits(results, recipe)
    return predicted.of_gpus(results.recipes[recipe], "H100", devices, waits=waits)


def curves(results: Results) -> dict[str, list[tuple[int, float, float]]]:
    """Weak scaling: accelerator -> (devices, efficiency apart, beside), ascending."""
    found = {}
    for name, step, counts in _weak(results):
        fabric = interconnect.find(name)
        found[name.removeprefix("TPU ")] = [
            (n, *model.efficiency(step, model.scaled(step, fabric, n))) for n in counts
        ]
    return found


def weak(results: Results) -> str:
    """Weak scaling of low_res, a column for each accelerator."""
    lines = curves(results)
    steps = {name.removeprefix("TPU "): step for name, step, _ in _weak(results)}
    head = ["devices"]
    head += [f"{name}, {steps[name].images:g} images a device" for name in lines]
    by_count: dict[int, dict[str, str]] = {}
    for name, points in lines.items():
        for devices, apart, beside in points:
            cell = f"{100 * apart:.1f} / {100 * beside:.1f}"
            by_count.setdefault(devices, {})[name] = cell
    rows = [
        [str(devices), *(cells.get(name, "-") for name in lines)]
        for devices, cells in sorted(by_count.items())
    ]
    return text_table.markdown(head, rows)


def pipeline(results: Results) -> str:
    """Cores that a host needs to feed its chips, and those that it has."""
    head = ("recipe", "on", "images/s a host", "cores, resize=host")
    head += ("cores, resize=device", "cores there", "limit")
    rows = []
    for recipe, where, name, found, devices in _fed(results):
        fabric = interconnect.find(name)
        speed = found.images_per_second / devices * fabric.host_chips
        side = results.recipes[recipe]["image_size"][0]
        host, device = (
            model.cores(speed, side=side, resize=resize)
            for resize in ("host", "device")
        )
        there = fabric.host_cores
        rows.append(
            [
                recipe,
                where,
                f"{speed:,.0f}",
                f"{host:.1f}",
                f"{device:.1f}",
                str(there or "-"),
                _limit(host, device, there),
            ]
        )
    return text_table.markdown(head, rows)


def _recipes(results: Results) -> list[tuple[str, Record]]:
    """In the order of the tables."""
    names = [name for name in plan.RECIPES if name in results.recipes]
    return [(name, results.recipes[name]) for name in names]


def _waits(results: Results, recipe: str) -> int:
    """As compiled for a slice; else low_res's, where it has the same batch-norms."""
    for case, record in plan.compiled(results, "train"):
        if record["fits"] and case.recipe == recipe:
            return predicted.waits(record)
    other, facts = "coco_panoptic:low_res", results.recipes
    if recipe == other or facts[recipe]["batch_norms"] != facts[other]["batch_norms"]:
        return 0
    return _waits(results, other)


def _weak(results: Results) -> Iterator[tuple[str, model.Step, tuple[int, ...]]]:
    """Accelerator, a device's step, numbers of devices."""
    for case, counts in plan.WEAK:
        record = results.cases.get(case.key)
        if record is not None and record["cycles"]:
            name = case.accelerator
            yield (
                name,
                predicted.step_of(record, chips=case.chips, accelerator=name),
                counts,
            )
    found = on_gpus(results, "coco_panoptic:low_res", 64)
    yield "H100", found.step, tuple(2**k for k in range(10))


def _fed(results: Results) -> Iterator[tuple[str, str, str, Predicted, int]]:
    """Recipe, place, accelerator, prediction, devices, where input was measured."""
    measured = {side for side, _ in model.PIPELINE}
    for case, record in plan.compiled(results, "train"):
        sides = results.recipes[case.recipe]["image_size"]
        if record["cycles"] and sides[0] == sides[1] and sides[0] in measured:
            found = predicted.of_case(case, record)
            yield case.recipe, case.slice, case.accelerator, found, case.chips
    for name, recipe in _recipes(results):
        sides = recipe["image_size"]
        if sides[0] == sides[1] and sides[0] in measured:
            yield name, "8 H100", "H100", on_gpus(results, name, 8), 8


def _limit(host: float, device: float, there: int | None) -> str:
    if there is None:
        return "-"
    if host <= there:
        return "none"
    return "resize=device" if device <= there else f"input, {device / there:.1f} times"
