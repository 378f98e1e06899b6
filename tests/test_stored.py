"Clips that stay on disk: the same job, read part by part"
import functools

import numpy as np
import pytest

import sere_nb.encoder
from sere_nb.cli import main
from sere_nb.corpora import data_samples, draw_shots, read_manifest
from sere_nb.encoder import Embeddings, Stored, embed
from sere_nb.explore import report_html
from sere_nb.vectors import voice_by_voice
from sere_nb.learner import SERE


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    cache = tmp_path_factory.mktemp('cache')
    table = read_manifest(data_samples()/'manifest.csv')
    table = table[table.language.isin(['de', 'it'])].reset_index(drop=True)
    both = [embed(table, 'acoustic', cache=cache, progress=False, memory_gb=gb) for gb in (4., 1e-6)]
    shot = np.array(draw_shots(table.assign(emotion=table.emotion.where(table.language == 'de', '')), 5, 0))
    return *both, shot


def test_the_cache_is_read_clip_by_clip(clips):
    memory, disk, _ = clips
    assert isinstance(memory, Embeddings) and isinstance(disk, Stored) and disk.table.equals(memory.table)
    rows = np.array([7, 200, 7, 0])
    for view in memory.views: assert disk[rows].load().views[view].values.nan_to_num(-9).equal(memory[rows].views[view].values.nan_to_num(-9))
    joined = Embeddings.concat([memory[:3], disk[5:7]])
    assert isinstance(joined, Stored) and joined.load().table.path.tolist() == memory.table.path[[0, 1, 2, 5, 6]].tolist()
    assert disk.describe().equals(memory.describe())


def test_parts_hold_voices_whole_where_they_fit():
    rng = np.random.default_rng(0)
    group, size = rng.integers(0, 9, 400), rng.uniform(1, 3, 400)
    parts = voice_by_voice(group, size, 60.)
    assert sorted(np.concatenate(parts)) == list(range(400)) and max(size[p].sum() for p in parts) <= 60
    whole = voice_by_voice(group, size, 120.)
    assert all(sum(np.isin(np.flatnonzero(group == g), p).any() for p in whole) == 1 for g in range(9))


def test_the_same_job(clips):
    memory, disk, shot = clips
    a, b, c = SERE(seed=0).fit(memory[shot], memory[~shot]), SERE(seed=0).fit(memory[shot], disk[~shot]), SERE(seed=0, memory_gb=.04).fit(disk[shot], disk[~shot])
    assert (a.predict() == b.predict()).mean() > .97 and (a.predict() == c.predict()).mean() > .75
    assert (a.highlights()[['start_s', 'end_s']] == b.highlights()[['start_s', 'end_s']]).to_numpy().mean() > .9     # vectors on disk have 16 bits
    assert np.allclose(b.predict_proba()[[5, 3]], b.predict_proba([5, 3]), atol=1e-5) and b.transform([5, 3]).shape == a.transform([5, 3]).shape
    fields, again = b.resonance([5, 3]), a.resonance([5, 3])
    assert all(np.allclose(x['r'], y['r'], atol=.1) and np.allclose(x['weight'], y['weight'], atol=.02) for x, y in zip(fields, again))
    assert (c.predict(disk[:40]) == c.predict(memory[:40])).mean() > .9
    a, b = (SERE(prior='estimate', rounds=2).fit(memory[shot], o[~shot]) for o in (memory, disk))
    assert (a.predict() == b.predict()).mean() > .97


def test_a_report_of_an_excerpt(clips):
    memory, disk, shot = clips
    learner = SERE(seed=0, rounds=2).fit(disk[shot], disk[~shot])
    page = report_html(learner, memory.table.emotion.to_numpy(), audio_mb=0, layouts=('pca',))
    assert f'The map shows {len(disk)} of {len(disk)} clips' in page


def test_the_whole_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sere_nb.encoder, 'embed', functools.partial(embed, memory_gb=1e-6))
    d = data_samples()
    assert main(f'run --source {d}/de.csv --target {d}/it.csv --map pca --audio-mb 0 --cache {tmp_path}/cache --out {tmp_path}/out -q'.split()) == 0
    assert len((tmp_path/'out'/'predictions.csv').read_text().splitlines()) == 121 and 'The map shows' in (tmp_path/'out'/'report.html').read_text()
    assert main(f'predict --model {tmp_path}/out/model --manifest {d}/zh.csv --cache {tmp_path}/cache -o {tmp_path}/more.csv -q'.split()) == 0
