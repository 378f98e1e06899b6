"Tempo: a mixed model's residuals, a cost that says little of one clip and something of many, heeded in the first rounds only"
import math
import pickle
import re
from pathlib import Path

import numpy as np, pytest, torch

import sere_nb
from sere_nb import rounds
from sere_nb.designs import how_made, slow_ones
from sere_nb.embeddings import Embeddings
from sere_nb.fits import tempo_costs
from sere_nb.learner import SERE
from sere_nb.rounds import EARLY, objective, tempo_now
from sere_nb.tempo import SLOW, tempo_cost, tempo_of
from sere_nb.tensors import LearnerError
from sere_nb.tric import tric_of
from test_circumstances import clips, split
from test_tric import by_loops, case

NAMES = {'e0': 'anger', 'e1': 'neutral', 'e2': 'sadness'}


def spoken(seed=0, slower=.2, **how):
    "Made-up speech in which the third emotion is sadness, and spoken slowly; sentences differ much more, and voices as much"
    emb = clips(seed=seed, **how)
    g, t = np.random.default_rng(seed), emb.table
    t['emotion'] = t.emotion.map(NAMES)
    word, voice = t.words.str[-1].astype(int), t.speaker.str[-1].astype(int)
    t['seconds'] = np.exp(.5*word+.2*voice+slower*(t.emotion == 'sadness')+.05*g.normal(size=len(t)))
    return emb


# -- how slow

@pytest.mark.parametrize('seed', range(3))
def test_residuals_of_a_mixed_model(seed):
    "Crossed effects, solved at once as one ridge regression, leave the same"
    g = torch.Generator().manual_seed(seed)
    n, variance = 60, 3.
    words, voice = torch.randint(0, 5, (n,), generator=g), torch.randint(-1, 4, (n,), generator=g)
    seconds = (torch.randn(5, generator=g)[words]+.3*torch.randn(n, generator=g)).exp()
    y = seconds.double().log().numpy()
    hot = lambda of, q: (of[:, None] == torch.arange(q)).double().numpy()
    X = np.concatenate([np.ones((n, 1)), hot(words, 5), hot(voice, 4)], 1)
    ridge = np.diag([0.]+[1/variance]*9)
    rest = y-X@np.linalg.solve(X.T@X+ridge, X.T@y)
    expected = rest/np.sqrt((rest**2).mean())
    assert np.abs(tempo_of(seconds, words, voice, variance).numpy()-expected).max() < .05


def test_where_it_is_not_known():
    "A clip that nobody else says, or without length, has no tempo and costs nothing; nor has a corpus without sentences"
    seconds, words = torch.tensor([1., 2., 0., 3., 1.5]), torch.tensor([0, 0, 0, -1, 1])
    tempo = tempo_of(seconds, words, torch.full((5,), -1))
    assert tempo.isnan().tolist() == [False, False, True, True, False]
    assert not tempo_cost(tempo, ['neutral', 'sadness'])[2:4].any()
    assert tempo_of(seconds, torch.full((5,), -1), torch.zeros(5, dtype=torch.long)).isnan().all()
    alike = tempo_of(torch.ones(4), torch.zeros(4, dtype=torch.long), torch.zeros(4, dtype=torch.long))
    assert not alike.any()      # all of one length: no deviation to divide by
    for wrong in (dict(words=words[:3]), dict(seconds=seconds.long()), dict(variance=0.)):
        with pytest.raises(LearnerError): tempo_of(**{**dict(seconds=seconds, words=words, voice=words), **wrong})


def test_cost():
    "Student-t by hand; 0 at what is expected; emotions that are not slow are alike; slow ones cheaper for slow clips alone"
    z = torch.linspace(-4, 4, 33)
    cost = tempo_cost(z, ['anger', 'disgust', 'joy', 'sadness'], freedom=5.)
    assert float(cost[0, 0]) == pytest.approx(3*math.log(1+16/5), rel=1e-5) and (cost >= 0).all()
    assert torch.equal(cost[:, 0], cost[:, 2]) and torch.equal(cost[:, 1], cost[:, 3])
    assert ((cost[:, 1] < cost[:, 0]) == (z > .5)).all()
    assert float((cost[:, 0]-cost[:, 1]).abs().max()) < 3     # never much beside what embeddings say
    assert set(SLOW) == {'disgust', 'sadness'}
    with pytest.raises(LearnerError): tempo_cost(z[:, None], ['anger'])


