"Who speaks and what is said: TRIC never rises, effects are those of a mixed model, designs and words are found, shares as a plain minimiser finds them"
import copy

import numpy as np, pandas as pd, pytest, torch
from sklearn.metrics import adjusted_rand_score

from sere_nb import answers
from sere_nb import designs
import sere_nb.learner as L
from sere_nb import rounds
from sere_nb.circumstances import Design, Effects, Said, SameWords, find_design, words_are_free
from sere_nb.encoder import SAID, STRETCHES, Embeddings, Frames
from sere_nb.irf import even_out
from sere_nb.learner import SERE

D = 6       # columns of made-up views


def clips(voices=4, words=3, emotions=3, corpora=('aa', 'bb'), times=1, seed=0, voice=1., word=1., noise=.6, only=None, views=('x.1', 'y.1'), cover=1., said=True):
    "Each voice says each sentence in each emotion; `only` (voice, sentence, emotion) tells which are there. What emotions, voices and words are like does not depend on the seed"
    rows = [(c, v, w, e) for c in corpora for _ in range(times) for v in range(voices) for w in range(words) for e in range(emotions) if only is None or only(v, w, e)]
    g, n = torch.Generator().manual_seed(seed), len(rows)
    table = pd.DataFrame([dict(path=f'{seed}-{i}.wav', language=c, corpus=c, speaker=f's{v}', emotion=f'e{e}', words=f'{c}{w}') for i, (c, v, w, e) in enumerate(rows)])
    def like(name, width): return torch.randn(width, generator=torch.Generator().manual_seed(sum((i+1)*ord(o)*7919**(i % 3) for i, o in enumerate(name)) % 2**31))
    out = {}
    for view in views:
        x = torch.stack([1.5*like(f'{view} e{e}', D)+voice*like(f'{view} {c} s{v}', D)+word*like(f'{view} {c} w{w}', D) for c, v, w, e in rows])+noise*torch.randn(n, D, generator=g)
        frames = x[:, None]+.3*torch.randn(n, 4, D, generator=g)
        there = torch.rand(n, generator=g) < cover if view != views[0] else torch.ones(n, dtype=torch.bool)
        out[view] = Frames(frames[there].flatten(0, 1).half(), torch.cat([torch.zeros(1, dtype=torch.long), (4*there).cumsum(0)]), .1)
    if said:
        width = 32*STRETCHES
        x = torch.stack([2*like(f'said {c} w{w}', width)+.5*like(f'said {c} s{v}', 32).repeat(STRETCHES) for c, v, w, e in rows])+.5*torch.randn(n, width, generator=g)
        out['x'+SAID] = Frames(x.half(), torch.arange(n+1), 0.)
    return Embeddings(table, out)


def split(emb, n=4):
    shot = ((emb.table.corpus == 'aa') & (emb.table.groupby(['corpus', 'emotion']).cumcount() < n)).to_numpy()
    return emb[shot], emb[~shot]


def right(emb, called): return float((np.asarray(called) == emb.table.emotion.to_numpy()).mean())


# -- TRIC

@pytest.fixture
def to_the_end(monkeypatch):
    "Shares are balanced until nothing moves"
    monkeypatch.setattr(rounds, 'even_out', lambda logits, levels, prior, offsets=None: even_out(logits, levels, prior, offsets, 3000, 1e-7))


CASES = [dict(), dict(freedom=2.), dict(freedom=1e6), dict(variance=.2, shrinkage=.5), dict(planned=(300., 30., 30.)), dict(planned=(0., 0., 0.), balance=0.), dict(shrinkage=0., variance=30.), dict(prior='estimate'), dict(prior=dict(e0=.6, e1=.3, e2=.1))]


