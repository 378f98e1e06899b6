"Common ground, highlights and balanced assignment: properties that must hold for any clips"
import numpy as np, pandas as pd, pytest, torch
from hypothesis import given, settings, strategies as st

from sere_nb.audio import SR, toy_voice
from sere_nb.encoder import Embeddings, Frames, acoustic_tracks
from sere_nb.irf import _fixed_point, balancing_offsets, class_prior, even_out, heard_in, highlight_spans, highlight_weights, in_words, sounds_of, usual_sounds
from sere_nb.structure import Circumstances, HIGHLIGHTS, Projection, Space, Standardiser, Structure, kmeans, pool, pool_parts, relations, to_moments, contour, contour_parts, audible

seeds = st.integers(0, 10_000)
quick = settings(max_examples=40, deadline=None)


@quick
@given(seeds, st.integers(2, 9), st.integers(20, 200), st.floats(.5, 8))
def test_balanced_shares_equal_the_prior(seed, k, n, spread):
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, k, generator=g)*spread
    prior = torch.rand(k, generator=g)+.2
    prior /= prior.sum()
    p = (logits+balancing_offsets(logits, prior, 500)).softmax(1)
    assert (p.mean(0)-prior).abs().max() < .02
    assert torch.isfinite(p).all()


@quick
@given(seeds, st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_highlight_weights_sum_to_one_in_each_clip(seed, lengths):
    g = torch.Generator().manual_seed(seed)
    clip = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    a = highlight_weights(torch.randn(len(clip), generator=g)*20-40, clip)
    assert torch.allclose(torch.zeros(len(lengths)).index_add(0, clip, a), torch.ones(len(lengths)), atol=1e-5)


@quick
@given(seeds, st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_highlight_is_the_stretch_with_most_evidence(seed, lengths):
    g = torch.Generator().manual_seed(seed)
    clip = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    margin, heard = torch.randn(len(clip), generator=g), torch.rand(len(clip), generator=g) > .3
    for i, (start, stop) in enumerate(highlight_spans(margin, clip, heard).tolist()):
        m, h = margin[clip == i].double(), int(heard[clip == i].sum())
        long = min(len(m), max(3, min(10, round(.2*h))))
        assert stop-start == long
        sums = [float(m[a:a+long].sum()) for a in range(len(m)-long+1)]     # all stretches, one by one
        assert float(m[start:stop].sum()) == pytest.approx(max(sums), abs=1e-6)


@quick
@given(seeds, st.lists(st.integers(1, 40), min_size=1, max_size=6), st.booleans())
def test_parts_of_moments_sum_to_what_is_pooled(seed, lengths, weighed):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(lengths), 3, generator=g)*2+1
    moments = to_moments(x, Frames(x.half(), torch.tensor([0, *np.cumsum(lengths)]), .05))
    moments.count = moments.count*(torch.rand(len(moments.count), generator=g) > .2)
    w = torch.rand(len(moments.count), generator=g) if weighed else None
    origin = torch.rand(len(lengths), 6, generator=g)
    heard = torch.zeros(len(lengths)).index_add(0, moments.clip, moments.count) > 0
    total = lambda parts: torch.zeros(len(lengths), 6).index_add(0, moments.clip, parts)
    assert torch.allclose(total(pool_parts(moments, w, origin))[heard], (pool(moments, w)-origin)[heard], atol=2e-3)
    assert not pool_parts(moments, w, origin)[moments.count == 0].any()
    assert torch.allclose(total(contour_parts(moments)), contour(moments), atol=1e-4)


@quick
@given(seeds, st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_silence_is_measured_clip_by_clip(seed, lengths):
    g = torch.Generator().manual_seed(seed)
    db = torch.randn(sum(lengths), generator=g)*20-40
    offsets = torch.tensor([0, *np.cumsum(lengths)])
    got = audible(db, offsets)
    for a, b in zip(offsets.tolist(), offsets[1:].tolist()):
        loud = db[a:b].sort().values[int(np.ceil(.95*(b-a-1)))]
        assert (got[a:b] == (db[a:b] >= loud-25)).all() and got[a:b].any()


@quick
@given(seeds, st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_moments_keep_mean_and_deviation(seed, lengths):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(lengths), 3, generator=g)
    frames = Frames(x.half(), torch.tensor([0, *np.cumsum(lengths)]), .02)
    moments = to_moments(x, frames)
    pooled = pool(moments)
    for i, n in enumerate(lengths):
        rows = x[frames.offsets[i]:frames.offsets[i+1]]
        assert torch.allclose(pooled[i, :3], rows.mean(0), atol=5e-3)
        slack = 2e-3*(1+rows.square().mean(0))      # moments are kept in 16 bits
        assert ((pooled[i, 3:].square()-rows.var(0, correction=0)).abs() < slack).all()


def test_standardiser_measures_groups_apart_and_remembers():
    measure = Standardiser()
    x, at = torch.randn(60, 4)*3+torch.arange(60)[:, None]//30*50., torch.arange(60)//30
    z = measure(x, ['a', 'b'], at)
    for g in (0, 1):
        assert torch.allclose(z[at == g].mean(0), torch.zeros(4), atol=1e-4)
        assert torch.allclose(z[at == g].std(0, correction=0), torch.ones(4), atol=1e-3)
    assert torch.allclose(measure(x[:1], ['a'], torch.tensor([0])), z[:1])


def test_kmeans_finds_far_clusters():
    centres = torch.tensor([[0., 0.], [50., 0.], [0., 50.]])
    x = (centres[torch.arange(300) % 3]+torch.randn(300, 2, generator=torch.Generator().manual_seed(0)))
    found = min((kmeans(x, 3, seed=s) for s in range(5)), key=lambda c: torch.cdist(x, c).amin(1).sum())
    assert torch.cdist(centres, found).amin(1).max() < 1


def clips(n=30, width=6, languages=('de', 'it'), views=None, seed=0):
    "Random clips in which one view may cover one language alone"
    g = torch.Generator().manual_seed(seed)
    table = pd.DataFrame(dict(path=[f'{i}.wav' for i in range(n)], language=[languages[i % len(languages)] for i in range(n)], speaker='', corpus=''))
    out = {}
    for name, covers in (views or {'all': languages}).items():
        lengths = torch.tensor([int(torch.randint(5, 40, (1,), generator=g)) if l in covers else 0 for l in table.language])
        offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)])
        out[name] = Frames(torch.randn(int(offsets[-1]), width, generator=g).half(), offsets, .02)
    return Embeddings(table, out)


