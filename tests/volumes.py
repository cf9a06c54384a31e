"""Small random videos, and metrics from their definitions by boolean masks."""

import json
from fractions import Fraction

import numpy as np

from pix2seq_d.evaluation.label_coding import LabelCoding

CODING = LabelCoding(5, (2, 3, 4), 255, 10)
INNER = LabelCoding(5, (2, 3), 4, 10)  # the ignore label is one of the classes


def arguments(coding):
    return {
        "num_classes": coding.num_classes,
        "things": coding.things,
        "ignore_label": coding.ignore_label,
        "label_divisor": coding.label_divisor,
    }


def random_volume(seed, coding=CODING, shape=(5, 12, 16)):
    """Truth with crowd and void, and a prediction that is partly right."""
    rng = np.random.default_rng(seed)
    small = (shape[0], shape[1] // 4, shape[2] // 4)

    def labels():
        classes = [c for c in range(coding.num_classes) if c != coding.ignore_label]
        kind = rng.choice([*classes, coding.ignore_label], small)
        instance = rng.integers(0, 3, small) * np.isin(kind, coding.things)
        coarse = kind * coding.label_divisor + instance
        return coarse.repeat(4, axis=1).repeat(4, axis=2).astype(np.int32)

    gt = labels()
    gt[1:] = np.where(rng.random(shape)[1:] < 0.7, gt[:1], gt[1:])
    pred = np.where(rng.random((shape[0], 1, shape[2])) < 0.7, gt, labels())
    return gt, pred.astype(np.int32)


def rename(labels, coding, seed):
    """Other instance numbers for the things, one to one; 0 stays."""
    table = np.random.default_rng(seed).permutation(np.arange(1, coding.label_divisor))
    instance = labels % coding.label_divisor
    return labels - instance + np.concatenate([[0], table])[instance]


def read_fixture(folder):
    """Coding, sequences (name, truth, prediction) and the official numbers."""
    config = json.loads((folder / "config.json").read_text())
    coding = LabelCoding(
        config["num_classes"],
        tuple(config["things_list"]),
        config["ignore_label"],
        config["label_divisor"],
    )
    sequences = []
    for name in config["sequences"]:
        with np.load(folder / f"{name}.npz") as arrays:
            sequences.append((name, arrays["gt"], arrays["pred"]))
    return coding, sequences, json.loads((folder / "expected.json").read_text())


def slow_association(gt, pred, coding):
    """Sum over truth tubes of AQ's term, and their number, as exact fractions."""
    gt_class, pred_class = gt // coding.label_divisor, pred // coding.label_divisor
    crowd = np.isin(gt_class, coding.things) & (gt % coding.label_divisor == 0)
    total, tubes = Fraction(0), 0
    for g in np.unique(gt[np.isin(gt_class, coding.things) & ~crowd]):
        tubes += 1
        truth = gt == g
        for p in np.unique(pred[np.isin(pred_class, coding.things)]):
            found = (pred == p) & ~crowd
            shared = int((truth & found).sum())
            if shared:
                union = int((truth | found).sum())
                total += Fraction(shared**2, union * int(truth.sum()))
    return total, tubes


def slow_iou(gt, pred, classes, ignore):
    """Class -> IoU over the pixels that are not ignored; only where a union is."""
    gt, pred = gt[gt != ignore], pred[gt != ignore]
    found = {}
    for c in classes:
        union = int(((gt == c) | (pred == c)).sum())
        if union:
            found[c] = Fraction(int(((gt == c) & (pred == c)).sum()), union)
    return found


def slow_pq_counts(gt, pred, coding, crowd_rule):
    """Class -> [iou_sum, tp, fp, fn] of one window, [k, H, W]."""
    counts = {c: [Fraction(0), 0, 0, 0] for c in range(coding.num_classes)}
    void = gt // coding.label_divisor == coding.ignore_label
    used = set()
    crowds = {}
    for g in np.unique(gt[~void]).tolist():
        kind, instance = divmod(g, coding.label_divisor)
        truth = gt == g
        if crowd_rule == "crowd" and kind in coding.things and instance == 0:
            crowds[kind] = truth
            continue
        hit = False
        for p in np.unique(pred).tolist():
            found = pred == p
            union = int((truth | (found & ~void)).sum())
            iou = Fraction(int((truth & found).sum()), union)
            if p // coding.label_divisor == kind and iou > Fraction(1, 2):
                counts[kind][0] += iou
                counts[kind][1] += 1
                used.add(p)
                hit = True
        counts[kind][3] += not hit
    for p in np.unique(pred).tolist():
        kind = p // coding.label_divisor
        if kind == coding.ignore_label or p in used:
            continue
        found = pred == p
        excuse = void | crowds.get(kind, np.zeros_like(void))
        if Fraction(int((found & excuse).sum()), int(found.sum())) <= Fraction(1, 2):
            counts[kind][2] += 1
    return counts