@pytest.mark.parametrize('seed,more', [*enumerate(CASES), (20, dict(emotions=5, words=2)), (21, dict(voices=7, words=1)), (22, dict(voices=2, words=6, emotions=2)), (23, dict(views=('x.1',)))])
def test_no_step_raises_tric(seed, more, to_the_end):
    "Each block given the others: each factor's effects, the structure, the shares. Pulls are those of where the step begins"
    shape = {k: more[k] for k in ('voices', 'words', 'emotions', 'views') if k in more}
    s = SERE(seed=seed, **{k: v for k, v in more.items() if k not in shape}).begin(*split(clips(seed=seed, **shape)))
    assert 'voices' in s.effects_ and ('words' in s.effects_ or shape.get('words') == 1)
    rounds.turn(s, s.prior_)
    assert not s.circumstances_ and s._clips.cover.all()
    value = lambda: float(rounds.objective(s, s.prior_)['tric'])
    def measure(): s._near = rounds.measured(s, rounds.clean(s))[0]
    now, first = value(), None
    for turn in range(4):
        for name in (*s.effects_, 'structure', 'shares'):
            if name in s.effects_:
                s.effects_[name].fit(rounds.clean(s, name), s._clips.group[name], s._share, s._clips.cover, s.structure.mean, lambda rows: s.structure.pull(s._near[:, rows], s._clips.x.shape[2]))
                measure()
            elif name == 'structure': rounds._find_structure(s, rounds.clean(s)); measure()
            else: rounds.find_shares(s, s.prior_)
            before, now = now, value()
            assert now <= before+1e-5*max(1, abs(before)), (turn, name, before, now)
        first = now if first is None else first
    assert now < first


@pytest.mark.parametrize('seed,more', enumerate(CASES))
def test_tric_falls_over_whole_fits(seed, more):
    "As the learner does it, with its own tolerance; voices known, words found, so that no clusters are drawn anew"
    s = SERE(seed=seed, **more).fit(*split(clips(seed=seed, times=2)))
    loss = np.array([h['losses']['tric'] for h in s.history_])
    assert (np.diff(loss) <= 2e-4*np.abs(loss[1:]).clip(1)).all() and loss[-1] < loss[0], loss
    for h in s.history_: assert h['losses']['tric'] == pytest.approx(sum(v for k, v in h['losses'].items() if k != 'tric'), rel=1e-4, abs=1e-4)


# -- effects

def mixed(voices, words, n, seed, balanced):
    rng = np.random.default_rng(seed)
    if balanced: v, w = (o.ravel() for o in np.meshgrid(np.arange(voices), np.arange(words))); v, w = np.tile(v, n), np.tile(w, n)
    else: v, w = rng.choice(voices, n*voices*words, p=(p := np.arange(1, voices+1))/p.sum()), rng.choice(words, n*voices*words)
    e = rng.integers(0, 3, len(v)) if not balanced else np.arange(len(v)) // (voices*words) % 3
    y = e*1.5+rng.normal(0, 1.2, voices)[v]+rng.normal(0, .8, words)[w]+rng.normal(0, .7, len(v))
    return pd.DataFrame(dict(y=y, v=v, w=w, e=e, one=1))


def blup(effects, groups, table, mean, rounds=400):
    "Effects of crossed factors, each given the others, until nothing moves"
    x, share = torch.tensor(table.y.to_numpy())[None, :, None].float(), torch.nn.functional.one_hot(torch.tensor(table.e.to_numpy()), 3).float()
    cover, at = torch.ones(1, len(table), dtype=torch.bool), [torch.tensor(table[g].to_numpy()) for g in groups]
    for _ in range(rounds):
        for i, e in enumerate(effects):
            rest = x-sum((o(a, cover) for j, (o, a) in enumerate(zip(effects, at)) if j != i and o.effect is not None), torch.zeros_like(x))
            e.fit(rest, at[i], share, cover, mean)
    return [e.effect[0, :, 0].numpy() for e in effects]