def test_a_view_of_one_language_covers_that_language_alone():
    emb = clips(views={'bridge': ('de', 'it'), 'german': ('de',), 'italian': ('it',)})
    project = Projection(4)
    x, cover = project(Space(contents=()).fit(emb).prepared)
    german = torch.tensor((emb.table.language == 'de').to_numpy())
    at = {v: i for i, v in enumerate(project.views)}
    assert cover[at['bridge']].all() and (cover[at['german']] == german).all() and (cover[at['italian']] == ~german).all()
    assert (x[at['german']][~german] == 0).all() and torch.isfinite(x).all()


def test_tracks_are_seen_twice_and_layers_once():
    "A handful of tracks is pooled evenly and with highlights; the layers of a speech model evenly alone"
    emb = clips(views={'a': ('de', 'it'), 'b': ('it',)})
    wide = clips(width=64, views={'c': ('de', 'it')})
    emb = Embeddings(emb.table, {**emb.views, **wide.views})
    prepared = Space(contents=(4,), contour=False).fit(emb).prepared
    project = Projection(4, .5, sphere=True)
    x, cover = project(prepared, torch.rand(len(prepared.loudness), generator=torch.Generator().manual_seed(0)))
    assert project.views == ['a', 'a'+HIGHLIGHTS, 'b', 'b'+HIGHLIGHTS, 'c', 'c-content4'] and (cover[0] == cover[1]).all()
    assert torch.allclose(x[cover].norm(dim=1), torch.full((int(cover.sum()),), 2.), atol=1e-4) and (x[~cover] == 0).all()
    assert (x[0]-x[1]).abs().max() > .1


def structure(seed=1, n=40, k=3):
    g = torch.Generator().manual_seed(seed)
    label = torch.arange(n) % k
    x = torch.randn(2, n, 4, generator=g)+torch.nn.functional.one_hot(label, 4)*3.
    cover = torch.rand(2, n, generator=g) > .2
    return x*cover[..., None], torch.nn.functional.one_hot(label, k).float(), cover


