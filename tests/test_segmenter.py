"""The model in one object: pictures of every kind, lists, settings, what it says."""

import jax
import numpy as np
import pytest
import saved_training
from PIL import Image

from pix2seq_d import Segmenter
from pix2seq_d.data import evaluation as eval_data
from pix2seq_d.data.shapes import Shapes
from pix2seq_d.inference.postprocess import to_panoptic
from pix2seq_d.inference.regions import by_region

SIZES = [(1, 1), (32, 48), (90, 41), (7, 300)]


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, micro):
    folder = tmp_path_factory.mktemp("segmenter") / "work"
    argv = ["--config=shapes:tiny", *micro, "--config.diffusion.num_steps=2"]
    saved_training.save(folder, argv, steps=[1])
    return folder


@pytest.fixture(scope="module")
def segmenter(workdir):
    return Segmenter.from_checkpoint(workdir)


@pytest.fixture(scope="module")
def photos():
    scenes = Shapes("val", size=(64, 64), num_examples=len(SIZES))
    pictures = [Image.fromarray(scenes[k].image) for k in range(len(SIZES))]
    return [
        np.asarray(p.resize(size[::-1]))
        for p, size in zip(pictures, SIZES, strict=True)
    ]


def test_a_list_of_mixed_sizes_is_each_image_alone(segmenter, photos, caplog):
    with jax.log_compiles(), caplog.at_level("WARNING"):
        together = segmenter.predict(photos, seed=3, min_area=0)
        segmenter.predict(photos[:3], seed=4, min_area=0)
    compiled = [r for r in caplog.records if "Compiling jit(_sample)" in r.message]
    assert len(compiled) == 1, [r.message for r in caplog.records]
    for photo, found in zip(photos, together, strict=True):
        alone = segmenter.predict(photo, seed=3, min_area=0)
        assert found.panoptic.ids.shape == photo.shape[:2]
        # Batches of another size round differently: bits near zero may flip.
        same = found.semantic == alone.semantic
        assert same.mean() > 0.98
    assert segmenter.predict([]) == []


def test_more_images_than_a_batch_come_in_order(segmenter, photos):
    found = segmenter.predict(photos * 3, batch_size=4)
    assert [f.image.shape[:2] for f in found] == SIZES * 3
    np.testing.assert_array_equal(found[1].panoptic.ids, found[5].panoptic.ids)


def test_arrays_pil_images_and_files_are_the_same(segmenter, photos, tmp_path):
    photo = photos[1]
    path = tmp_path / "a.png"
    Image.fromarray(photo).save(path)
    expected = segmenter.predict(photo).panoptic.ids
    for picture in (Image.fromarray(photo), path, str(path)):
        np.testing.assert_array_equal(segmenter.predict(picture).panoptic.ids, expected)


def test_pil_images_are_turned_upright_and_converted(segmenter, photos):
    turned = Image.fromarray(photos[2])
    turned.getexif()[0x0112] = 6
    assert segmenter.predict(turned).panoptic.ids.shape == (41, 90)
    for mode in ("L", "CMYK", "RGBA", "P"):
        found = segmenter.predict(Image.fromarray(photos[2]).convert(mode))
        assert found.image.shape == photos[2].shape


def test_settings_change_what_comes_out(segmenter, photos):
    # Seeds, and the settings of the sampler, alter a random model's map.
    photo = photos[1]
    usual = segmenter.predict(photo, min_area=0)
    assert usual.steps == 2
    for changed in (
        dict(seed=1),
        dict(num_steps=3),
        dict(time_difference=0.0),
        dict(start_time=0.3),
    ):
        found = segmenter.predict(photo, **{"min_area": 0, "num_steps": 2} | changed)
        assert (found.panoptic.ids != usual.panoptic.ids).any(), changed
        assert found.steps == changed.get("num_steps", 2)
    sampled = segmenter.predict(photo, min_area=0, sampler="ddpm")
    assert (sampled.panoptic.ids != usual.panoptic.ids).any()
    area = min(s.area for s in usual.segments)
    fewer = segmenter.predict(photo, min_area=area + 1)
    assert min((s.area for s in fewer.segments), default=area + 1) > area


def test_a_thing_is_a_connected_region_where_ids_are_not_used(segmenter, photos):
    photo = photos[1]
    found = segmenter.predict(photo, min_area=0, instances="regions")
    assert len(found.segments) > 5
    labels = segmenter.label_space
    # Without a smallest area every pixel is what its own bits say.
    semantic = labels.category_ids.searchsorted(found.semantic)
    height, width = photo.shape[:2]
    expected = by_region(
        np.stack([semantic, semantic], -1),
        is_thing=labels.is_thing,
        image_size=(height, width),
        unpadded=(height, width),
    )[..., 1]
    pairs = np.unique([found.panoptic.ids.ravel(), expected.ravel()], axis=1)
    assert len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == len(pairs[0])
    by_id = segmenter.predict(photo, min_area=0)
    assert len(by_id.segments) != len(found.segments)


