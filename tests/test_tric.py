"TRIC and the terms for the course against plain loops, with several views and missing ones; its minimum is the learner's"
import itertools, json, math
from pathlib import Path

import pytest, torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st

from sere_nb import designs
from sere_nb import rounds
from sere_nb.irf import even_out
from sere_nb.learner import SERE
from sere_nb.structure import LearnerError, Structure
from sere_nb.tric import (TERMS, TRIC, Clips, Due, chain_term, contrast_term, homecoming, prototype_term, structure_of,
                          tric, tric_of)
from test_circumstances import clips as speech, split


# -- the objective

def case(seed, V=3, n=14, D=3, K=3, holes=True, dtype=torch.double):
    "Clips of two corpora and a module, all at random; some views missing, some voices not known, one view that is not ready"
    g = torch.Generator().manual_seed(seed)
    randn = lambda *s: torch.randn(*s, generator=g, dtype=dtype)
    cover = torch.rand(V, n, generator=g) < (.7 if holes else 2.)
    cover[0] = True
    label = torch.where(torch.arange(n) < 4, torch.arange(n) % K, -1)
    group = dict(voices=torch.randint(-1, 3, (n,), generator=g), words=torch.randint(-1, 2, (n,), generator=g))
    due = []
    for rows in (torch.arange(4, 9), torch.arange(9, n)):
        levels = [(torch.zeros(len(rows), dtype=torch.long), .7), (torch.arange(len(rows)) % 2, 3.)]
        due.append(Due(rows, levels, (randn(K)).softmax(0)))
    t = TRIC(V, D, K, dict(voices=3, words=2), freedom=5., variance=2., shrinkage=.2, scale=randn(V).exp(), ready=torch.arange(V) < max(1, V-1)).to(dtype)
    with torch.no_grad():
        for p in t.parameters(): p.copy_(.7*randn(*p.shape))
    return t, Clips(randn(V, n, D), cover, label, group, tuple(due))


def by_loops(t, c, share):
    "TRIC clip by clip and view by view, as it is written"
    V, n, D = c.x.shape
    K, ok = share.shape[1], [v for v in range(V) if t.ready[v]]
    S = [torch.linalg.inv(a@a.T) for a in t.adapter.detach()]
    out = dict.fromkeys(('labelled_prototype', 'unlabelled_prototype', 'certainty', 'spread', 'circumstances', 'balance'), 0.)
    for i in range(n):
        seen = [v for v in ok if c.cover[v, i]]
        for k in range(K):
            rho = 0.
            for v in seen:
                x = c.x[v, i].clone()
                for f, b in t.effect.items():
                    if c.group[f][i] >= 0: x -= b.detach()[v, c.group[f][i]]
                delta = (x-t.mean.detach()[v, k])@torch.linalg.solve(S[v], x-t.mean.detach()[v, k])
                rho += (t.freedom+D)/2*math.log(1+float(delta)/t.freedom)/len(seen)
            if c.label[i] == k: out['labelled_prototype'] += rho
            if c.label[i] < 0:
                out['unlabelled_prototype'] += float(share[i, k])*rho
                out['certainty'] += float(share[i, k]*share[i, k].log())
    for v in ok:
        N, q = int(c.cover[v].sum()), sum(b.shape[1] for b in t.effect.values())
        m = (N+q)*t.shrinkage/(1-t.shrinkage)
        out['spread'] += .5/len(ok)*float((N+q+m)*torch.logdet(S[v])+m*t.scale[v]*torch.linalg.inv(S[v]).trace())
        for b in t.effect.values():
            for g in range(b.shape[1]): out['circumstances'] += .5/len(ok)/t.variance*float(b.detach()[v, g]@torch.linalg.solve(S[v], b.detach()[v, g]))
    for d in c.due:
        for group, force in d.levels:
            for g in group.unique():
                at = d.rows[group == g]
                for k in range(K):
                    mean = float(share[at, k].mean())+1e-6
                    out['balance'] += force*len(at)/(len(at)+2)*len(at)*mean*math.log(mean/max(1e-6, float(d.prior[k])))
    return {k: v/n for k, v in out.items()}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.booleans(), st.sampled_from([1, 3]))
