"""Every config file and variant: it builds, has shapes, and lowers to programs."""

import dataclasses
import functools
import importlib
import pathlib

import jax
import pytest

from pix2seq_d import config as config_lib
from pix2seq_d import instance_ids
from pix2seq_d.dry_run import measure, sampling
from pix2seq_d.models import parameter_count, variable_shapes
from pix2seq_d.training import length

FILES = [
    path.stem
    for path in sorted((pathlib.Path(__file__).parents[1] / "configs").glob("*.py"))
    if path.stem != "__init__"
]
VARIANTS = [
    (name, variant)
    for name in FILES
    for variant in importlib.import_module(f"configs.{name}").VARIANTS
]


def load(name, variant):
    fields = importlib.import_module(f"configs.{name}").get_config(variant)
    return config_lib.from_config_dict(fields)


def shapes_of(config):
    # No layer depends on the numbers of classes and ids.
    return eval_shapes(
        dataclasses.replace(config.model, num_classes=2, max_instances=2)
    )


@functools.cache
def eval_shapes(model):
    return variable_shapes(model)["params"]


def example_of_program(config):
    """A small config of the same operations, with every repeated layer once.

    Variants that differ in sizes, depths, lengths and rates only have the same one.
    That their own sizes fit together is seen by `eval_shapes`, which runs the model.
    """
    model = config.model
    return dataclasses.replace(
        config_lib.Config(),
        model=dataclasses.replace(
            model,
            image_size=(32, 32),
            mask_size=(16, 16),
            num_classes=2,
            max_instances=2,
            bits_per_channel=4,
            bit_scale=0.1,
            resnet=dataclasses.replace(model.resnet, depth=14, width=0.25),
            encoder=config_lib.EncoderConfig(num_layers=1, dim=32, num_heads=2),
            pyramid=config_lib.PyramidConfig(dim=32),
            decoder=dataclasses.replace(
                model.decoder,
                dim=32,
                channel_multipliers=(1,),
                num_res_blocks=(1,),
                transformer_dim=32,
                transformer_layers=1,
                head_dim=16,
            ),
        ),
        diffusion=dataclasses.replace(
            config.diffusion, num_steps=4, num_steps_next=2, time_difference=1.0
        ),
        train=dataclasses.replace(
            config_lib.TrainConfig(),
            batch_size=4,
            grad_accumulation=min(config.train.grad_accumulation, 2),
            remat=config.train.remat,
            freeze_batch_norm=config.train.freeze_batch_norm,
            dtype=config.train.dtype,
        ),
        data=dataclasses.replace(
            config_lib.DataConfig(), past_noise=config.data.past_noise
        ),
    )


def text_and_operations(traced):
    """The lowered text, and the names of the outermost operations."""
    names = {operation.primitive.name for operation in traced.jaxpr.eqns}
    # Not for a CPU, on which 1x1 convolutions are products.
    return traced.lower(lowering_platforms=("cuda",)).as_text(), names


@functools.cache
def lowered_step(config):
    program = measure.program_of(config, jax.devices()[:1])
    traced = program.step.trace(program.state, program.batch, program.key)
    return text_and_operations(traced)


@functools.cache
def lowered_sampler(model, diffusion, dtype):
    train = config_lib.TrainConfig(dtype=dtype)
    config = config_lib.Config(model=model, diffusion=diffusion, train=train)
    return text_and_operations(sampling.trace(config))


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_every_variant_builds(name, variant):
    config = load(name, variant)
    count = parameter_count(shapes_of(config))
    assert 1e5 < count < 1e8
    assert config.train.num_steps > 1
    # Past masks come from videos, and from nowhere else.
    is_video = config.data.source.name in ("shapes_video", "kitti_step", "davis")
    assert (config.model.num_cond_frames > 0) == is_video


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
def test_every_variant_lowers(name, variant):
    """To a training step and a sampler; nothing is compiled."""
    config = load(name, variant)
    small = example_of_program(config)
    step, step_operations = lowered_step(small)
    sampler, sampler_operations = lowered_sampler(
        small.model, small.diffusion, small.train.dtype
    )
    for text in (step, sampler):
        assert ("bf16" in text) == (config.train.dtype == "bfloat16")
        assert text.count("stablehlo.convolution") > 10
    # Parts of a batch are a loop; so are the sampler's steps, which for videos end
    # as the data say.
    assert ("scan" in step_operations) == (config.train.grad_accumulation > 1)
    loop = "while" if config.model.num_cond_frames else "scan"
    assert loop in sampler_operations


def test_programs_of_variants_are_told_apart_by_what_they_do():
    paper, single, debug = (
        example_of_program(load("davis", v)) for v in ("paper", "single_gpu", "debug")
    )
    assert len({paper, single, debug}) == 3
    assert paper == example_of_program(load("kitti_step", "paper"))
    assert paper != example_of_program(load("coco_panoptic", "high_res"))


def test_all_that_interfaces_name_are_there():
    assert {"shapes", "shapes_video", "custom", "coco_panoptic"} <= set(FILES)
    assert {"cityscapes", "kitti_step", "davis"} <= set(FILES)
    for name in ("coco_panoptic", "cityscapes", "kitti_step", "davis"):
        assert {(name, "single_gpu"), (name, "debug")} <= set(VARIANTS)


@pytest.mark.parametrize("name", FILES)
def test_an_unknown_variant_lists_the_known_ones(name):
    with pytest.raises(ValueError, match="choose one of"):
        load(name, "nonesuch")


