"The fit on another device: a pretended one everywhere (tests/far.py), the GPU where there is one"
import numpy as np, pandas as pd, pytest, torch

from far import FAR, Away
from sere_nb import evaluate, normalise, structure
from sere_nb.encoder import AcousticEncoder, Embeddings, Frames, Stored, _offsets
from sere_nb.learner import SERE

QUICK = dict(rounds=3, contents=(4,), circumstances=6)


def clips(n, seed=0):
    "Frames of a speech model and tracks, in two languages; some clips lack the tracks"
    g = torch.Generator().manual_seed(seed)
    emotion, length = np.arange(n)//2 % 3, torch.randint(20, 40, (n,), generator=g)
    table = pd.DataFrame(dict(path=[f'{seed}-{i}.wav' for i in range(n)], language=['aa', 'bb']*(n//2), corpus=['aa', 'bb']*(n//2), speaker=[f's{i % 4}' for i in range(n)],
                              emotion=np.array(['anger', 'joy', 'sadness'])[emotion], seconds=length.numpy()*.02))
    lack = torch.arange(n) % 9 != 8
    def frames(d, length, hop):
        at = torch.repeat_interleave(torch.arange(n), length)
        mean = torch.randn(3, d, generator=torch.Generator().manual_seed(9))
        return Frames((torch.randn(len(at), d, generator=g)+mean[emotion][at]).half(), _offsets(length), hop)
    views = {'toy.1': frames(70, length, .02), 'acoustic': frames(6, 2*length*lack, .01), 'prosody': frames(5, lack.long(), 0.)}
    return Embeddings(table, views)


def split(emb):
    shot = ((emb.table.language == 'aa') & (emb.table.groupby(['language', 'emotion']).cumcount() < 4)).to_numpy()
    return emb[shot], emb[~shot]


def everything(learner, emb, new, folder):
    "What a fit gives, and all that can be asked of it"
    learner.fit(*split(emb))
    learner.teach(len(emb)-1, 'joy').change(prior={'bb': dict(anger=.2, joy=.3, sadness=.5)}, loud=.05).step()
    found = {f'{k} of round {h["round"]}': h[k] for h in learner.history_ for k in ('profile', 'landmarks', 'proba', 'resonance')}
    for name, asked in (('new', new), ('new on disk', Stored.of(new)), ('some', [3, 50, 7]), ('all', None)):
        found |= {f'probabilities, {name}': learner.predict_proba(asked), f'vectors, {name}': learner.transform(asked), f'highlights, {name}': learner.highlights(asked).to_numpy()}
        found[f'field, {name}'] = np.concatenate([np.c_[f['time_s'], f['r'], f['weight']] for f in learner.resonance(asked)])
    again = SERE.load(learner.save(folder), learner.device)
    assert again.device == learner.device
    found['loaded'] = again.predict_proba(new)
    found['excerpt'] = learner.excerpt().history_[-1]['proba']
    return {k: v if isinstance(v, torch.Tensor) else torch.as_tensor(np.array(v)) for k, v in found.items()}


@pytest.fixture(autouse=True)
def same_arithmetic(monkeypatch): monkeypatch.setattr(normalise, '_default_dtype', lambda device: torch.float32)


@pytest.mark.parametrize('on_disk', [False, True])
def test_all_of_it_runs_on_another_device(on_disk, tmp_path):
    emb, new = clips(108), clips(24, 1)
    kept = Stored.of if on_disk else lambda emb: emb
    with Away(): far = everything(SERE(device=FAR, **QUICK), kept(emb), new, tmp_path/'far')
    near = everything(SERE(device='cpu', **QUICK), kept(emb), new, tmp_path/'near')
    assert far.keys() == near.keys()
    for k in near: assert type(far[k]) is torch.Tensor and torch.equal(far[k], near[k]), k
    assert (tmp_path/'far'/'model.safetensors').read_bytes() == (tmp_path/'near'/'model.safetensors').read_bytes()


def test_what_stays_is_where_it_was_put():
    with Away():
        learner = SERE(device=FAR, **QUICK).fit(*split(clips(60)))
        for x in (learner._clips.x, learner._share, learner.structure.prototype, learner.space.prepared.moments['toy.1'].mean): assert x.device == FAR
        assert learner.label_.device.type == 'cpu'


def test_estimated_shares_on_another_device():
    emb = clips(60)
    with Away(): far = SERE(prior='estimate', device=FAR, **QUICK).fit(*split(emb))
    near = SERE(prior='estimate', device='cpu', **QUICK).fit(*split(emb))
    assert {c: p.tolist() for c, p in far.prior_.items()} == {c: p.tolist() for c, p in near.prior_.items()}


def test_the_bench_follows_the_learner(monkeypatch):
    emb = clips(60)
    shots, unlabelled = split(emb)
    near = evaluate.sere(shots, unlabelled, shared=evaluate.Shared(emb), device='cpu', proba=True, **QUICK)
    with Away(): far = evaluate.sere(shots, unlabelled, shared=evaluate.Shared(emb), device=FAR, proba=True, **QUICK)
    pd.testing.assert_frame_equal(near, far)


def test_acoustic_views_on_another_device():
    waves = [torch.randn(8000, generator=torch.Generator().manual_seed(i)) for i in range(3)]
    with Away(): far = AcousticEncoder(FAR)._encode(waves)
    for a, b in zip(far, AcousticEncoder('cpu')._encode(waves)):
        for view in b: assert torch.equal(a[view].nan_to_num(), b[view].nan_to_num())


def test_a_gpu_without_room_leaves_the_fit_to_the_processor(monkeypatch):
    emb, prepare = clips(60), structure.Space.prepare
    def full(self, *args):
        if self.device == FAR: raise torch.OutOfMemoryError('no room')
        return prepare(self, *args)
    monkeypatch.setattr(structure.Space, 'prepare', full)
    with Away(), pytest.warns(UserWarning, match='no room for all these clips'): moved = SERE(device=FAR, **QUICK).fit(*split(emb))
    assert moved.device.type == 'cpu' and (moved.predict() == SERE(device='cpu', **QUICK).fit(*split(emb)).predict()).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='there is no GPU')
def test_a_gpu_says_what_the_processor_says(tmp_path):
    emb, new = clips(108), clips(24, 1)
    assert SERE().device.type == 'cuda'     # chosen by itself
    far, near = everything(SERE(**QUICK), emb, new, tmp_path/'far'), everything(SERE(device='cpu', **QUICK), emb, new, tmp_path/'near')
    for k in near:
        if 'probabilities' in k: assert ((far[k]-near[k]).abs() < .1).double().mean() > .99, k