# -- in TRIC

@pytest.mark.parametrize('seed', range(3))
def test_part_of_tric(seed):
    "As by loops; shares with tempo are the best ones: none at random, near or far, costs less"
    t, c = case(seed)
    g = torch.Generator().manual_seed(seed)
    c.tempo = 2*torch.rand(len(c.label), 3, generator=g, dtype=torch.double)
    share = t.posterior(c, iterations=3000, tolerance=1e-9)
    parts, known = t.parts(c, share), by_loops(t, c, share)
    n, free = len(c.label), c.label < 0
    assert list(parts)[-1] == 'tempo'
    assert float(parts['tempo']) == pytest.approx(float((share*c.tempo)[free].sum())/n, rel=1e-9)
    assert float(t.reducer(parts).detach()) == pytest.approx(sum(known.values())+float(parts['tempo']), rel=1e-5)
    best = float(t(c, share).detach())
    for step in (.03, .3, 3.):
        other = (share.clamp_min(1e-12).log()+step*torch.randn(share.shape, generator=g, dtype=torch.double)).softmax(1)
        other[~free] = share[~free]
        assert float(t(c, other).detach()) > best
    assert torch.equal(t.parts(c, share, rows=torch.arange(n)[::2])['tempo'], parts['tempo'])      # whole, as no clip need be read for it


# -- in a fit

def test_heeded_then_let_go():
    "TRIC holds it in the first rounds, at 0 from then on, and falls all the way"
    s = SERE(seed=0, prior='balanced').begin(*split(spoken()))
    assert s.tempo_ == ['aa', 'bb'] and (s._clips.tempo >= 0).all()
    for _ in range(EARLY+4): s.step()
    part = [h['losses']['tempo'] for h in s.history_]
    assert all(o > 0 for o in part[:EARLY]) and not any(part[EARLY:])
    tric = [h['losses']['tric'] for h in s.history_]
    assert all(b <= a+1e-4*abs(a) for a, b in zip(tric, tric[1:])), tric
    value = tric_of(s.structure, s.effects_, s.settings['variance'])(rounds.tric_clips(s, s.prior_))
    assert float(value.detach()) == pytest.approx(tric[-1], rel=1e-3)


def _slow_ones_called(s, emb, emotion):
    "Share that clips of `emotion` of the target give to sadness"
    at = torch.as_tensor(np.r_[np.zeros(int((s.label_ >= 0).sum()), bool), ((emb.table.corpus == 'bb')&(emb.table.emotion == emotion)).to_numpy()])
    return float(s._share[at][:, list(s.classes_).index('sadness')].mean())


def two_groups(slower, by=.73, aside=1.):
    "In the target neutral and sadness are well apart, but not in the direction in which the shots know them: in that one they lie a little the wrong way round"
    emb = spoken(slower=slower, times=2)
    bb, sad, plain = (o.to_numpy() for o in (emb.table.corpus == 'bb', emb.table.emotion == 'sadness', emb.table.emotion == 'neutral'))
    g = torch.Generator().manual_seed(0)
    for v in ('x.1', 'y.1'):
        f = emb.views[v].values.float().view(len(bb), 4, -1)
        away = f[sad&~bb].mean((0, 1))-f[plain&~bb].mean((0, 1))
        u = torch.randn(len(away), generator=g)
        u -= away*(u@away)/away.square().sum()
        for at, sign in (plain, 1), (sad, -1): f[bb&at] += sign*(by*away+aside*u)
        emb.views[v].values = f.reshape(-1, f.shape[-1]).half()
    return split(emb)


def test_it_gives_names_to_groups():
    "Groups whose names stand the wrong way round are set right by how they are spoken; without it, or spoken alike, they stay"
    def right(slower, **how):
        shots, rest = two_groups(slower)
        return _slow_ones_called(SERE(seed=0, prior='balanced', **how).fit(shots, rest), rest, 'sadness')
    with_it, without, alike = right(.3), right(.3, tempo=0.), right(0.)
    assert with_it > .8 and without < .3 and alike < .5, (with_it, without, alike)


