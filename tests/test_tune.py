"Upper blocks tuned by gradient: it reaches the low-rank weights alone, no label is read, runs are gone on with to the same bytes, folders of others are refused"
import copy, json, subprocess, sys

import numpy as np, pandas as pd, pytest, torch
import torch.nn.functional as F

import sere_nb.tune as T
from sere_nb.bench import bench, make_protocol
from sere_nb.corpora import data_samples, draw_shots, read_manifest
from sere_nb.encoder import Embeddings, EncoderError, JoinedEncoder, SAID, Stored, embed, load_encoder
from sere_nb.files import LostError
from sere_nb.learner import SERE
from sere_nb import rounds
from sere_nb.models import toy_whisper
from sere_nb.rivals import _method
from sere_nb.structure import LearnerError
from sere_nb.tune import Beneath, TunedBlocks, fit_tuned, tune, tuned_encoder, whisper_of

HOW = dict(epochs=3, steps=3, batch=16, rate=.02, least=0.)


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    "A toy Whisper, its views and the states beneath block 3 of a few German and Italian clips, shots first"
    d = tmp_path_factory.mktemp('toy')
    encoder = load_encoder(toy_whisper(d/'toy', blocks=6, width=64), device='cpu', dtype='float32')
    table = read_manifest(data_samples()/'manifest.csv')
    parts = []
    for language in ('de', 'it'):
        one = table[(table.language == language) & table.emotion.isin(['anger', 'sadness', 'neutral'])]
        parts.append(one[one.speaker.isin(sorted(one.speaker.unique())[:2])])
    german = parts[0].reset_index(drop=True)
    shot = draw_shots(german, n=4, seed=0)
    table = pd.concat([german[shot], german[~shot], parts[1]], ignore_index=True)
    emb, beneath = embed(table, encoder, progress=False), embed(table, Beneath(encoder), progress=False)
    return encoder, emb[:shot.sum()], emb[shot.sum():], beneath, d


def fresh(): return SERE(seed=0, dims=16, contents=(8,), rounds=8, device='cpu')


def fit(world, **how):
    encoder, shots, free, beneath, _ = world
    return fit_tuned(fresh(), shots, free, encoder, beneath, **{**HOW, **how})


@pytest.fixture(scope='module')
def tuned(world): return fit(world)


def bytes_of(module): return {k: x.detach().numpy().tobytes() for k, x in module.state_dict().items()}


# -- what is heard

def test_untouched_blocks_give_what_the_encoder_gives(world):
    encoder, shots, free, beneath, _ = world
    blocks, clips = TunedBlocks(encoder), Embeddings.concat([shots, free])
    view = f'{encoder.name}.3'
    states = [beneath.views[blocks.beneath.name][i] for i in range(12)]
    with torch.no_grad(): together, alone = blocks(states)[view], blocks(states[5:6])[view]
    for i, h in enumerate(together):
        own = clips.views[view][i].float()
        assert F.cosine_similarity(h[:len(own)], own, dim=1).min() > .9999
    assert torch.allclose(alone[0], together[5, :alone.shape[1]], atol=1e-4)


def test_two_blocks_may_be_tuned(world):
    encoder = world[0]
    blocks = TunedBlocks(encoder, 2, rank=3)
    assert list(blocks.views) == [2, 3] and len(blocks.weights) == 8 and all(3 in p.shape for p in blocks.weights.values())


# -- where the gradient goes

def test_gradients_reach_only_the_low_rank_weights(world):
    encoder, shots, free, beneath, _ = world
    before = bytes_of(encoder.model)
    s = fresh().fit(shots, free)
    blocks = TunedBlocks(encoder)
    views = T._TunedViews(s, blocks, Embeddings.concat([shots, free]), beneath)
    views.hear()
    s.step()
    held, kept = bytes_of(blocks), {k: getattr(s.structure, k).clone() for k in T._OF_STRUCTURE}
    adam = torch.optim.AdamW(blocks.weights.values(), 1e-2)
    T._descend(views, adam, T._steps(len(s.label_), 16, 3, 0, 0))
    after = bytes_of(blocks)
    assert {k for k in held if held[k] != after[k]} == set(blocks.weights) and all('lora_' in k for k in blocks.weights)
    assert all(p.grad is None for k, p in blocks.named_parameters() if k not in blocks.weights)
    assert all(torch.equal(getattr(s.structure, k), x) for k, x in kept.items()) and bytes_of(encoder.model) == before