def test_confidence_is_that_of_pixels_the_vote_left_alone(segmenter, photos):
    found = segmenter.predict(photos[1], min_area=0)
    assert found.certainty is not None
    assert found.certainty.shape == photos[1].shape[:2]
    assert found.certainty.min() >= 0 and found.certainty.max() <= 1
    for segment in found.segments:
        mask = found.panoptic.ids == segment.id
        assert segment.confidence == pytest.approx(found.certainty[mask].mean())
    assert len({s.confidence for s in found.segments}) > 1


def test_a_warm_model_compiles_nothing(segmenter, photos, caplog):
    segmenter.warm_up(num_steps=4, batch_size=2)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        segmenter.predict(photos[:2], num_steps=4)
    parts = "Compiling jit(_encode)", "Compiling jit(_sample)"
    assert not [r for r in caplog.records if any(p in r.message for p in parts)]


def test_another_sampler_compiles_no_other_encoder(segmenter, photos, caplog):
    segmenter.predict(photos[1])
    with jax.log_compiles(), caplog.at_level("WARNING"):
        segmenter.predict(photos[1], num_steps=5)
    compiled = [r.message for r in caplog.records if "Compiling jit(_" in r.message]
    assert len(compiled) == 1 and "jit(_sample)" in compiled[0]


def test_devices_and_dtype_are_chosen(workdir, segmenter, photos):
    devices = jax.devices()[2:4]
    chosen = Segmenter.from_checkpoint(workdir, devices=devices, dtype="bfloat16")
    assert "bfloat16" in repr(chosen) and str(devices[1]) in repr(chosen)
    (leaf, *_) = jax.tree.leaves(chosen.trained.variables)
    assert leaf.devices() == set(devices)
    # Rounding moves bits near zero; most labels stay.
    found = chosen.predict(photos[1], min_area=0).semantic
    exact = segmenter.predict(photos[1], min_area=0).semantic
    assert (found == exact).mean() > 0.5
    assert "images at 32 x 32, 9 classes, 2 steps, float32" in repr(segmenter)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (dict(num_steps=0), "num_steps=0"),
        (dict(sampler="euler"), "sampler='euler'"),
        (dict(time_difference=-1.0), "time_difference=-1.0"),
        (dict(start_time=0.0), "start_time=0.0"),
        (dict(batch_size=0), "batch_size=0"),
        (dict(min_area=-1), "min_area=-1"),
        (dict(instances="region"), "instances='region'"),
    ],
)
def test_bad_settings_are_named(segmenter, photos, settings, words):
    with pytest.raises(ValueError, match=words):
        segmenter.predict(photos[1], **settings)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_refused(segmenter, image):
    with pytest.raises(ValueError, match=r"an image must be uint8 \[H, W, 3\]"):
        segmenter.predict(image)


def test_a_file_that_is_no_picture_is_named(segmenter, tmp_path):
    path = tmp_path / "notes.png"
    path.write_text("no picture")
    with pytest.raises(ValueError, match=r"notes\.png: cannot be decoded"):
        segmenter.predict(path)
    with pytest.raises(FileNotFoundError, match=r"absent\.png: no such file"):
        segmenter.predict(tmp_path / "absent.png")


@pytest.mark.parametrize(
    "settings", [{}, {"num_steps": 3, "seed": 5, "start_time": 0.8}]
)
def test_denoising_ends_with_what_predict_gives(segmenter, photos, settings):
    photo = photos[1]
    found = segmenter.denoising(photo, **settings)
    result = segmenter.predict(photo, **settings)
    assert len(found) == len(found.gammas) == result.steps
    # Noise alone at first, or what is taken for it; more signal with each step.
    first = np.cos(np.pi / 2 * settings.get("start_time", 1.0)) ** 2
    assert found.gammas[0] == pytest.approx(first, abs=1e-3)
    assert (np.diff(found.gammas) > 0).all()
    assert (found.states[0] != found.states[-1]).any()
    config = segmenter.trained.config
    labels = eval_data.restore(
        found.states[-1],
        image_size=found.image_size,
        unpadded=found.unpadded,
        original=photo.shape[:2],
    )
    voted = to_panoptic(
        labels,
        segmenter.label_space,
        min_area=config.evaluation.min_area,
        merge=config.evaluation.merge_stuff,
        rule=config.data.ids,
    )
    # Two programs of one sampler: bits near zero may flip.
    assert (voted.ids == result.panoptic.ids).mean() > 0.98


def test_a_raw_map_has_every_pair_as_the_sampler_left_it(segmenter):
    """A photo of the network's own size, a map of the mask's."""
    photo = np.full((*segmenter.image_size, 3), 90, np.uint8)
    found = segmenter.denoising(photo)
    state = found.states[0]
    raw = found.raw_map(0, state.shape[:2])
    semantic, instance = state[..., 0], state[..., 1]
    # Stuff of shapes needs no id.
    is_thing = segmenter.label_space.is_thing[semantic]
    labelled = (semantic > 0) & ((instance > 0) | ~is_thing)
    np.testing.assert_array_equal(raw.ids > 0, labelled)
    pairs = {tuple(p) for p in state[labelled].tolist()}
    assert len(raw.segments) == len(pairs) > 3
    larger = found.raw_map(0, (2 * state.shape[0], 2 * state.shape[1]))
    np.testing.assert_array_equal(larger.ids[::2, ::2], raw.ids)