@quick
@given(seeds, st.sampled_from([1., 8., 1e6]))
def test_structure_as_plain_loops(seed, freedom):
    "A round with pulls after one without, clip by clip; without end of freedom it is a Gaussian"
    x, share, cover = structure(seed)
    first = Structure(2, 4, 3, freedom=freedom).fit(x, share, cover)
    near = first.nearness(x)
    second = Structure(2, 4, 3, freedom=freedom).fit(x, share, cover, near)
    for s, old in ((first, None), (second, first)):
        r = torch.zeros(x.shape[1], 3)
        for v in range(2):
            total, n, means = torch.zeros(4, 4), 0, []
            for k in range(3):
                mine = x[v][cover[v] & (share[:, k] == 1)]
                w = torch.ones(len(mine))
                if old is not None:
                    d = ((mine-old.mean[v, k])@old.adapter[v]).square().sum(1)
                    w = (freedom+4)/(freedom+d)
                means.append((w[:, None]*mine).sum(0)/w.sum())
                total += (w[:, None]*(mine-means[-1])).T@(mine-means[-1])
                n += len(mine)
            S = total/n
            S = .9*S+.1*torch.eye(4)*S.diagonal().mean()
            assert torch.allclose(s.mean[v], torch.stack(means), atol=1e-4) and float(s.log_det[v]) == pytest.approx(float(torch.logdet(S)), abs=1e-3)
            d = torch.stack([((x[v]-o)@torch.linalg.inv(S)*(x[v]-o)).sum(1) for o in means], 1)
            like = -d/2 if freedom == 1e6 else -(freedom+4)/2*(1+d/freedom).log()
            r += like*cover[v][:, None]
        r /= cover.sum(0).clamp_min(1)[:, None]
        assert torch.allclose(s.log_share(x, cover).softmax(1), r.softmax(1), atol=5e-3 if freedom == 1e6 else 2e-3)
        assert s.resonance(x, cover).abs().max() <= 1+1e-6 and (s.log_share(x, cover)[cover.sum(0) == 0] == 0).all()
        assert torch.allclose(s.profile(x, cover).norm(dim=1)[cover.any(0)], torch.ones(int(cover.any(0).sum())), atol=1e-4)
        assert torch.allclose(s.prototype, s.mean@s.adapter)


@quick
@given(seeds)
def test_a_clip_far_from_everything_pulls_less(seed):
    "Thrown far away, one clip moves a Student-t mean by little, and a Gaussian one by as much as it weighs"
    x, share, cover = structure(seed)
    cover[:] = True
    first = Structure(2, 4, 3).fit(x, share, cover)
    far = x.clone()
    far[:, 0] += 300.
    def moved(freedom):
        o = Structure(2, 4, 3, freedom=freedom)
        o.adapter, o.mean, o.ready = first.adapter, first.mean, first.ready
        return (Structure(2, 4, 3, freedom=freedom).fit(far, share, cover, o.nearness(far)).mean-first.mean)[:, 0].abs().max()
    assert moved(8.) < 1 and moved(1e6) > 10


def test_weights_of_clips_are_their_number():
    "A clip with weight 2 counts as two clips, with pulls and without"
    x, share, cover = structure()
    at = [*range(40), *range(7)]
    near = Structure(2, 4, 3).fit(x, share, cover).nearness(x)
    for of in (None, near):
        two = Structure(2, 4, 3).fit(x, share*(1+(torch.arange(40) < 7))[:, None], cover, of)
        again = Structure(2, 4, 3).fit(x[:, at], share[at], cover[:, at], None if of is None else of[:, at])
        assert torch.allclose(two.log_share(x, cover), again.log_share(x, cover), atol=1e-3)


def test_circumstances_leave_the_emotion():
    g = torch.Generator().manual_seed(0)
    emotion, voice = torch.arange(240) % 3, torch.arange(240)//3 % 5
    voices = torch.randn(2, 5, 6, generator=g)*4
    x = torch.nn.functional.one_hot(emotion, 6)*1.5+voices[:, voice]+torch.randn(2, 240, 6, generator=g)*.3
    cover = torch.ones(2, 240, dtype=torch.bool)
    cover[1, ::4] = False
    share = (torch.nn.functional.one_hot(emotion, 3)*2.).softmax(1)
    known = Circumstances(20).fit(x, share, cover)
    clean = x-known(x, share, cover)
    truth = x-voices[:, voice]
    error = lambda o: float(((o-truth)*cover[..., None]).sub(((o-truth)*cover[..., None]).mean(1, keepdim=True)).square().mean())
    assert error(clean) < .1*error(x)
    assert (known(x, share, cover)[1, ::4] == 0).all()                      # what a view does not cover is left alone
    assert torch.allclose(known(x[:, 7:8], share[7:8], cover[:, 7:8]), known(x, share, cover)[:, 7:8])    # alone as among others


@pytest.mark.parametrize('k', [2, 5, 9])
def test_relations_rows_sum_to_one(k):
    from sere_nb.corpora import EMOTIONS
    r = relations(EMOTIONS[:k])
    assert torch.allclose(r.sum(1), torch.ones(k)) and (r.diagonal() == 0).all()