def test_tric_is_as_it_is_written(seed, holes, V):
    t, c = case(seed, V=V, holes=holes)
    for share in (t.posterior(c), torch.rand(14, 3).double().softmax(1)):
        parts, right = t.parts(c, share), by_loops(t, c, share)
        assert list(parts) == list(right)
        for k, v in right.items(): assert float(parts[k].detach()) == pytest.approx(v, rel=1e-6, abs=1e-8), k
        assert float(t(c, share).detach()) == pytest.approx(sum(right.values()), rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_no_other_shares_are_better(seed):
    t, c = case(seed)
    p = t.posterior(c, iterations=5000, tolerance=1e-9)
    least = float(t(c, p).detach())
    for size in (.01, .3, 3.):
        other = (p.clamp_min(1e-12).log()+size*torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)).double()).softmax(1)
        other[c.label >= 0] = p[c.label >= 0]
        assert float(t(c, other).detach()) >= least-1e-9


@pytest.mark.parametrize('seed', range(3))
def test_gradients_are_those_of_the_number(seed):
    "Shares at their best have no slope, so the gradient with them held is that of TRIC itself; the determinant is exact"
    t, c = case(seed)
    names = [k for k, _ in t.named_parameters()]
    def value(*values): return torch.func.functional_call(t, dict(zip(names, values)), (c, t.posterior(c, iterations=5000, tolerance=1e-10)))
    held = t.posterior(c, iterations=5000, tolerance=1e-10)
    assert torch.autograd.gradcheck(lambda *p: torch.func.functional_call(t, dict(zip(names, p)), (c, held)), [p.detach().clone().requires_grad_() for p in t.parameters()])
    t.zero_grad(); t(c, held).backward()
    for name, p in t.named_parameters():
        at = p.grad.abs().flatten().argmax()
        def moved(by):
            with torch.no_grad(): p.view(-1)[at] += by
            out = float(t(c, t.posterior(c, iterations=5000, tolerance=1e-10)).detach())
            with torch.no_grad(): p.view(-1)[at] -= by
            return out
        assert (moved(1e-4)-moved(-1e-4))/2e-4 == pytest.approx(float(p.grad.view(-1)[at]), rel=1e-4), name
        assert not p.grad[2].any(), name        # of the view that is not ready
    for _ in range(20):
        t.zero_grad(); t(c).backward()
        with torch.no_grad():
            for p in t.parameters(): p -= .3*p.grad
    assert torch.allclose(t.log_det, -torch.logdet(t.adapter@t.adapter.mT)) and t.log_det.isfinite().all()


def test_batches_are_the_whole_on_average():
    t, c = case(4)
    p, rows = t.posterior(c), torch.arange(14)
    whole = t.parts(c, p)
    some = [t.parts(c, p, rows=r) for r in rows.split(7)]
    for k, v in whole.items(): assert float((some[0][k]+some[1][k]).detach())/2 == pytest.approx(float(v.detach()), rel=1e-9), k


def test_a_reducer_may_leave_parts_out():
    t, c = case(5)
    t.reducer = lambda parts: 2*parts['spread']
    assert float(t(c).detach()) == pytest.approx(2*float(t.parts(c)['spread'].detach()))


def test_clips_that_do_not_fit_are_refused():
    t, c = case(6, dtype=torch.float32)
    for wrong, says in ((dict(cover=c.cover[:, 1:]), 'cover'), (dict(label=c.label[1:]), 'label'), (dict(x=c.x/0), 'NaN'),
                        (dict(group=dict(voices=c.group['voices'][1:])), 'voices'), (dict(due=(Due(torch.tensor([99]), [], torch.ones(3)/3),)), 'rows')):
        with pytest.raises(LearnerError, match=says) as e: Clips(**{**vars(c), **wrong})
        assert '\n' not in str(e.value)
    with pytest.raises(LearnerError, match='which of 2 words'): t(Clips(**{**vars(c), 'group': dict(voices=c.group['voices'])}))
    with pytest.raises(LearnerError, match='which of 3 voices'): t(Clips(**{**vars(c), 'group': {**c.group, 'voices': c.group['voices']+9}}))
    with pytest.raises(LearnerError, match='x is'): t(Clips(**{**vars(c), 'x': c.x[..., :2].contiguous()}))
    with pytest.raises(LearnerError, match='variance is'): TRIC(1, 2, 2, variance=0.)


# -- the learner's minimum

