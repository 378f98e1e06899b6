"Common ground, highlights and balanced assignment: properties that must hold for any clips"
import numpy as np, pandas as pd, pytest, torch
from hypothesis import given, settings, strategies as st

from sere_nb.encoder import Embeddings, Frames
from sere_nb.irf import balancing_offsets, class_prior, grow, highlight_span, highlight_weights, share_in_use
from sere_nb.structure import Projection, Space, Standardiser, Structure, kmeans, pool, relations, to_moments, windows

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
@given(seeds, st.integers(2, 7), st.integers(10, 120), st.floats(0, 1))
def test_growth_takes_the_surest_of_each_emotion(seed, k, n, share):
    g = torch.Generator().manual_seed(seed)
    p = torch.randn(n, k, generator=g).softmax(1)
    prior = torch.full((k,), 1/k)
    label = grow(p, prior, share)
    sure, best = p.max(1)
    for e in range(k):
        mine, used = best == e, label == e
        assert not (used & ~mine).any()
        if share < 1: assert used.sum() <= max(1, round(share*n/k))
        if used.any() and (mine & ~used).any(): assert sure[used].min() >= sure[mine & ~used].max()
    if share >= 1: assert (label == best).all()


@quick
@given(seeds, st.lists(st.integers(1, 30), min_size=1, max_size=8))
def test_highlight_weights_sum_to_one_in_each_clip(seed, lengths):
    g = torch.Generator().manual_seed(seed)
    clip = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    a = highlight_weights(torch.randn(len(clip), generator=g)*20-40, clip, torch.randn(len(clip), generator=g), rise=.1)
    assert torch.allclose(torch.zeros(len(lengths)).index_add(0, clip, a), torch.ones(len(lengths)), atol=1e-5)
    for i in range(len(lengths)):
        w = a[clip == i]
        start, stop = highlight_span(w)
        assert 0 <= start <= int(w.argmax()) < stop <= len(w)


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
    # windows as a plain loop
    around = windows(moments, 2)
    for j in range(len(around)):
        near = [m for m in range(max(0, j-2), min(len(around), j+3)) if moments.clip[m] == moments.clip[j]]
        n = moments.count[near][:, None]
        assert torch.allclose(around[j, :3], (moments.mean[near].float()*n).sum(0)/n.sum(), atol=1e-3)


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


def test_resonance_is_a_mean_over_covering_views():
    s = Structure(2, 3, 2)
    x, label = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1]*3)
    s.place(x, label, torch.ones(2, 6, dtype=torch.bool))
    cover = torch.ones(2, 6, dtype=torch.bool)
    cover[1, 0] = False
    r = s.resonance(x, cover)
    one = torch.nn.functional.normalize(x[0, 0], dim=0)@s.directions[0].T
    assert torch.allclose(r[0], one, atol=1e-6)
    assert r.abs().max() <= 1+1e-6


@pytest.mark.parametrize('k', [2, 5, 9])
def test_relations_rows_sum_to_one(k):
    from sere_nb.corpora import EMOTIONS
    r = relations(EMOTIONS[:k])
    assert torch.allclose(r.sum(1), torch.ones(k)) and (r.diagonal() == 0).all()


def test_shares_grow_to_all():
    shares = [share_in_use(r, 8) for r in range(9)]
    assert shares[0] == pytest.approx(1/8) and shares[-1] == 1 and shares == sorted(shares)
    assert class_prior({'a': 1, 'b': 3}, ['a', 'b']).tolist() == [.25, .75]