def test_priors_by_corpus():
    due, guess = class_prior({'it': {'a': 1, 'b': 3}, 'de': 'estimate'}, ['a', 'b'], ['de', 'en', 'it'])
    assert due['it'].tolist() == [.25, .75] and due['en'].tolist() == [.5, .5] and guess == ['de']
    assert class_prior({'a': 0, 'b': 2}, ['a', 'b'], ['x'])[0]['x'].tolist() == [0, 1]


@quick
@given(seeds, st.integers(1, 4), st.integers(2, 5))
def test_landmarks_are_the_profiles_of_clips_at_the_prototypes(seed, views, k):
    "With views that do not cover every clip, and one that is not ready"
    g = torch.Generator().manual_seed(seed)
    n, d = 40, 6
    label = torch.arange(n)%k
    x, cover = torch.randn(views, n, d, generator=g), torch.rand(views, n, generator=g) > .2
    cover[-1] = label == 0
    s = Structure(views, d, k).fit(x, torch.nn.functional.one_hot(label, k).float(), cover)
    landmarks = s.landmarks(x, cover)
    assert not s.ready[-1] and landmarks.shape == (k, views*k) and (landmarks[:, -k:] == 0).all()
    # the same by hand, clip by clip and view by view
    for j in range(k):
        parts = []
        for v in range(views):
            near = lambda z: torch.stack([-(s.freedom+d)/2*(1+(z-p)@(z-p)/s.freedom).log() for p in s.prototype[v]])
            average = torch.stack([near(x[v, i]@s.adapter[v]) for i in range(n) if cover[v, i]]).mean(0)
            parts.append((near(s.prototype[v, j])-average)*s.ready[v])
        flat = torch.cat(parts)
        assert torch.allclose(landmarks[j], flat/flat.norm().clamp_min(1e-12), atol=1e-4)


def test_parts_make_no_difference(monkeypatch):
    from sere_nb import normalise, structure, tensors
    g = torch.Generator().manual_seed(0)
    x, cover, at = torch.randn(2, 50, 4, generator=g), torch.rand(2, 50, generator=g) > .2, torch.arange(50)//20
    share, frames = torch.rand(50, 3, generator=g).softmax(1), (torch.randn(50, 4, generator=g)*3).half()
    near = Structure(2, 4, 3).fit(x, share, cover).nearness(x)
    def all_of_it():
        s = Structure(2, 4, 3).fit(x, share, cover, near)
        return s.mean, s.adapter, s.log_share(x, cover), s.profile(x, cover), s.landmarks(x, cover), Standardiser()(frames, list('abc'), at), structure.nearest(x[0], x[1, :5])
    whole = all_of_it()
    for room in (tensors, normalise, structure): monkeypatch.setattr(room, '_PART', 7)
    for a, b in zip(whole, all_of_it()): assert torch.allclose(a.float(), b.float(), atol=5e-5, rtol=1e-4)     # sums in another order


def test_standardiser_takes_half_precision_and_missing_values():
    g = torch.Generator().manual_seed(0)
    frames, at = (torch.randn(60, 4, generator=g)*3+5).half(), torch.arange(60)//30
    room = torch.full((60, 4), 7.)
    z = Standardiser()(frames, ['a', 'b'], at, room)
    assert z is room and torch.equal(z, Standardiser()(frames.float(), ['a', 'b'], at))
    holes = frames.clone()
    holes[3, 1], holes[40, 2] = torch.nan, torch.inf
    y = Standardiser()(holes, ['a', 'b'], at)
    there = torch.ones(60, dtype=torch.bool)
    there[3] = False
    assert y[3, 1] == 0 and y[40, 2] == 0 and torch.isfinite(y).all()
    assert torch.allclose(y[:30][there[:30], 1], Standardiser()(frames[:30][there[:30]], ['a'], at[:29]*0)[:, 1], atol=1e-5)      # as if the missing one were not there


# ---- what is heard ----

def test_what_is_heard_is_what_a_plain_loop_says():
    torch.manual_seed(0)
    length, voice = [7, 1, 12, 5, 9], torch.tensor([0, 1, 0, 1, 1])
    clip = torch.repeat_interleave(torch.arange(5), torch.tensor(length))
    y = 5*torch.randn(len(clip), 3)+20
    y[torch.rand(len(clip)) < .4, 0] = torch.nan
    mean, deviation = usual_sounds(y, voice[clip])
    spans = torch.tensor([[1, 4], [0, 1], [5, 12], [2, 4], [0, 9]])
    z = heard_in(y, clip, spans, mean[voice], deviation[voice])
    for i, (a, b) in enumerate(spans.tolist()):
        for k in range(3):
            own, all_ = y[clip == i][a:b, k], y[voice[clip] == voice[i]][:, k]
            own, all_ = own[~own.isnan()], all_[~all_.isnan()]
            if len(own) < 2: assert z[i, k].isnan()
            else: assert abs(z[i, k]-(own.mean()-all_.mean())/all_.std(correction=0)) < 1e-3