@pytest.fixture(scope='module')
def at_rest():
    "A small fit with voices and words, gone on with until nothing moves"
    with pytest.MonkeyPatch.context() as m:
        m.setattr(rounds, 'even_out', lambda logits, levels, prior, offsets=None: even_out(logits, levels, prior, offsets, 3000, 1e-7))
        s = SERE(seed=0, dims=4).begin(*split(speech(seed=0, voices=3, words=2, emotions=2)))
        for _ in range(150): s.step()
    assert set(s.effects_) == {'voices', 'words'} and not s.circumstances_ and s._clips.cover.all()
    return s, tric_of(s.structure, s.effects_, s.settings['variance']), rounds.tric_clips(s, s.prior_)


def test_the_module_has_the_learners_value_and_no_slope_where_it_rests(at_rest):
    s, t, c = at_rest
    p = t.posterior(c, iterations=3000, tolerance=1e-7)
    assert torch.allclose(p, s._share, atol=1e-4)
    parts = t.parts(c, p)
    for k, v in parts.items(): assert float(v.detach()) == pytest.approx(s.history_[-1]['losses'][k], abs=1e-4), k
    t.zero_grad(); t(c, p).backward()
    slope = {k: float(v.grad.abs().max()) for k, v in t.named_parameters()}
    first = tric_of(s.structure, s.effects_)
    with torch.no_grad(): first.mean += .1
    first(c, p).backward()
    assert max(slope.values()) < 1e-4 < 1e-2 < float(first.mean.grad.abs().max()), slope


@pytest.mark.parametrize('seed', range(2))
def test_adam_from_anywhere_finds_the_learners_minimum(at_rest, seed):
    s, _, c = at_rest
    t, g = tric_of(s.structure, s.effects_, s.settings['variance']), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in t.parameters(): p.copy_(.1*torch.randn(p.shape, generator=g))
    adam, offsets = torch.optim.Adam(t.parameters(), .05, (.9, .99)), {}
    first = float(t(c).detach())
    for i in range(250):
        if i == 150: adam.param_groups[0]['lr'] = .01
        adam.zero_grad(); t(c, t.posterior(c, offsets=offsets)).backward(); adam.step()
    least = s.history_[-1]['losses']['tric']
    assert first > least+1 and float(t(c).detach()) == pytest.approx(least, abs=1e-3)
    assert (t.posterior(c).argmax(1) == s._share.argmax(1)).all()


def test_there_and_back():
    g = torch.Generator().manual_seed(0)
    x, share = torch.randn(2, 60, 3, generator=g), torch.randn(60, 4, generator=g).softmax(1)
    one = Structure(2, 3, 4, .2).fit(x, share, torch.ones(2, 60).bool())
    two = structure_of(tric_of(one), Structure(2, 3, 4, .2))
    for a, b in ((one.nearness(x), two.nearness(x)), (one.log_det, two.log_det), (one.resonance(x, torch.ones(2, 60).bool()), two.resonance(x, torch.ones(2, 60).bool()))):
        assert torch.allclose(a, b, atol=1e-4)


# -- the terms for the course


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


# -- the page of one round

@pytest.mark.parametrize('seed', range(2))
def test_the_lines_of_one_round_find_the_learners_numbers(seed):
    "On more than its four clips: two views, voices and words, shares balanced by corpus, voice and cell"
    page, ns = Path(__file__).parent.parent/'nbs/tutorials/one_round.ipynb', {}
    for c in json.loads(page.read_text(encoding='utf-8'))['cells']:
        source = ''.join(c['source'])
        if c['cell_type'] == 'code' and source.startswith(('import', 'def ')): exec(source, ns)
    s = SERE(seed=seed).begin(*split(speech(seed=seed, voices=3, words=2)))
    o, y = s._clips, s.label_.numpy()
    groups = {f: (o.group[f].numpy(), len(e.names)) for f, e in s.effects_.items()}
    due = [(at.numpy(), s.prior_[c].numpy(), [(g.numpy(), k) for g, k in designs.levels(s, c, at)]) for c, at in designs.unlabelled_of(s).items()]
    assert set(groups) == {'voices', 'words'} and any(len(d[2]) == 3 for d in due) and o.x.shape[0] > 1
    p, was = s._share.numpy().copy(), None
    for _ in range(3):
        s.step()
        p, was = ns['one_round'](o.x.numpy().astype(float), y, p, groups, due, was)
        assert abs(p-s._share.numpy()).max() < 1e-3 and abs(was['m']-s.structure.mean.numpy()).max() < 1e-3
        for f in groups: assert abs(was['b'][f]-s.effects_[f].effect.numpy()).max() < 1e-3