@pytest.mark.parametrize('balanced', [True, False])
def test_effects_are_those_of_a_mixed_model(balanced):
    "statsmodels' predictions, given its variances and its means of emotions"
    pytest.importorskip('statsmodels')
    import statsmodels.formula.api as smf
    table = mixed(8, 5, 6, 1, balanced)
    fit = smf.mixedlm('y ~ 0 + C(e)', table, groups='v').fit()
    mean = torch.tensor(fit.fe_params.to_numpy()).float()[None, :, None]
    psi = float(fit.cov_re.iloc[0, 0])/fit.scale
    found, = blup([Effects(range(8), psi)], ['v'], table, mean, 1)
    assert psi > .1 and np.allclose(found, [float(fit.random_effects[v].iloc[0]) for v in range(8)], atol=1e-4)
    both = smf.mixedlm('y ~ 0 + C(e)', table, groups='one', re_formula='0', vc_formula=dict(v='0 + C(v)', w='0 + C(w)')).fit()
    psi = dict(zip(both.model.exog_vc.names, both.vcomp/both.scale))
    found = blup([Effects(range(8), psi['v']), Effects(range(5), psi['w'])], 'vw', table, torch.tensor(both.fe_params.to_numpy()).float()[None, :, None])
    said = both.random_effects[1]
    for f, q, own in zip('vw', (8, 5), found):
        assert psi[f] > .05 and np.allclose(own, [float(said[f'{f}[C({f})[{i}]]']) for i in range(q)], atol=2e-3)


def test_effects_by_hand():
    "Shares, views that do not cover a clip, pulls and clips of no group"
    g = torch.Generator().manual_seed(0)
    x, share, cover, mean = torch.randn(2, 30, 4, generator=g), torch.rand(30, 3, generator=g), torch.rand(2, 30, generator=g) > .3, torch.randn(2, 3, 4, generator=g)
    group, pull = torch.arange(30) % 5-1, torch.rand(2, 30, 3, generator=g)
    e = Effects('abcd', 2.).fit(x, group, share, cover, mean, lambda rows: pull[:, rows])
    for v in range(2):
        for q in range(4):
            total, mass = torch.zeros(4), .5
            for i in range(30):
                if group[i] == q and cover[v, i]:
                    for k in range(3): r = share[i, k]*pull[v, i, k]; total += r*(x[v, i]-mean[v, k]); mass += r
            assert torch.allclose(e.effect[v, q], total/mass, atol=1e-5)
    shift = e(group, cover)
    assert (shift[:, group < 0] == 0).all() and (shift[~cover] == 0).all() and torch.equal(shift[0, cover[0] & (group == 2)][0], e.effect[0, 2])


# -- designs

def said_by(voices, words, emotions, keep=1., wrong=0., seed=0, times=1):
    "Who says what, emotion by emotion; a part is missing, a part of the words is put into wrong groups"
    rng = np.random.default_rng(seed)
    v, w, _ = (np.tile(o.ravel(), times) for o in np.meshgrid(np.arange(voices), np.arange(words), np.arange(emotions)))
    there = rng.random(len(v)) < keep
    v, w = v[there], w[there].copy()
    off = rng.random(len(w)) < wrong
    w[off] = rng.integers(-1, words, off.sum())
    return torch.tensor(v), torch.tensor(w)


@pytest.mark.parametrize('keep,wrong', [(1., 0.), (.8, 0.), (1., .12), (.85, .1)])
@pytest.mark.parametrize('voices,words,emotions', [(4, 2, 6), (10, 10, 6), (24, 2, 8), (4, 40, 6)])
def test_a_crossed_design_is_found(voices, words, emotions, keep, wrong):
    "Each voice says each sentence in each emotion, as acted corpora are made"
    assert find_design(*said_by(voices, words, emotions, keep, wrong), emotions) == Design(True, True, True)


