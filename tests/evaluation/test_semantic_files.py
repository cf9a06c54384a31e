"""Folders of gray label maps, and one line for what is broken."""

import pickle

import numpy as np
import pytest
from label_files import refused, save_png
from PIL import Image

from pix2seq_d.evaluation.readers.semantic_files import SemanticFiles
from pix2seq_d.evaluation.semantic import MeanIoU


def test_semantic_files_of_cityscapes(tmp_path):
    image = "frankfurt/frankfurt_000000_000294"
    gt, pred = np.array([[0, 255], [1, 2]], "u1"), np.array([[0, 0], [1, 1]], "u1")
    save_png(tmp_path / f"gtFine/{image}_gtFine_labelTrainIds.png", gt)
    save_png(tmp_path / f"gtFine/{image}_gtFine_labelIds.png", gt + 7)
    save_png(tmp_path / f"gtFine/{image}_gtFine_color.png", np.zeros((2, 2, 3), "u1"))
    save_png(tmp_path / f"found/{image}_leftImg8bit.png", pred)
    save_png(tmp_path / "found/other/x.png", pred)
    reader = SemanticFiles(tmp_path / "gtFine", tmp_path / "found", ignore_label=255)
    reader = pickle.loads(pickle.dumps(reader))
    assert reader.names == (image,)
    assert len(reader) == 1
    pair = reader.read(image)
    quality = MeanIoU(3, ignore_label=255)
    quality.update(pair.truth, pair.found, where=pair.where)
    assert quality.result()["iou_per_class"] == {0: 1.0, 1: 0.5, 2: 0.0}
    quality = MeanIoU(2, ignore_label=255)
    message = "found/frankfurt/.*_leftImg8bit.png .truth .*Ids.png.: the truth holds cl"
    with pytest.raises(ValueError, match=message):
        quality.update(pair.truth, pair.found, where=pair.where)


def test_semantic_files_palette_and_16_bits(tmp_path):
    gt = np.array([[0, 1], [2, 300]], np.uint16)
    save_png(tmp_path / "gt/a.png", gt)
    palette = Image.fromarray(np.array([[0, 1], [2, 3]], "u1"), "L").convert("P")
    palette.putpalette([9, 9, 9] * 256)
    (tmp_path / "pred").mkdir()
    palette.save(tmp_path / "pred/a.png")
    reader = SemanticFiles(tmp_path / "gt", tmp_path / "pred", ignore_label=255)
    pair = reader.read("a")
    assert pair.truth.tolist() == gt.tolist()
    assert pair.found.tolist() == [[0, 1], [2, 3]]


def test_semantic_files_missing_or_bad_are_named_or_ignore(tmp_path):
    roots = [tmp_path / "gt", tmp_path / "pred"]
    for root in roots:
        root.mkdir()
    load, options = SemanticFiles, {"ignore_label": 255}
    refused(FileNotFoundError, "gt: holds no PNGs", load, *roots, **options)
    save_png(roots[0] / "a.png", np.zeros((2, 2), "u1"))
    message = "pred: lacks all 1 predictions that .*gt asks for, such as a; correct"
    refused(FileNotFoundError, message, load, *roots, **options, allow_missing=True)
    for root in roots:
        save_png(root / "b.png", np.ones((2, 2), "u1"))
    message = r"pred: lacks a \(1 of the 2 .*\); add them, or pass allow_missing to"
    refused(FileNotFoundError, message, load, *roots, **options)
    reader = load(*roots, **options, allow_missing=True)
    assert (reader.read("a").found == 255).all()
    assert reader.read("a").where.endswith("gt/a.png")
    assert (reader.read("b").found == 1).all()
    save_png(roots[1] / "a.png", np.zeros((2, 2, 3), "u1"))
    message = "pred/a.png: has mode RGB; write gray PNGs"
    refused(ValueError, message, load(*roots, **options).read, "a")
    save_png(roots[1] / "a_leftImg8bit.png", np.zeros((2, 2), "u1"))
    message = "a_leftImg8bit.png: is a second label map of a beside a.png; keep one"
    refused(ValueError, message, load, *roots, **options)
    refused(
        FileNotFoundError, "none: no such", load, tmp_path / "none", roots[1], **options
    )