def test_vectors_with_a_gradient_are_those_of_the_learner(world, tuned):
    encoder, shots, free, beneath, _ = world
    views = T._TunedViews(copy.copy(tuned), tuned.blocks_, Embeddings.concat([shots, free]), beneath)
    views.hear()
    rows = torch.tensor([3, 40, 17, 25])
    with torch.no_grad(): x = views.vectors(rows)
    assert len(x) == 2      # the layer, and the layer less its contents
    for i, v in x.items(): assert F.cosine_similarity(v, tuned._clips.x[i, rows], dim=1).min() > .98


def test_it_lowers_what_it_is_asked_to(world):
    "TRIC, or TRIC less what it would be if there were one emotion; either further than rounds alone"
    tuned, alone, plain = (fit(world, steps=20, **how) for how in ({}, dict(rate=0.), dict(relative=False)))
    assert tuned.training_[0] == alone.training_[0] == plain.training_[0]
    last = lambda s, own: s.training_[-1]['tric']-own*s.training_[-1]['one']
    assert last(plain, 0) < last(alone, 0)-.1 and last(plain, 0) < last(tuned, 0)-.1
    assert last(tuned, 1) < last(alone, 1)-.01 and last(tuned, 1) < last(plain, 1)-.01
    for h in tuned.training_: assert h['tric'] == pytest.approx(sum(v for k, v in h.items() if k not in ('epoch', 'tric', 'one')), abs=1e-3)


def test_one_emotion_is_where_its_tric_is_lowest(world, tuned):
    "Any other prototype or measure gives more; and it does not depend on the shares"
    clean = rounds.clean(tuned)
    t, value = T._one_for_all(tuned, clean)
    assert t.mean.shape[1] == 1
    o, s = tuned._clips, tuned.settings
    everyone = torch.ones(len(tuned.label_), 1)
    def tric(change):
        m = T.tric_of(t, tuned.effects_, s['variance'])
        with torch.no_grad(): change(m)
        with torch.no_grad(): return float(m.reducer(m.parts(T.Clips(o.x, o.cover, torch.full((len(everyone),), -1), o.group), everyone, T.farness(clean, o.cover, m.mean, m.adapter, m.freedom))))
    assert tric(lambda m: None) == pytest.approx(value, abs=1e-4)
    for change in (lambda m: m.mean.add_(.05), lambda m: m.root.add_(torch.diag_embed(torch.full(m.root.shape[:2], .05))), lambda m: m.root.sub_(torch.diag_embed(torch.full(m.root.shape[:2], .05)))):
        assert tric(change) > value


def test_it_stops_early_without_labels(world):
    assert len(fit(world, rate=0., least=.5, patience=1).training_) == 2


# -- the same again

def test_seeds(world, tuned):
    assert bytes_of(fit(world).blocks_) == bytes_of(tuned.blocks_) != bytes_of(fit(world, seed=1).blocks_)


def test_no_label_is_read(world, tuned):
    encoder, shots, free, beneath, _ = world
    hidden = copy.copy(free)
    hidden.table = free.table.assign(emotion=np.random.default_rng(0).permutation(free.table.emotion))
    again = fit_tuned(fresh(), shots, hidden, encoder, beneath, **HOW)
    assert torch.equal(again.history_[-1]['proba'], tuned.history_[-1]['proba']) and bytes_of(again.blocks_) == bytes_of(tuned.blocks_)


class Stop(Exception): pass


@pytest.mark.parametrize('at', [2, 3])
def test_gone_on_with_it_ends_with_the_same_bytes(world, tuned, tmp_path, at):
    left = [at]
    def stops(_):
        left[0] -= 1
        if not left[0]: raise Stop
    path = tmp_path/'run.safetensors'
    with pytest.raises(Stop): fit(world, checkpoint=path, watch=stops)
    for _ in range(2):      # the second time nothing is left to do but the last round
        again = fit(world, checkpoint=path)
        assert again.training_ == tuned.training_ and bytes_of(again.blocks_) == bytes_of(tuned.blocks_)
        assert torch.equal(again.history_[-1]['proba'], tuned.history_[-1]['proba'])


