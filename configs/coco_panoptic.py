"""COCO panoptic as the paper trains on it: --config.data.source.root=DIR.

The paper's way to its result is three trainings, each from the weights of the one
before, and an encoder pre-trained on Objects365 (spec 5.2, 5.4):

  python -m launch.train --config=coco_panoptic:mask_prior --workdir=work/prior ...
  python -m launch.train --config=coco_panoptic:low_res --workdir=work/low ... \
      --config.init.from=work/prior --config.init.encoder=OFFICIAL_CHECKPOINT
  python -m launch.train --config=coco_panoptic:high_res --workdir=work/high ... \
      --config.init.from=work/low

The paper reports PQ 50.3 for high_res at 20 steps [secondary]. Not reproduced here.

Tags of sources: [code] the released code, [memory H|M] and [secondary] as in the spec,
[derived] computed from these, [ours] unknown or our own.
"""

import ml_collections

from pix2seq_d import config as config_lib
from pix2seq_d.config import debug

VARIANTS = ("mask_prior", "low_res", "high_res", "ablation", "single_gpu", "debug")
TRAIN_IMAGES = 118_287  # of train2017 [code]


def get_config(variant: str = "low_res") -> ml_collections.ConfigDict:
    if variant not in VARIANTS:
        raise ValueError(
            f"unknown variant {variant!r} of coco_panoptic; choose one of {VARIANTS}"
        )
    config = config_lib.default()
    config.data.source.update(
        name="coco_panoptic", train_split="train2017", eval_split="val2017"
    )
    _all_stages(config)
    match variant:
        case "mask_prior":
            _low_res(config)
            _mask_prior(config)
        case "low_res":
            _low_res(config)
        case "high_res":
            _high_res(config)
        case "ablation":
            _low_res(config)
            _ablation(config)
        case "single_gpu":
            _low_res(config)
            _single_gpu(config)
        case "debug":
            _low_res(config)
            debug.shrink(config, image_size=(64, 64), mask_size=(32, 32))
            config.optimizer.warmup_steps = 5
    return config


def _steps(epochs: int, batch_size: int) -> int:
    """As the released code counts them (spec 5.1)."""
    return TRAIN_IMAGES * epochs // batch_size + 1


def _all_stages(config: ml_collections.ConfigDict) -> None:
    """What spec 5.2 has the same for both stages."""
    config.model.update(
        num_classes=134,  # [derived]
        max_instances=101,  # [code]
        bit_scale=0.1,  # [code], [secondary]
        prediction="x_softmax_xent",  # [code]
        softmax_groups=2,  # [code]
        conditioning=("concat", "cross_attention"),  # [code]
        self_conditioning="none",  # [code]
    )
    config.model.encoder.update(dropout=0.1, drop_path=0.1)  # [code]
    config.model.decoder.dropout = 0.0  # [code]
    config.diffusion.update(
        loss_weight_power=0.2,  # [code]
        num_steps=20,  # [secondary]
        time_difference=2.0,  # [memory H]; [code] evaluates 1.0 and 2.0
    )
    config.optimizer.update(
        end_lr_factor=0.1,  # [code]
        weight_decay=0.05,  # [code]
        b1=0.9,  # [code]
        b2=0.999,  # [code]
        clip_norm=1.0,  # [code]
        ema_decay=0.999,  # [code]
    )
    # The released code computes in float32 with the TPU's bfloat16 products; [ours].
    config.train.dtype = "bfloat16"
    config.train.keep = 10  # [code]
    config.data.flip = 0.5  # [code]
    config.evaluation.min_area = 40  # [code]; 80 in the paper [memory H]


def _low_res(config: ml_collections.ConfigDict) -> None:
    """256 px, 800 epochs: 184,824 steps of 512 images.

    By the TPU compiler it takes 5.2 of 16.9 GB on a v5e:8x8 (docs/scaling.md).
    """
    config.model.update(image_size=(256, 256), mask_size=(128, 128))  # [memory H]
    config.optimizer.update(
        peak_lr=1e-4,  # [code]
        warmup_steps=5 * TRAIN_IMAGES // 512,  # 5 epochs [code], 1,155 [derived]
    )
    config.train.update(
        batch_size=512,  # [code]
        num_steps=_steps(800, 512),  # 800 epochs [code], [secondary]
        checkpoint_every=10 * TRAIN_IMAGES // 512,  # 10 epochs [code]
    )
    config.data.update(scale_jitter=(1.0, 3.0), color_jitter=1.0)  # [code]
    config.evaluation.batch_size = 64  # [ours]


def _high_res(config: ml_collections.ConfigDict) -> None:
    r"""1024 px, 15 epochs: 110,895 steps of 16 images; from low_res, EMA included.

    One card of 80 GB takes the batch in parts of 2 images, too few for batch-norm,
    which keeps the statistics of low_res; [ours], not run:

      --config.train.grad_accumulation=8 --config.train.remat=blocks \
      --config.train.freeze_batch_norm=True

    0.51 days on an H100 at 40 % of its peak (`--dry_run`). A v5e:4x4 takes the whole
    batch in 8.8 of 16.9 GB by the TPU compiler (docs/scaling.md).
    """
    config.model.update(image_size=(1024, 1024), mask_size=(512, 512))  # [code]
    config.optimizer.update(peak_lr=1e-5, warmup_steps=0)  # [code]
    config.train.update(
        batch_size=16,  # [code]
        num_steps=_steps(15, 16),  # 15 epochs [code]
        checkpoint_every=TRAIN_IMAGES // 16,  # 1 epoch [code]
    )
    config.data.update(scale_jitter=(1.0, 1.0), color_jitter=0.0)  # [code]
    config.evaluation.batch_size = 16  # [ours]


def _mask_prior(config: ml_collections.ConfigDict) -> None:
    """The decoder alone on COCO's masks [secondary], [memory H].

    All numbers are [ours]: those of low_res, 100 epochs of it.
    """
    config.model.conditioning = ()  # [code]
    config.train.num_steps = _steps(100, 512)
    config.data.color_jitter = 0.0  # no image is seen


def _ablation(config: ml_collections.ConfigDict) -> None:
    """One stage at 512 px, 100 epochs of batch 128 [memory M].

    What the spec does not say, learning rate and augmentation, is low_res's; [ours].
    """
    config.model.update(image_size=(512, 512), mask_size=(256, 256))  # [memory M]
    config.optimizer.warmup_steps = 5 * TRAIN_IMAGES // 128  # [ours]
    config.train.update(
        batch_size=128,  # [memory M]
        num_steps=_steps(100, 128),  # 100 epochs [memory M]
        checkpoint_every=10 * TRAIN_IMAGES // 128,  # [ours]
    )
    config.evaluation.batch_size = 16  # [ours]


def _single_gpu(config: ml_collections.ConfigDict) -> None:
    """low_res on one GPU, an eighth of its images, 8 at once; [ours], not run.

    `launch.train --config=coco_panoptic:single_gpu --dry_run`: 0.16 days on an H100,
    1.3 on an L4 of 24 GB, at 40 % of their peaks. 80 GB: grad_accumulation=2.
    """
    config.optimizer.warmup_steps = 1000
    config.train.update(
        batch_size=64, num_steps=_steps(100, 64), checkpoint_every=2000, keep=3
    )
    config.train.update(grad_accumulation=8, remat="dots")
