"""Kills, full disks, caches that others hold or harm: the quick part of `soak_faults.py`, and single promises"""
import os, sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform!="linux", reason="kills, sessions and limits as Linux has them")
if sys.platform=="linux": import soak_faults
import torch

from sere_nb.results import _append
from sere_nb.evaluate import COLUMNS, EXTRA, BenchError


def test_faults():
    due = {"SIGKILL, sere run": 5, "SIGKILL, sere embed": 5, "full disk, sere run": 2, "read-only cache": 4, "a cache shared by 4 processes": 4, "wrong clock": 7, "a cache of another version": 3,
           "flipped bits in clips": 120, "flipped bits in the index": 150, "flipped bits in shards": 104}
    rows = list(soak_faults.soak(quick=True))
    assert not [(o["part"], o["note"]) for o in rows if o["lost"]]
    assert [o["part"].removeprefix("faults: ") for o in rows]==list(due) and all(o["cases"]>=n for o, n in zip(rows, due.values())), rows


def test_results_on_a_full_disk(tmp_path):
    row = dict.fromkeys([*COLUMNS, *EXTRA], 1.)
    with pytest.raises(BenchError, match="/dev/full: cannot be written .No space left on device.. Make room"): _append("/dev/full", row)
    _append(tmp_path/"results.csv", row)
    _append(tmp_path/"results.csv", row)
    assert (tmp_path/"results.csv").read_text().count("\n")==2


def test_a_model_is_replaced_by_both_its_files_or_by_none(tmp_path, monkeypatch):
    from sere_nb import learner, saved
    from test_fuzz import some_clips
    emb = some_clips()
    one, two = (learner.SERE(rounds=2, seed=i).fit(emb[:12], emb[12:]) for i in range(2))
    one.save(tmp_path/"m")
    before = {o.name: o.read_bytes() for o in (tmp_path/"m").iterdir()}
    dumps = saved.json.dumps
    def full(o, **how):
        if "indent" in how: raise OSError(28, os.strerror(28))
        return dumps(o, **how)
    monkeypatch.setattr(saved.json, "dumps", full)
    with pytest.raises(learner.LearnerError, match="^[^\n]*m: the model cannot be written .No space left on device.*stays.$"): two.save(tmp_path/"m")
    monkeypatch.undo()
    assert {o.name: o.read_bytes() for o in (tmp_path/"m").iterdir()}==before       # and no other file
    assert torch.equal(learner.SERE.load(tmp_path/"m").structure.prototype, one.structure.prototype)
    two.save(tmp_path/"m")
    assert {o.name: o.read_bytes() for o in (tmp_path/"m").iterdir()}!=before