def test_checkpoints_of_others_are_refused_and_stay(world, tmp_path):
    path = tmp_path/'run.safetensors'
    fit(world, checkpoint=path, epochs=1)
    whole = path.read_bytes()
    for how in dict(), dict(epochs=1, rate=.1), dict(epochs=1, seed=1), dict(epochs=1, relative=False), dict(epochs=1, rank=4), dict(epochs=1, block=2):
        world2 = (*world[:3], embed(Embeddings.concat(world[1:3]).table, Beneath(world[0], 2), progress=False), world[4]) if 'block' in how else world
        with pytest.raises(LearnerError, match='other clips or settings'): fit(world2, checkpoint=path, **how)
    for data in whole[:60], b'', b'my diary':
        path.write_bytes(data)
        with pytest.raises(LearnerError, match='no checkpoint') as e: fit(world, checkpoint=path)
        assert '\n' not in str(e.value) and path.read_bytes() == data


# -- kept, and used again

def test_a_folder_comes_back_and_peft_reads_it(world, tuned, tmp_path):
    from peft import PeftModel
    encoder, _, _, beneath, _ = world
    folder = tuned.blocks_.save(tmp_path/'tuned')
    assert sorted(o.name for o in folder.iterdir() if o.name[0] != '.') == ['adapter_config.json', 'adapter_model.safetensors']
    assert str(tmp_path) not in (folder/'adapter_config.json').read_text() and encoder.name in (folder/'adapter_config.json').read_text()
    assert bytes_of(TunedBlocks.load(encoder, folder)) == bytes_of(tuned.blocks_)
    theirs = PeftModel.from_pretrained(copy.deepcopy(encoder.model), folder)
    x = torch.randn(1, 20, 64, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 1, 1, 20)
    out = [m.base_model.model.layers[2](x, mask) for m in (theirs, tuned.blocks_.model)]
    a, b = (o[0] if isinstance(o, tuple) else o for o in out)
    assert torch.allclose(a, b, atol=1e-5) and not torch.allclose(a, (lambda o: o[0] if isinstance(o, tuple) else o)(encoder.model.layers[2](x, mask)), atol=1e-4)


def test_tuned_weights_are_an_encoder(world, tuned, tmp_path):
    encoder, shots, free, _, _ = world
    again = tuned_encoder(encoder, tuned.blocks_.save(tmp_path))
    assert again.views == encoder.views and again.key != encoder.key and again.key == tuned_encoder(encoder, tuned.blocks_).key
    heard = embed(free.table, again, tmp_path/'cache', progress=False)
    apart = {v: float((f.values.float()-free.views[v].values.float()).abs().mean()) for v, f in heard.views.items()}
    assert apart[encoder.name+SAID] < .002 and apart[f'{encoder.name}.2'] < .002 and apart[f'{encoder.name}.3'] > .004
    assert (tuned.predict(heard) == tuned.predict()[len(shots):]).mean() > .9
    assert SERE(seed=0, dims=16, contents=(8,), rounds=2).fit(embed(shots.table, again, progress=False), heard).history_
    both = JoinedEncoder(encoder, load_encoder('acoustic'))
    assert list(tuned_encoder(both, tmp_path).views) == list(both.views)


def test_folders_that_do_not_fit(world, tuned, tmp_path):
    encoder = world[0]
    folder = tuned.blocks_.save(tmp_path/'tuned')
    other = load_encoder(toy_whisper(tmp_path/'other', blocks=6, width=64, seed=1), device='cpu')
    def refused(match, by=encoder):
        with pytest.raises(EncoderError, match=match) as e: tuned_encoder(by, folder)
        assert '\n' not in str(e.value)
    refused('another model', other)
    config, weights = (folder/'adapter_config.json'), (folder/'adapter_model.safetensors')
    told = json.loads(config.read_text())
    for change in dict(r=4), dict(layers_to_transform=[0]), dict(layers_to_transform=[]), dict(r=10**9):
        config.write_text(json.dumps({**told, **change}))
        refused('do not fit')
    for text in '', '[]', '{"r": 8}': config.write_text(text); refused('holds no tuned blocks')
    config.write_text(json.dumps(told))
    from safetensors.torch import load_file, save_file
    known = load_file(weights)
    save_file({k: x*float('nan') for k, x in known.items()}, weights, dict(tuned=encoder._own['weights']))
    refused('not numbers')
    weights.write_bytes(b'')
    refused('holds no tuned blocks')
    with pytest.raises(LostError): tuned.blocks_.save(folder)       # what is not ours stays


