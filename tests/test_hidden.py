"Voices that nobody names: where they are looked for, that they come out the same by every way, and that nothing odd about clips, settings or files breaks a fit. What voices add to scores: `benchmark_voices.py`"
import copy, json, pickle, random, warnings

import numpy as np, pytest, torch
from sklearn.metrics import adjusted_rand_score
from test_circumstances import clips, right, split

import soak_trust
from sere_nb import hidden, saved, vectors
from sere_nb.designs import how_made
from sere_nb.encoder import SAID, Embeddings, Frames, Stored
from sere_nb.hidden import LEAST, HiddenVoices, Voiceprint, halves, said_often, voices_hidden
from sere_nb.learner import SERE, LearnerError
from sere_nb.moments import Moments
from sere_nb.normalise import kmeans
from sere_nb.outcome import _design
from sere_nb.widget import as_it_is

SHAPE = dict(times=2)       # 4 voices say 3 sentences in 3 emotions, twice
QUICK = dict(speakers=False, rounds=3)


@pytest.fixture(scope='module')
def pair(): return split(clips(**SHAPE))


@pytest.fixture(scope='module')
def fitted(pair): return SERE(**QUICK).fit(*pair)


def told(emb, speaker):
    "The same clips, with these speakers"
    emb = copy.copy(emb)
    emb.table = emb.table.assign(speaker=speaker)
    return emb


def number(s): return {c: len(v.centres) for c, v in s.hidden_.items() if v}


def heard(s): return [v for v in s.effects_['voices'].names if '/voice ' in v] if 'voices' in s.effects_ else []


def sound(s, *new):
    "Its answers are numbers, on its own clips and on others"
    for emb in (None, *new):
        p = s.predict_proba(emb)
        assert np.isfinite(p).all() and np.allclose(p.sum(1), 1)
    return s


# -- where they are looked for

def test_who_is_looked_for():
    emb = clips(**SHAPE)
    aa = (emb.table.corpus == 'aa').to_numpy()
    def found(speaker=emb.table.speaker, emb=emb, **how):
        s = SERE(**{**QUICK, 'rounds': 2, **how}).fit(*split(told(emb, speaker)))
        return {v.partition('/')[0] for v in heard(s)}, set(number(s))
    assert found() == ({'aa', 'bb'},)*2
    assert found(speakers=True) == (set(), set())                                               # told
    assert found(np.where(aa, emb.table.speaker, ''), speakers=True) == ({'bb'},)*2             # told beside not told
    assert found(np.where(np.arange(len(emb)) % 3, '', emb.table.speaker), speakers=True) == (set(), set())     # of some clips
    assert found(np.where(aa, 'voice 1', ''), speakers=True) == ({'bb'},)*2                     # a name that found voices have, too
    assert found(hidden=0.) == (set(), set())
    assert found(design={'bb': (False, False)}) == found(design={'bb': (False, True)}) == ({'aa'},)*2       # told to be tied to emotions
    assert found(design={'bb': (True, True)}) == ({'aa', 'bb'},)*2
    unlike = copy.copy(emb)
    unlike.views = {**emb.views, 'x'+SAID: Frames(torch.where(torch.tensor(aa)[:, None], emb.views['x'+SAID].values, torch.randn(emb.views['x'+SAID].values.shape, generator=torch.Generator().manual_seed(0)).half()), emb.views['x'+SAID].offsets, 0.)}
    assert found(emb=unlike) == ({'aa'},)*2                                                     # nothing is said again
    assert found(emb=clips(said=False, **SHAPE)) == (set(), set())


@pytest.mark.parametrize('n', [1, 2, 3, 12, LEAST-1, LEAST])
def test_few_clips(n, tmp_path):
    "A voice has some clips to be told by; what is left of a small corpus is saved and read like any other"
    shots, rest = split(clips(voices=8, words=2, emotions=2))
    some = rest[np.flatnonzero(rest.table.corpus == 'bb')[:n]]
    s = sound(SERE(**QUICK).fit(shots, some), some, some[:1])
    assert ('bb' in number(s)) == (n >= LEAST)
    assert np.allclose(SERE.load(s.save(tmp_path/'model')).predict_proba(some), s.predict_proba(some), atol=1e-6)
    assert voices_hidden(torch.zeros(n, dtype=torch.long), torch.arange(n) % 2, 2) == (2 if n >= LEAST else 0)


