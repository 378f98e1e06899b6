"TRIC terms against plain loops, with several views and missing ones"
import itertools, math

import pytest, torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from sere_nb.tric import TERMS, chain_term, contrast_term, homecoming, prototype_term, tric


def points(seed, v=2, n_l=4, n_u=7, d=3, k=2, holes=True):
    g = torch.Generator().manual_seed(seed)
    unit = lambda *s: F.normalize(torch.randn(*s, d, generator=g, dtype=torch.double), dim=-1)
    y_l, y_u = torch.arange(n_l) % k, torch.randint(0, k, (n_u,), generator=g)
    c_l, c_u = torch.ones(v, n_l, dtype=torch.double), torch.ones(v, n_u, dtype=torch.double)
    if holes: c_l[1, 0] = 0; c_u[0, 1] = 0; c_u[1, 2:4] = 0
    return unit(v, n_l), y_l, c_l, unit(v, n_u), y_u, c_u, unit(v, k)


def mean_over_clips(values):    # {(view, clip): loss} -> mean over each clip's views, then clips
    clips = {}
    for (v, i), x in values.items(): clips.setdefault(i, []).append(x)
    return sum(sum(x)/len(x) for x in clips.values())/len(clips)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.booleans(), st.sampled_from([.1, .5, 2.]))
def test_terms_equal_plain_loops(seed, holes, t):
    z_l, y_l, c_l, z_u, y_u, c_u, p = points(seed, holes=holes)
    (V, n_l, _), n_u = z_l.shape, z_u.shape[1]
    e = lambda a, b: math.exp(float(a@b)/t)
    proto, contrast, chain = {}, {}, {}
    for v, i in itertools.product(range(V), range(n_l)):
        if not c_l[v, i]: continue
        near = [e(z_l[v, i], q) for q in p[v]]
        proto[v, i] = -math.log(near[y_l[i]]/sum(near))
        us, ls = [u for u in range(n_u) if c_u[v, u]], [j for j in range(n_l) if c_l[v, j]]
        step = {u: e(z_l[v, i], z_u[v, u]) for u in us}
        own = sum(s for u, s in step.items() if y_u[u] == y_l[i])
        if own: contrast[v, i] = -math.log(own/sum(step.values()))
        homes = [j for j in ls if y_l[j] == y_l[i]]
        back = lambda u, j: e(z_u[v, u], z_l[v, j])/sum(e(z_u[v, u], z_l[v, m]) for m in ls)
        chain[v, i] = -sum(math.log(sum(step[u]/sum(step.values())*back(u, j) for u in us)) for j in homes)/len(homes)
    assert float(prototype_term(z_l, y_l, c_l, p, t)) == pytest.approx(mean_over_clips(proto), abs=1e-6)
    if contrast: assert float(contrast_term(z_l, y_l, c_l, z_u, y_u, c_u, t)) == pytest.approx(mean_over_clips(contrast), abs=1e-6)
    assert float(chain_term(z_l, y_l, c_l, z_u, c_u, t)) == pytest.approx(mean_over_clips(chain), abs=1e-5)


@pytest.mark.parametrize('term', range(3))
def test_gradients(term):
    z_l, y_l, c_l, z_u, y_u, c_u, p = points(1)
    f = [lambda a, b, q: prototype_term(b, y_u, c_u, q, .5), lambda a, b, q: contrast_term(a, y_l, c_l, b, y_u, c_u, .5),
         lambda a, b, q: chain_term(a, y_l, c_l, b, c_u, .5)][term]
    assert torch.autograd.gradcheck(f, [x.requires_grad_() for x in (z_l, z_u, p)])


def test_a_missing_view_carries_no_gradient():
    z_l, y_l, c_l, z_u, y_u, c_u, p = points(2)
    z_u.requires_grad_()
    sum(tric(z_l, y_l, c_l, z_u, y_u, c_u, p, .5).values()).backward()
    assert (z_u.grad[c_u == 0] == 0).all() and (z_u.grad[c_u == 1] != 0).any()


@pytest.mark.parametrize('t', [1e-3, .05, 1e3])
def test_finite_at_any_temperature(t):
    terms = tric(*points(3), t)
    assert list(terms) == list(TERMS) and all(torch.isfinite(v) for v in terms.values())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 5))
def test_homecoming_as_plain_loops(seed, neighbours):
    g = torch.Generator().manual_seed(seed)
    f, p = F.normalize(torch.randn(12, 3, generator=g), dim=1), torch.randn(12, 4, generator=g).softmax(1)
    to = torch.randperm(12, generator=g)[:7].sort().values
    home = homecoming(f, p, neighbours, .1, to)
    for i in range(12):
        near = sorted((j for j in to.tolist() if j != i), key=lambda j: -float(f[i]@f[j]))[:neighbours]
        w = torch.softmax(torch.stack([f[i]@f[j]/.1 for j in near]), 0)
        assert float(home[i]) == pytest.approx(float(sum(a*(p[j]@p[i]) for a, j in zip(w, near))), abs=1e-5)
    assert ((home >= 0) & (home <= 1+1e-6)).all()


def test_homecoming_to_anchors_is_as_its_definition():
    g = torch.Generator().manual_seed(0)
    profile, share = torch.nn.functional.normalize(torch.randn(600, 6, generator=g), dim=1), torch.randn(600, 3, generator=g).softmax(1)
    anchors = torch.randperm(600, generator=g)[:40]
    home = homecoming(profile, share, 5, .1, anchors)
    for i in [*anchors[:3].tolist(), 0, 300, 599]:      # anchors, too: nobody is their own witness
        others = anchors[anchors != i]
        near, at = (profile[others]@profile[i]).topk(5)
        said = ((near/.1).softmax(0)[:, None]*share[others[at]]).sum(0)
        assert torch.allclose(home[i], (said*share[i]).sum(), atol=1e-5)