@pytest.mark.parametrize('change, word', [(dict(f0=300.), 'higher'), (dict(f0=145.), 'lower'), (dict(by=4.), 'louder'), (dict(by=.2), 'quieter'), ({}, '')])
def test_a_stretch_gets_its_word_and_no_other(change, word):
    "Four clips of one voice; in the first a second is made otherwise, by the whole way from sound to words"
    clips = [toy_voice(3., 200., seed=s) for s in range(4)]
    middle = slice(SR, 2*SR)
    if 'f0' in change: clips[0][middle] = toy_voice(3., change['f0'])[middle]
    clips[0][middle] *= change.get('by', 1.)
    y = [sounds_of(o) for o in acoustic_tracks(clips)]
    clip = torch.repeat_interleave(torch.arange(4), torch.tensor([len(o) for o in y]))
    y = torch.cat(y)
    usual = (o.expand(4, 3) for o in usual_sounds(y, torch.zeros_like(clip)))
    z = heard_in(y, clip, torch.tensor([[100, 200]]*4), *usual)
    said = in_words(z[0]).removesuffix(' than usual for this voice')
    assert set(said.split(' and ')) <= {word, 'brighter', 'darker', ''} and word in said
    assert all(in_words(o) == '' for o in z[1:])


@pytest.mark.parametrize('kind', ['white', 'low', 'hum'])
def test_of_steady_sound_nothing_is_said(kind):
    noise = .1*torch.randn(4*SR, generator=torch.Generator().manual_seed(1))
    if kind == 'low': noise = torch.nn.functional.avg_pool1d(noise[None], 9, 1, 4)[0]
    if kind == 'hum': noise = .3*torch.sin(2*torch.pi*120*torch.arange(4*SR)/SR)
    y = sounds_of(acoustic_tracks([noise])[0])
    clip = torch.zeros(len(y), dtype=torch.long)
    usual = usual_sounds(y, clip)
    if kind != 'hum': assert usual[0][0, 0].isnan() or y[:, 0].isfinite().float().mean() < .2
    for a in range(0, 360, 10): assert in_words(heard_in(y, clip, torch.tensor([[a, a+40]]), *usual)[0]) == ''


@pytest.mark.parametrize("n", [7, 210, 333, 1500])
def test_offsets_do_not_hang_on_threads(n):
    "Other libraries change how many there are in the middle of a session (numba does, when a map is laid)"
    logits, g = torch.randn(n, 6, generator=torch.Generator().manual_seed(n))*4, torch.arange(n)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(even_out(logits, [(g*0, 30.), (g % 24, 3.)], torch.full((6,), 1/6)))
    finally: torch.set_num_threads(before)
    for total, offsets in found[1:]: assert torch.equal(total, found[0][0]) and all(map(torch.equal, offsets, found[0][1]))


@pytest.mark.parametrize("seed", range(20))
def test_offsets_settle(seed):
    "Levels within one another, firm and soft, clips that are sure and unsure: another turn moves next to nothing"
    g, r = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    n, K = int(r.choice([1, 3, 20, 300])), int(r.choice([2, 5, 9]))
    logits, prior = torch.randn(n, K, generator=g)*float(r.choice([.1, 2, 10])), torch.rand(K, generator=g)**float(r.choice([1, 4]))
    levels = [(torch.arange(n)*0, float(r.choice([.06, 3, 30]))), (torch.arange(n) % 4, 3.), (torch.arange(n)//2, float(r.choice([0, 3])))]
    args = logits, levels, prior/prior.sum()
    total, offsets = even_out(*args)
    again, _ = even_out(*args, offsets, iterations=1)
    assert (again-total).abs().max() < 1e-3
    assert (even_out(*args, offsets, iterations=2000, tolerance=1e-6)[0]-total).softmax(1).sub(1/K).abs().max() < 1e-2


def test_mixing_never_ends_where_turns_alone_would_not_go():
    "A map that leads astray what is mixed: the last plain turn is where it goes on"
    def bent(x): return .9*x+.5*torch.sin(7*x)*(x.abs() > 1)
    found = _fixed_point(bent, torch.full((3,), .8), 400, 1e-5)
    assert (bent(found)-found).abs().max() < 1e-4 and torch.equal(_fixed_point(bent, torch.ones(3), 0, 1e-5), torch.ones(3))