# -- what cannot be

def test_without_peft_there_is_one_clear_line(world, monkeypatch):
    monkeypatch.setitem(sys.modules, 'peft', None)
    with pytest.raises(LearnerError, match=r"pip install 'sere_nb\[tune\]'") as e: fit(world)
    assert '\n' not in str(e.value)


def test_peft_is_loaded_only_when_needed():
    code = "import sys, sere_nb.tune, sere_nb.rivals; sere_nb.rivals._method('sere:tuned'); sys.exit('peft' in sys.modules)"
    assert not subprocess.run([sys.executable, '-c', code]).returncode


@pytest.mark.parametrize('how,says', [(dict(rate=-1.), 'rate is'), (dict(epochs=0), 'epochs is'), (dict(steps=0), 'steps is'), (dict(batch=.5), 'batch is'), (dict(patience=0), 'patience is'),
                                      (dict(least=-1.), 'least is'), (dict(rank=0), 'rank is'), (dict(block=1), 'block is'), (dict(block=4), 'block is')])
def test_settings_that_cannot_be(world, how, says):
    with pytest.raises(LearnerError, match=says) as e: fit(world, **how)
    assert '\n' not in str(e.value)


def test_clips_and_encoders_that_cannot_be(world):
    encoder, shots, free, beneath, _ = world
    for odd in load_encoder('acoustic'), dict(de=encoder, it=encoder), None:
        with pytest.raises(EncoderError, match='only a Whisper can be tuned'): whisper_of(odd)
    with pytest.raises(LearnerError, match='states of 3 clips'): fit_tuned(fresh(), shots, free, encoder, beneath[:3])
    with pytest.raises(LearnerError, match='stay on disk'): fit_tuned(fresh(), shots, Stored.of(free), encoder, beneath)


def test_states_may_stay_on_disk(world, tuned):
    encoder, shots, free, beneath, _ = world
    s = fit_tuned(fresh(), shots, free, encoder, Stored.of(beneath), **HOW)
    assert bytes_of(s.blocks_) == bytes_of(tuned.blocks_)


# -- as a method of the bench

def test_in_the_bench_it_is_blind(world, tmp_path, monkeypatch):
    encoder, shots, free, _, _ = world
    table = Embeddings.concat([shots, free]).table
    for name, t in table.groupby('language'):
        t.assign(path=t.file.astype(str))[['path', 'language', 'speaker', 'emotion']].to_csv(tmp_path/f'{name}.csv', index=False)
    protocol = make_protocol(tmp_path, ['de', 'it'], shots=3, seeds=[0])
    protocol['tasks'] = protocol['tasks'][:1]
    seen = []
    def watched(learner, shots, unlabelled, encoder, beneath, **how):
        seen.append((set(unlabelled.table), set(beneath.table), beneath.table.key.tolist() == shots.table.key.tolist()+unlabelled.table.key.tolist()))
        return fit_tuned(learner, shots, unlabelled, encoder, beneath, epochs=1, steps=1, **how)
    monkeypatch.setattr(T, 'fit_tuned', watched)
    bench(protocol, tmp_path, encoder, methods='sere:tuned', cache=tmp_path/'cache', out=tmp_path/'out', progress=False)
    results = pd.read_csv(tmp_path/'out'/'results.csv')
    assert len(results) == 1 and results.method[0] == 'sere:tuned' and 0 < results.uar[0] <= 1
    (mine, beneath, same), = seen
    assert not {'emotion', 'file', 'text_id'} & (mine | beneath) and same
    assert _method('sere:tuned') is T.sere_tuned