def test_other_designs_are_found():
    rng = np.random.default_rng(0)
    v = torch.arange(300) % 10
    once, none = torch.full((300,), -1), Design(False, False)
    assert find_design(v, once, 6) == Design(True, False)                               # many clips of each voice, evenly; nothing is said twice
    assert find_design(torch.tensor(rng.permutation(np.repeat(np.arange(10), 30))), once, 6) == Design(True, False)
    sentence = torch.arange(300)//10                                                    # each voice says each sentence once, in whatever emotion
    assert find_design(v, sentence, 6) == Design(True, False)
    mostly = torch.where(torch.tensor(rng.random(300) < .9), sentence, -1)
    assert find_design(v, mostly, 6) == Design(True, False)
    talk = torch.tensor(np.repeat(np.arange(100), 3))                                   # films, telephone: many voices, a few clips of each
    assert find_design(talk, once, 6) == none
    uneven = torch.tensor(np.repeat(np.arange(20), np.r_[150, 60, 30, [4]*15, 0, 0]))
    assert find_design(uneven, torch.full((len(uneven),), -1), 6) == none
    pairs = torch.where(torch.arange(300) % 25 == 0, torch.arange(300)//50, -1)         # a few chance groups do not make a design
    assert find_design(talk, pairs, 6) == none
    assert find_design(torch.zeros(90, dtype=torch.long), torch.arange(90) % 5, 6) == none      # one voice
    assert find_design(torch.full((90,), -1), torch.arange(90) % 5, 6) == none                  # nobody knows who speaks
    assert find_design(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), 6) == none
    for design in (none, Design(True, False), Design(True, True)): assert str(design) and '\n' not in str(design)


def test_words_are_free_where_they_tell_nothing():
    rng = np.random.default_rng(0)
    named = torch.tensor(rng.integers(0, 6, 240))
    assert words_are_free(torch.arange(240) % 12, named)                # by chance
    written_for = named*2+torch.tensor(rng.integers(0, 2, 240))         # two sentences an emotion
    assert not words_are_free(written_for, named)
    a_third_wrong = torch.where(torch.tensor(rng.random(240) < 1/3), torch.tensor(rng.integers(0, 6, 240)), named)
    assert not words_are_free(written_for, a_third_wrong)
    assert not words_are_free(torch.full((240,), -1), named)            # nothing is said twice: nothing to be free
    assert not words_are_free(torch.arange(240) % 12, torch.zeros(240, dtype=torch.long))