@pytest.mark.parametrize("variant", ["tiny", "small"])
def test_a_video_model_goes_on_from_the_image_model_of_its_size(variant):
    """Only the decoder's input is wider, by the bits of two past masks."""
    image, video = (shapes_of(load(n, variant)) for n in ("shapes", "shapes_video"))
    assert jax.tree.structure(image) == jax.tree.structure(video)
    differ = [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, leaf in jax.tree_util.tree_leaves_with_path(image)
        if leaf.shape != dict(jax.tree_util.tree_leaves_with_path(video))[path].shape
    ]
    assert differ == ["decoder/input/kernel"]


def test_the_paper_models_have_the_papers_parameters():
    assert parameter_count(shapes_of(load("coco_panoptic", "high_res"))) == 94_492_480
    assert parameter_count(shapes_of(load("davis", "paper"))) == 94_496_576
    assert parameter_count(shapes_of(load("kitti_step", "paper"))) == 94_496_576
    assert parameter_count(shapes_of(load("cityscapes", "paper"))) == 94_492_480


# Columns of spec 5.2: (image, mask), (steps, batch), (peak lr, its end), warm-up, EMA,
# jitter, colour, frame dropout.
RECIPES = {
    ("coco_panoptic", "low_res"): (
        *((256, 256), (128, 128), 184_824, 512, 1e-4, 1e-5, 1155, 0.999),
        *((1.0, 3.0), 1.0),
    ),
    ("coco_panoptic", "high_res"): (
        *((1024, 1024), (512, 512), 110_895, 16, 1e-5, 1e-6, 0, 0.999),
        *((1.0, 1.0), 0.0),
    ),
    ("kitti_step", "paper"): (
        *((384, 1248), (192, 624), 50_000, 32, 1e-5, 1e-5, 0, 0.99),
        *((1.0, 1.0), 0.0),
    ),
    ("davis", "paper"): (
        *((512, 1024), (256, 512), 50_000, 32, 1e-5, 1e-5, 0, 0.99),
        *((1.0, 1.0), 0.0),
    ),
}


@pytest.mark.parametrize(("name", "variant"), RECIPES)
def test_the_recipes_are_those_of_the_spec(name, variant):
    config = load(name, variant)
    model, optimizer, train = config.model, config.optimizer, config.train
    assert RECIPES[name, variant] == (
        *(model.image_size, model.mask_size, train.num_steps, train.batch_size),
        *(
            optimizer.peak_lr,
            pytest.approx(optimizer.peak_lr * optimizer.end_lr_factor),
        ),
        *(optimizer.warmup_steps, optimizer.ema_decay),
        *(config.data.scale_jitter, config.data.color_jitter),
    )


@pytest.mark.parametrize(
    ("name", "variant"),
    [*RECIPES, ("cityscapes", "paper"), ("coco_panoptic", "ablation")],
)
def test_what_all_columns_of_the_spec_share(name, variant):
    config = load(name, variant)
    model, optimizer = config.model, config.optimizer
    assert (model.bit_scale, model.prediction) == (0.1, "x_softmax_xent")
    assert (model.bits_per_channel, model.softmax_groups) == (8, 2)
    assert model.conditioning == ("concat", "cross_attention")
    assert model.self_conditioning == "none"
    assert config.diffusion.loss_weight_power == 0.2
    assert config.diffusion.noise_draws == 1
    assert (model.encoder.dropout, model.encoder.drop_path) == (0.1, 0.1)
    assert model.decoder.dropout == 0.0
    assert (optimizer.weight_decay, optimizer.clip_norm) == (0.05, 1.0)
    assert (optimizer.b1, optimizer.b2, optimizer.eps) == (0.9, 0.999, 1e-8)
    assert (config.data.flip, config.data.frame_dropout) == (0.5, 0.2)


def test_samplers_of_the_papers_results():
    def sampler(name, variant):
        diffusion = load(name, variant).diffusion
        return (
            diffusion.num_steps,
            diffusion.num_steps_next,
            diffusion.time_difference,
        )

    assert sampler("coco_panoptic", "high_res")[::2] == (20, 2.0)
    assert sampler("davis", "paper") == (32, 8, 1.0)


def test_ids_are_given_as_the_reference_gives_them():
    assert load("coco_panoptic", "low_res").data.ids == instance_ids.COCO
    assert load("cityscapes", "paper").data.ids == instance_ids.CITYSCAPES
    assert load("kitti_step", "paper").data.ids == instance_ids.KITTI_STEP
    assert load("davis", "paper").data.ids == instance_ids.DAVIS


def test_steps_are_the_epochs_that_the_comments_say():
    for name, variant, images, epochs in (
        ("coco_panoptic", "low_res", 118_287, 800),
        ("coco_panoptic", "high_res", 118_287, 15),
        ("coco_panoptic", "mask_prior", 118_287, 100),
        ("coco_panoptic", "ablation", 118_287, 100),
        ("coco_panoptic", "single_gpu", 118_287, 100),
        ("cityscapes", "paper", 2975, 200),
    ):
        config = load(name, variant)
        train = dataclasses.replace(config.train, num_epochs=float(epochs))
        by_epochs = length.with_lengths(
            dataclasses.replace(config, train=train), images
        )
        assert config.train.num_steps == by_epochs.train.num_steps


@pytest.mark.parametrize("name", ["kitti_step", "davis"])
def test_one_gpu_trains_on_the_videos_whole_recipe_in_parts(name):
    paper, single = load(name, "paper"), load(name, "single_gpu")
    assert dataclasses.replace(single, train=paper.train) == paper
    train = dataclasses.replace(
        single.train,
        grad_accumulation=1,
        remat="none",
        freeze_batch_norm=False,
        keep=10,
    )
    assert train == paper.train
    assert single.train.grad_accumulation > 1