def test_labels_are_not_read():
    shots, rest = split(spoken())
    blind = Embeddings(rest.table.assign(emotion='?'), rest.views)
    a, b = (SERE(seed=0).fit(shots, o) for o in (rest, blind))
    assert torch.equal(a._share, b._share)


@pytest.mark.parametrize('how', [dict(said=False), dict(), 'no seconds'])
def test_without_it(how):
    "No view that tells what is said, no such emotion, no lengths: as if there were no tempo"
    emb = spoken(said=False) if how == dict(said=False) else spoken()
    if how == 'no seconds': del emb.table['seconds']
    shots, rest = split(emb)
    s, plain = (SERE(seed=0, prior='balanced', rounds=3, tempo=o).fit(shots, rest) for o in (1., 0.))
    if how == dict():
        assert s.tempo_ and slow_ones(s, 'bb') == ['sadness'] and not slow_ones(plain, 'bb')
        assert not torch.equal(s._share, plain._share)
    else:
        assert s._clips.tempo is None and tempo_now(s) is None and tempo_costs(s) == (None, []) and not slow_ones(s, 'bb')
        assert torch.equal(s._share, plain._share) and 'tempo' not in s.history_[-1]['losses']


def test_emotions_that_are_not_slow_change_nothing():
    "To the bit, but for the sum: all names cost the same"
    emb = spoken()
    emb.table['emotion'] = emb.table.emotion.replace(dict(sadness='joy'))
    shots, rest = split(emb)
    s, plain = (SERE(seed=0, prior='balanced', rounds=3, tempo=o).fit(shots, rest) for o in (1., 0.))
    assert (s._share-plain._share).abs().max() < 1e-3 and how_made(s, 'bb') == how_made(plain, 'bb')


def test_it_is_said():
    shots, rest = split(spoken())
    s = SERE(seed=0).fit(shots, rest)
    assert how_made(s, 'bb') == 'each voice shows most emotions; sentences come in most emotions; slow clips lean to sadness in the first rounds'
    assert 'slow' not in how_made(SERE(seed=0, tempo=0.).fit(shots, rest), 'bb')


def test_a_learner_that_goes_on(tmp_path):
    "Pickled, old pickles, changed coordinates, taught: rounds go on, with no tempo unless they begin anew"
    shots, rest = split(spoken())
    s = SERE(seed=0).fit(shots, rest)
    t = pickle.loads(pickle.dumps(s))
    t.step(); s.step()
    assert torch.equal(s._share, t._share) and tempo_now(t) is not None and not tempo_now(t).any()
    old = s.__dict__.copy()
    old.pop('_turns'), old.pop('tempo_')
    old['_clips'] = type(s._clips)(**{k: v for k, v in vars(s._clips).items() if k != 'tempo'})
    before = SERE.__new__(SERE)
    before.__setstate__(old)
    before.step()
    assert before._clips.tempo is None and slow_ones(before, 'bb') == []
    s.change(dims=4).step()
    assert s._turns == 1 and tempo_now(s).any()
    s.begin().step()
    assert s._turns == 1 and s.history_[0]['losses']['tempo'] > 0
    with pytest.raises(LearnerError, match='tempo'): SERE(tempo=-1.)


def test_asked_as_a_new_clip():
    "`predict` of the target's own clips says what the fit says: tempo is let go by then"
    shots, rest = split(spoken())
    s = SERE(seed=0).fit(shots, rest)
    assert (s.predict(rest) == s.classes_[s._share[len(shots):].argmax(1)]).mean() > .95
    assert float(objective(s, s.prior_)['tempo']) == 0


def test_each_part_has_a_look_of_its_own():
    "In the chart of a page: as many hues, and as many kinds of line, as TRIC has parts, and one for the sum"
    t, c = case(0)
    c.tempo = torch.zeros(len(c.label), 3, dtype=torch.double)
    lines = 1+len(t.parts(c))
    text = (Path(sere_nb.__file__).parent/'front'/'chart.js').read_text()
    dashes = re.search(r'const DASHES = \[(.*?)\]', text, re.S)[1].split(',')
    hues = re.search(r"const HUES =\s*'(.*?)'", text, re.S)[1].split()
    assert lines == 8 and len(set(hues)) == len(hues) >= lines and len({o.strip() for o in dashes}) == len(dashes) >= lines