def test_words_are_asked_about_once_more():
    "A corpus that was thinned has no full cells; after some rounds its words are taken away all the same. Not where it was told"
    shots, rest = split(clips(words=6, emotions=6), 2)
    rows = np.random.default_rng(0).permutation(len(rest))[:len(rest)//3]
    s = SERE(rounds=9).begin(shots, rest[np.sort(rows)])
    assert not any(d.words for d in s.design_.values()) and 'words' not in s.effects_
    voices = s.effects_['voices']
    for _ in range(8): s.step()
    assert 'words' not in s.effects_
    s.step()
    assert all(d == Design(True, True) for d in s.design_.values())
    assert s.effects_['voices'] is voices and len(s.effects_['words'].names) > 2
    told = SERE(rounds=9, design={c: (True, False) for c in s.design_}).fit(shots, rest[np.sort(rows)])
    assert 'words' not in told.effects_


def test_told_designs_win():
    "For one corpus; the other's is found"
    shots, rest = split(clips())
    found = SERE(rounds=0).fit(shots, rest)
    assert found.design_ == {'aa': Design(True, True, True), 'bb': Design(True, True, True)}
    assert len(found.effects_['voices'].names) == 8 and len(found.effects_['words'].names) == 6
    told = SERE(rounds=1, design={'bb': (False, False)}).fit(shots, rest)
    assert told.design_ == {'aa': Design(True, True, True), 'bb': Design(False, False)}
    assert {v.partition('/')[0] for v in told.effects_['voices'].names} == {'aa'} and {w.partition('#')[0] for w in told.effects_['words'].names} == {'aa'}
    part = SERE(rounds=1, design={'bb': (True, False)}).fit(shots, rest)
    assert len(part.effects_['voices'].names) == 8 and len(part.effects_['words'].names) == 3
    assert 'bb' in repr(part) and len(designs.levels(part, 'bb', torch.arange(len(shots)+30, len(shots)+50))) == 1
    for wrong in (3, {'bb': 1}, {'bb': (True,)}, 'voices'):
        with pytest.raises(L.LearnerError, match='^design'): SERE(design=wrong)


# -- words

def spoken(sentences, times, seed=0, voices=4, width=640):
    "Stretches of clips, said in several voices; sentence and voice of each"
    g = torch.Generator().manual_seed(seed)
    w = torch.arange(sentences).repeat(times)
    v = torch.randint(0, voices, (len(w),), generator=g)
    manner = torch.randn(voices, width//10, generator=g).repeat(1, 10)
    return 2*torch.randn(sentences, width, generator=g)[w]+manner[v]+.6*torch.randn(len(w), width, generator=g), w, v


def test_clips_that_say_the_same_are_found():
    x, w, v = spoken(30, 8)
    said = Said()(x, list('abcd'), v)
    assert torch.allclose(said.view(240, 10, -1).norm(dim=2), torch.ones(240, 10), atol=1e-4)
    all_of_them, some = SameWords().fit(said), SameWords(most=150).fit(said)
    assert adjusted_rand_score(w, all_of_them) > .97 and adjusted_rand_score(all_of_them, some) > .95
    same = SameWords(most=150)
    first = same.fit(said)
    assert torch.equal(first, some) and torch.equal(same(said), first)
    other = SameWords()
    own = other.fit(said)
    assert (other(said) == own).float().mean() > .98                                   # clips of the fit, asked about as if they were new
    silent = torch.cat([said, torch.zeros(3, said.shape[1])])
    assert (SameWords().fit(silent)[-3:] == -1).all() and (other(silent)[-3:] == -1).all()


def test_where_nothing_is_said_twice_nothing_is_claimed():
    for n in (3, 20, 40):
        x, w, v = spoken(n, 1)
        same = SameWords()
        assert (same.fit(Said()(x, list('abcd'), v)) == -1).all() and not len(same.middle)
    x, w, v = spoken(400, 1, voices=8)                                                 # of many, a few are alike by chance: no design comes of it
    words = SameWords().fit(Said()(x, list('abcdefgh'), v))
    assert not find_design(v, words, 6).words


def test_one_clip_and_two():
    x, w, v = spoken(2, 2)
    for n in (0, 1, 2):
        said = Said()(x[:n], ['a'], torch.zeros(n, dtype=torch.long)) if n else torch.zeros(0, 200)
        same = SameWords()
        assert same.fit(said).shape == (n,) and same(said).tolist() == [-1]*n
    twice = SameWords().fit(Said()(x[:3], ['a'], torch.zeros(3, dtype=torch.long))[[0, 0]])
    assert twice.tolist() == [0, 0]


@pytest.mark.parametrize('late', [False, True])
def test_who_speaks_slower_or_later_says_the_same(late):
    "Two sentences that share their second half, each said at many tempos"
    g = torch.Generator().manual_seed(0)
    sounds = torch.randn(2, 40, 64, generator=g)
    sounds[1, 20:] = sounds[0, 20:]
    w, v = torch.arange(80)%2, torch.arange(80)//20
    def stretched(k):
        bend = torch.rand(2, generator=g)*.5+.75                                      # of each half
        at = torch.cat([torch.linspace(0, 19, int(40*bend[0])), torch.linspace(20, 39, int(40*bend[1]))]).round().long()
        pause = torch.zeros(int(8*torch.rand(1, generator=g)) if late else 0, 64)
        x = torch.cat([pause, sounds[k][at]])
        return torch.stack([o.mean(0) for o in x.tensor_split(10)]).flatten()
    x = torch.stack([stretched(int(k)) for k in w])+.2*torch.randn(80, 640, generator=g)
    said = Said()(x, list('abcd'), v)
    assert adjusted_rand_score(w, SameWords().fit(said)) > .9


def test_stretches_that_are_none_are_told():
    with pytest.raises(L.LearnerError, match='^what is said has 77 numbers'): Said()(torch.ones(3, 77), ['a'], torch.zeros(3, dtype=torch.long))


# -- clips that come after the fit

@pytest.fixture(scope='module')
def fitted():
    shots, rest = split(clips(times=2))
    return SERE(rounds=4).fit(shots, rest), shots, rest


def test_saved_with_voices_words_and_designs(fitted, tmp_path):
    s, shots, rest = fitted
    again = SERE.load(s.save(tmp_path/'model'))
    assert again.design_ == s.design_ and {f: e.names for f, e in again.effects_.items()} == {f: e.names for f, e in s.effects_.items()}
    new = clips(seed=5, words=4)
    for asked in (rest, new, new[:1], clips(seed=6, corpora=('cc',))):
        assert np.allclose(s.predict_proba(asked), again.predict_proba(asked), atol=1e-6) and np.allclose(s.transform(asked), again.transform(asked), atol=1e-5)


def test_new_clips_of_known_voices_and_words_get_their_effects(fitted):
    s, shots, rest = fitted
    new = clips(seed=5, words=4)        # the fourth sentence was never heard
    prepared = s.space.prepare(new, designs.grounds(s, new.table))
    group = answers.groups_of_new(s, prepared, prepared.corpus.astype(str), designs.who_speaks(new.table, prepared.corpus.astype(str), True))
    names = lambda f: np.array(['' if i < 0 else s.effects_[f].names[i] for i in group[f]])
    assert (names('voices') == new.table.corpus+'/'+new.table.speaker).all()
    known = ~new.table.words.str.endswith('3').to_numpy()
    assert (group['words'].numpy()[known] >= 0).mean() > .95 and (group['words'].numpy()[~known] < 0).mean() > .95
    assert adjusted_rand_score(new.table.words[known], names('words')[known]) > .9
    _, clean, shift, cover, *_ = answers.read(s, new)
    assert torch.allclose(shift, sum(s.effects_[f](group[f], cover) for f in s.effects_), atol=1e-5) and shift.abs().amax((0, 2)).min() > 0
    named = right(new, s.predict(new))
    assert named > .8
    told_less = SERE(rounds=4, variance=1e-6).fit(shots, rest)
    assert named >= right(new, told_less.predict(new))
    # and clips of the fit are named as in the fit
    assert np.abs(s.predict_proba(rest)-s.predict_proba()[len(shots):]).max() < .05


def test_new_voices_in_numbers_get_effects_of_their_own(fitted):
    "A voice the fit never heard, whose sound is far from all others: 24 clips are enough, 12 are not"
    s = fitted[0]
    new = clips(voices=1, times=4, words=2, corpora=('bb',), seed=7)
    new = Embeddings(new.table.assign(speaker='new'), {v: f if v.endswith(SAID) else Frames((f.values+3).half(), f.offsets, f.hop_s) for v, f in new.views.items()})
    mixed_in = Embeddings.concat([new, clips(corpora=('bb',), seed=8)])         # measured among voices that are known
    corpus = np.array(['bb']*len(mixed_in))
    assert [len(o) for o in answers.fresh_voices(s, corpus, designs.who_speaks(mixed_in.table, corpus, True))] == [24]
    few = mixed_in[np.r_[0:12, 24:len(mixed_in)]]
    assert not answers.fresh_voices(s, corpus[:len(few)], designs.who_speaks(few.table, corpus[:len(few)], True))
    assert not answers.fresh_voices(s, np.array(['cc']*24), np.array(['cc/new']*24, dtype=object))      # how that corpus was made, nobody knows
    many, some = right(mixed_in[:24], s.predict(mixed_in)[:24]), right(few[:12], s.predict(few)[:12])
    assert many > some+.1 and many > .6
    assert np.array_equal(s.predict_proba(mixed_in), s.predict_proba(mixed_in[:]))


def test_voices_and_words_on_another_device(monkeypatch, tmp_path):
    "Effects, words and new voices in numbers, far from the processor"
    from far import FAR, Away
    from sere_nb import normalise
    monkeypatch.setattr(normalise, '_default_dtype', lambda device: torch.float32)
    shots, rest = split(clips())
    new = clips(voices=1, times=4, words=2, corpora=('bb',), seed=7)
    new.table['speaker'] = 'new'
    with Away(): far = SERE(rounds=1, device=FAR).fit(shots, rest); a = far.predict_proba(new), far.predict_proba(), SERE.load(far.save(tmp_path/'far'), FAR).predict_proba(new)
    near = SERE(rounds=1, device='cpu').fit(shots, rest)
    b = near.predict_proba(new), near.predict_proba(), SERE.load(near.save(tmp_path/'near'), 'cpu').predict_proba(new)
    assert far.effects_['words'].effect.device == FAR and all(np.array_equal(x, y) for x, y in zip(a, b))


@pytest.mark.parametrize('n', [1, 2, 3])
def test_targets_of_a_few_clips(n):
    "In the fit they are named as well as by a model that never met them, but for a clip or two that sits on the fence; a clip that is alone is measured with itself, and so left to chance, both ways"
    shots, rest = split(clips(corpora=('aa',), times=2))
    without = SERE(rounds=3).fit(shots, rest)
    target = clips(corpora=('bb',), seed=3, voice=.5, word=.5)
    target = target[np.random.default_rng(0).permutation(len(target))]
    inside = outside = 0
    for i in range(0, len(target)-n+1, n):
        few = target[i:i+n]
        s = SERE(rounds=3).fit(shots, Embeddings.concat([rest, few]))
        p = s.predict_proba()[-n:]
        assert np.isfinite(p).all() and np.allclose(p.sum(1), 1)
        inside += (s.classes_[p.argmax(1)] == few.table.emotion).sum()
        outside += (copy.deepcopy(without).predict(few) == few.table.emotion).sum()       # a copy, for it remembers how new corpora are measured
    assert inside >= outside-(2 if n > 1 else 0) and (n == 1 or inside > 24), (inside, outside)


# -- shares

@pytest.mark.parametrize('seed', range(4))
def test_shares_are_those_of_a_plain_minimiser(seed):
    "Clips, then groups of clips on three levels, some of them alone in their group"
    from scipy.optimize import minimize
    g, n, K = torch.Generator().manual_seed(seed), 14, 3
    logits, prior = 2*torch.randn(n, K, generator=g, dtype=torch.double), torch.rand(K, generator=g, dtype=torch.double)+.2
    prior = prior/prior.sum()
    levels = [(torch.zeros(n, dtype=torch.long), 30.), (torch.arange(n) % 4, 3.), (torch.arange(n)//2+(torch.arange(n) > 9), [.5, 3., 0., 20.][seed])]
    def value(z):
        z = torch.tensor(z.reshape(n, K), requires_grad=True)
        p = z.softmax(1)
        out = (p*(z.log_softmax(1)-logits)).sum()
        for at, k in levels:
            m = torch.bincount(at).double()
            mean = torch.zeros(len(m), K, dtype=torch.double).index_add(0, at, p)/m.clamp_min(1)[:, None]+1e-6
            out = out+(k*m/(m+2)*m*(mean*(mean/prior).log()).sum(1)).sum()
        out.backward()
        return out.item(), z.grad.numpy().ravel()
    best = minimize(value, logits.numpy().ravel(), jac=True, method='L-BFGS-B', options=dict(maxiter=5000, ftol=1e-14, gtol=1e-9))
    total, offsets = even_out(logits.float(), levels, prior.float(), iterations=3000, tolerance=1e-7)
    p = (logits+total.double()).softmax(1)
    assert (p-torch.tensor(best.x.reshape(n, K)).softmax(1)).abs().max() < 2e-3
    assert value((logits+total.double()).numpy().ravel())[0] <= best.fun+1e-4
    assert [tuple(o.shape) for o in offsets] == [(int(at.max())+1, K) for at, _ in levels]
    warm, _ = even_out(logits.float(), levels, prior.float(), offsets, iterations=1)
    assert torch.allclose(warm, total, atol=1e-3)
    assert torch.equal(even_out(logits.float(), [(at, 0.) for at, _ in levels], prior.float())[0], torch.zeros(n, K))