def test_as_many_voices_as_the_whole_corpus_has(monkeypatch):
    "Not as many as the sample that clusters are made of has"
    emb = clips(voices=8, **SHAPE)
    whole = number(SERE(**QUICK).fit(*split(emb)))
    monkeypatch.setattr('sere_nb.designs._MANY', len(emb)//6)
    assert number(SERE(**QUICK).fit(*split(emb))) == whole


# -- what tells them

def test_halves_by_hand():
    g = torch.Generator().manual_seed(0)
    lengths = [1, 2, 3, 8, 5, 4]
    m = Moments(torch.ones(sum(lengths)), torch.randn(sum(lengths), 3, generator=g).half(), None, torch.tensor([0, *np.cumsum(lengths)]), .1)
    m.count[m.offsets[4]:m.offsets[5]] = 0      # silent
    m.count[m.offsets[5]+2:] = 0                # its second half is
    h = halves(m)
    for i, n in enumerate(lengths):
        of, at = m.mean[m.offsets[i]:m.offsets[i+1]].float(), np.arange(n)
        first, last = of[at < n/2].mean(0), of[at >= n/2].mean(0)
        if n == 1: first = last = of[0]
        if i == 4: first = last = 0*first
        if i == 5: last = first
        assert torch.allclose(h[i], torch.stack([first, last]), atol=1e-4)


def test_a_direction_in_which_clips_do_not_differ_tells_nothing():
    "However far a new clip goes in it"
    g = torch.Generator().manual_seed(0)
    for n, alike in ((200, [3, 7]), (6, []), (1, []), (50, list(range(12)))):
        h = torch.randn(n, 1, 12, generator=g)+.3*torch.randn(n, 2, 12, generator=g)
        h[..., alike] = .5
        tell = Voiceprint().fit(h)
        z, new = tell(h), torch.randn(100, 2, 12, generator=g)
        assert z.shape == (n, 40) and z.isfinite().all()
        new[..., alike] *= 8
        assert tell(new).abs().max() <= 20*max(1, z.abs().max())
        assert bool(z.any()) == (n > 1 and len(alike) < 12)


def test_each_voice_is_somebodys():
    "Where there are fewer than were asked for, there are fewer"
    g = torch.Generator().manual_seed(0)
    z, share = torch.nn.functional.one_hot(torch.arange(60) % 3, 5).float(), torch.full((60, 2), .5)
    v = HiddenVoices(20).fit(z, share)
    of = v(z, share)
    assert len(v.centres) == 3 == len(of.unique()) and adjusted_rand_score(of, torch.arange(60) % 3) == 1
    assert torch.equal(v(torch.cat([z[:1], 0*z[:1]]), share[:2]), torch.tensor([int(of[0]), -1]))      # nothing tells it


def _stepped(emb, change):
    "Views of frames as `change` makes them, from (n, 4, d)"
    out = {}
    for i, (v, f) in enumerate(emb.views.items()): out[v] = f if v.endswith(SAID) else change(i, f.values.view(len(emb), 4, -1).clone())
    return Embeddings(emb.table, out)


def some(there, x): return Frames(x[there].flatten(0, 1), torch.cat([torch.zeros(1, dtype=torch.long), (x.shape[1]*there).cumsum(0)]), .1)


ALL = lambda x: torch.ones(len(x), dtype=torch.bool)
ODD = dict(
    one_moment=lambda i, x: some(ALL(x), x[:, :1]),
    one_row_a_clip=lambda i, x: Frames(x.mean(1), torch.arange(len(x)+1), 0.),
    constant=lambda i, x: some(ALL(x), 0*x+1),
    a_constant_view=lambda i, x: some(ALL(x), 0*x+1 if i else x),
    nan=lambda i, x: some(ALL(x), x.index_fill(0, torch.arange(20), np.nan).index_fill(2, torch.tensor([0]), np.nan)),
    alike=lambda i, x: some(ALL(x), x[:1].expand_as(x)),
    half_and_half=lambda i, x: some((torch.arange(len(x)) % 2 == i) | (torch.arange(len(x)) < len(x)//2), x),
    mostly_one=lambda i, x: some((torch.arange(len(x)) % 5 > 0) if i else ALL(x), x))


@pytest.mark.parametrize('odd', ODD)
@pytest.mark.parametrize('how', [{}, dict(contents=(), circumstances=0, prior='estimate')], ids=['', 'bare'])
def test_odd_views(odd, how, monkeypatch):
    "In memory, and part by part with few clips in each"
    emb = _stepped(clips(**SHAPE), ODD[odd])
    shots, rest = split(emb)
    sound(SERE(**QUICK, **how).fit(shots, rest), rest, rest[:1])
    monkeypatch.setattr(vectors, 'most_bytes', lambda fit: 2e4)
    sound(SERE(**QUICK, **how).fit(Stored.of(shots), Stored.of(rest)), rest[:1])


def test_two_encoders():
    "One a language, with a view that both have"
    emb = clips(views=('z.1', 'x.1', 'y.1'), **SHAPE)
    aa = torch.tensor((emb.table.corpus == 'aa').to_numpy())
    emb = _stepped(emb, lambda i, x: some([ALL(x), aa, ~aa][i], x))
    s = sound(SERE(**QUICK).fit(*split(emb)), split(emb)[1])
    assert set(number(s)) == {'aa', 'bb'} and {v for c, (views, _) in s.prints_.items() for v in views if v[0] == 'xy'[c == 'aa']} == set()
    alone = Embeddings(emb.table, {v: f for v, f in emb.views.items() if v[0] == 'z'})[:9]
    sound(s, alone)     # clips without a view that tells their voice


# -- the same by every way

def test_same_seed_same_bytes(pair, fitted):
    again, other = SERE(**QUICK).fit(*pair), SERE(seed=1, **QUICK).fit(*pair)
    assert np.array_equal(again.predict_proba(), fitted.predict_proba()) and all(torch.equal(v.centres, again.hidden_[c].centres) for c, v in fitted.hidden_.items())
    sound(other)


def test_clips_on_disk_have_the_same_voices(pair, fitted):
    "While all fit into the sample; half precise"
    disk = SERE(memory_gb=.01, **QUICK).fit(*map(Stored.of, pair))
    for c in fitted._clips.names:
        at = fitted._clips.corpus == c
        assert adjusted_rand_score(disk._clips.heard[at], fitted._clips.heard[at]) > .95
    assert (disk.predict() == fitted.predict()).mean() > .97


def test_one_by_one_as_all_together(pair, fitted):
    rest = pair[1]
    whole = fitted.predict_proba(rest)
    assert np.allclose(whole[:6], np.concatenate([fitted.predict_proba(rest[i:i+1]) for i in range(6)]), atol=1e-5)
    assert np.allclose(whole[:9], fitted.predict_proba(rest[:9]), atol=1e-5)


@pytest.mark.parametrize('circumstances', [30, 0])
def test_voices_of_new_clips_are_found_as_those_of_the_fit(pair, circumstances):
    "The force of a voice is next to nothing, for new clips do not get its offset"
    s = SERE(circumstances=circumstances, **{**QUICK, 'hidden': 1e-9}).fit(*pair)
    assert number(s) and np.allclose(s.predict_proba(), s.predict_proba(Embeddings.concat(pair)), atol=1e-5)
    assert not np.allclose(s._total.cpu(), 0)


def test_copies_stay_as_they_are(pair):
    rest = pair[1]
    s = SERE(**QUICK).fit(*pair)
    said = s.predict_proba(rest), s.predict_proba()
    def same(o): o._read_last = (None, None); return np.array_equal(o.predict_proba(rest), said[0]) and np.array_equal(o.predict_proba(), said[1])
    deep, packed, shown = copy.deepcopy(s), pickle.loads(pickle.dumps(s)), as_it_is(s)
    s.teach(len(pair[0])+40, 'e1').step()
    s.change(hidden=0.).step()
    assert not heard(s) and heard(shown)
    assert same(deep) and same(packed) and same(shown)
    assert number(s.begin()) == {} and heard(s.change(hidden=2.)) == []
    for _ in range(2): s.step()
    assert number(s) == number(shown) and len(heard(s)) == len(heard(shown))


def test_changes_on_the_way(pair):
    s = SERE(**QUICK).fit(*pair)
    for change in (dict(hidden=5.), dict(loud=.3), dict(dims=20), dict(circumstances=0), dict(even=1.), dict(circumstances=10, hidden=0.), dict(prior='estimate', hidden=.5)):
        s.change(**change).step()
        sound(s, pair[1][:5])
        s.step()
        assert bool(heard(s)) == bool(s.settings['hidden'])
    again = SERE(**s.get_params()).fit(*pair)
    assert again.settings == s.settings and number(again)
    assert how_made(s.change(hidden=0.), 'aa') == str(s.design_['aa'])


# -- what is said of them, and kept

def test_what_is_said(fitted):
    made, line = _design(fitted, ['aa', 'bb'])
    assert {c: o['voices_found'] for c, o in made.items()} == number(fitted) and '\n' not in line
    for c, n in number(fitted).items(): assert f'{n} voices' in how_made(fitted, c) and str(n) in line
    assert sorted(heard(fitted)) == sorted(set(fitted._clips.heard))


def test_saved_and_read(pair, fitted, tmp_path):
    again = SERE.load(fitted.save(tmp_path/'model'))
    assert np.allclose(again.predict_proba(pair[1]), fitted.predict_proba(pair[1]), atol=1e-6) and number(again) == number(fitted)
    assert how_made(again, 'aa') == how_made(fitted, 'aa')
    again.save(tmp_path/'again')
    assert (tmp_path/'again'/'model.safetensors').read_bytes() == (tmp_path/'model'/'model.safetensors').read_bytes()


def _judged(folder, clips):
    "Refused in one line, or answers that are numbers"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            p = SERE.load(folder).predict_proba(clips)
    except LearnerError as e:
        assert str(e) and '\n' not in str(e) and len(str(e)) < 900
        return False
    assert np.isfinite(p).all()
    return True


def _put(folder, meta, tensors):
    from safetensors.torch import save_file
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder/'model.safetensors')
    meta = {k: v for k, v in meta.items() if k != 'seal'}
    (folder/'model.json').write_text(json.dumps(meta | dict(seal=saved._seal(meta, folder/'model.safetensors'))))


def test_odd_parts_of_a_model_are_refused(pair, fitted, tmp_path):
    from safetensors.torch import load_file
    folder = fitted.save(tmp_path/'model')
    good, few = (json.loads((folder/'model.json').read_text()), load_file(folder/'model.safetensors')), pair[1][:4]
    def put(change):
        meta, tensors = copy.deepcopy(good)
        change(meta, tensors)
        _put(folder, meta, tensors)
        return _judged(folder, few)
    assert put(lambda m, t: None)
    c, other = list(good[0]['prints'])
    def prints(v): return lambda m, t: m['prints'].update({c: v})
    for v in ([], ['x.1', 'x.1'], ['nobody'], ['x.1'], [1], 'x.1', None, {}): assert not put(prints(v)), v
    assert not put(lambda m, t: m['prints'].pop(c)) and not put(lambda m, t: m.update(prints={})) and not put(lambda m, t: m['names'].pop('hidden'))
    assert not put(lambda m, t: m['names'].update(hidden=[c])) and not put(lambda m, t: m['prints'].update(nobody=m['prints'][c]))
    assert not put(lambda m, t: m.update(version=8)) and not put(lambda m, t: m['settings'].update(hidden=-1.))
    for j in range(4):
        for way in (lambda x: x[:-1], lambda x: x[..., :-1], lambda x: x[None], lambda x: x[:0], lambda x: x*np.nan, lambda x: x.double(), lambda x: torch.cat([x, x], -1)):
            if j == 3 and way(good[1]['hidden/0/3']).shape[1:] == (40,) and way(good[1]['hidden/0/3']).isfinite().all() and len(way(good[1]['hidden/0/3'])) and way(good[1]['hidden/0/3']).dtype == torch.float32: continue     # a voice fewer is a smaller model
            assert not put(lambda m, t: t.update({f'hidden/0/{j}': way(t[f'hidden/0/{j}'])})), j
    rng = random.Random(0)
    for i in range(60):
        change = rng.choice(soak_trust.CHANGES)
        due = []
        try: took = put(lambda m, t: due.append(change(m, t, rng)))
        except (IndexError, TypeError, ValueError) as e:
            if due: raise
            continue        # a change that this model has no place for
        assert not (took and due == ['refused']), (i, change.__name__)


@pytest.mark.parametrize('version', [8, 9, 11, '10', None])
def test_models_of_before_are_refused(pair, tmp_path, version):
    "Until format 9 what is said was compared in step: what such a model knows of it cannot be asked"
    from safetensors.torch import load_file
    folder = SERE(**QUICK).fit(*pair).save(tmp_path/'model')
    meta = json.loads((folder/'model.json').read_text())
    _put(folder, meta | dict(version=version), load_file(folder/'model.safetensors'))
    with pytest.raises(LearnerError, match=f'saved in version {version!r} of the format.* Fit again'): SERE.load(folder)


def test_pickles_of_before_are_read(pair):
    "A fit that was pickled when nothing was known of hidden voices answers as it did, and goes on"
    s = SERE(hidden=0., **QUICK).fit(*pair)
    said = s.predict_proba(), s.predict_proba(pair[1])
    for o, names in ((s, ('hidden_', 'prints_')), (s._clips, ('voice', 'heard'))):
        for k in names: delattr(o, k)
    del s.settings['hidden']
    s._read_last = (None, None)
    old = pickle.loads(pickle.dumps(s))
    assert np.array_equal(old.predict_proba(), said[0]) and np.array_equal(old.predict_proba(pair[1]), said[1])
    sound(old).step()
    assert not heard(old) and how_made(old, 'aa') == str(old.design_['aa'])
    old.begin().step(), old.step()
    assert heard(old)
