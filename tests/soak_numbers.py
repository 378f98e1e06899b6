"""Numbers at their limits: losses, resonance and whole fits at any temperature, with one clip, with identical clips, with 2 and 50 emotions, in 32 and 16 bits. `python tests/soak_numbers.py [--quick]`"""
import itertools, math, os, sys, warnings
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import numpy as np, pandas as pd, torch
import torch.nn.functional as F

from sere_nb import irf, tric
from sere_nb.encoder import Embeddings, Frames
from sere_nb.learner import SERE
from sere_nb.structure import Projection, Space, Structure

TEMPERATURES = 1e-4, 1e-3, .05, 1., 1e2, 1e4
FREEDOMS = 1e-3, 1., 8., 100., 1e6
DTYPES = torch.float32, torch.bfloat16
UNIT = {torch.float32: 2**-23, torch.bfloat16: 2**-8}


class Part:
    "A part of the soak: cases that broke the promise, and the first of them"
    def __init__(self, name): self.name, self.cases, self.lost, self.worst = name, 0, 0, []
    def case(self, name, work):
        "`work` gives what is wrong, or nothing"
        self.cases += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                why = work()
        except Exception as e: why = f"{type(e).__name__}: {e}"
        if why: self.lost += 1; self.worst.append(f"{name}: {str(why)[:200]}")
    def row(self): return dict(part=self.name, cases=self.cases, lost=self.lost, note="; ".join(self.worst[:5]))


# -- the losses, beside the same in 64 bits, in the logarithm and clip by clip

def _lse(x): return -math.inf if not len(x) or max(x)==-math.inf else max(x)+math.log(sum(math.exp(o-max(x)) for o in x))

def _clipwise(values):      # {(view, clip): loss}
    clips = {}
    for (_, i), x in values.items(): clips.setdefault(i, []).append(x)
    return sum(sum(o)/len(o) for o in clips.values())/len(clips) if clips else 0.

def plainly(z_l, y_l, c_l, z_u, y_u, c_u, p, t):
    "The terms by the book"
    z_l, z_u, p = (o.double().numpy() for o in (z_l, z_u, p))
    V, n_l, n_u = len(z_l), z_l.shape[1], z_u.shape[1]
    def prototype(z, y, c):
        s = {(v, i): p[v]@z[v, i]/t for v in range(V) for i in range(z.shape[1]) if c[v, i]}
        return _clipwise({k: _lse(x)-x[y[k[1]]] for k, x in s.items()})
    contrast, chain = {}, {}
    for v in range(V):
        us, ls = [u for u in range(n_u) if c_u[v, u]], [i for i in range(n_l) if c_l[v, i]]
        s = z_l[v]@z_u[v].T/t
        total, back = {i: _lse(s[i, us]) for i in ls}, {u: _lse(s[ls, u]) for u in us}
        for i in ls if us else ():
            own = [s[i, u]-total[i] for u in us if y_u[u]==y_l[i]]
            if own: contrast[v, i] = -_lse(own)
            homes = [j for j in ls if y_l[j]==y_l[i]]
            chain[v, i] = -sum(max(math.log(1e-8), _lse([s[i, u]-total[i]+s[j, u]-back[u] for u in us])) for j in homes)/len(homes)
    out = dict(labelled_prototype=prototype(z_l, y_l, c_l))
    return out|dict(unlabelled_prototype=prototype(z_u, y_u, c_u), labelled_unlabelled=_clipwise(contrast), chain=_clipwise(chain)) if n_u else out


def points(kind, k, seed, d=8):
    "Shots, clips and prototypes: (z_l, y_l, c_l, z_u, y_u, c_u, p)"
    g = torch.Generator().manual_seed(seed)
    unit = lambda *s: F.normalize(torch.randn(*s, d, generator=g), dim=-1)
    v, n_l, n_u = 2, 2*k, dict(one=1, none=0).get(kind, k+3)
    z_l, z_u, p = unit(v, n_l), unit(v, n_u), unit(v, k)
    if kind=="identical": z_l, z_u, p = (z_l[:, :1].expand(-1, o.shape[1], -1).clone() for o in (z_l, z_u, p))
    if kind=="opposite": z_u = -z_l[:, torch.arange(n_u)%n_l]      # the farthest that clips can be: what a view lacks must still be farther
    if kind=="zeros": z_u = z_u*0
    c_l, c_u = torch.ones(v, n_l), torch.ones(v, n_u)
    if kind in ("holes", "opposite"):
        c_l[0, 0] = c_l[1, 1] = 0
        if n_u>2: c_u[0, :2] = 0; c_u[1, n_u//2:] = 0
    if kind=="a view without clips": c_u[0] = 0
    if kind=="no view": c_l[:, 0] = 0; c_u[:, 0] = 0
    return z_l, torch.arange(n_l)%k, c_l, z_u, torch.randint(0, k, (n_u,), generator=g), c_u, p


KINDS = "usual", "one", "identical", "opposite", "holes", "a view without clips", "no view", "zeros", "none"


def losses(quick):
    part = Part("numbers: the losses")
    for kind, k, t, dtype, seed in itertools.product(KINDS, (2, 50), TEMPERATURES, DTYPES, range(1 if quick else 2)):
        if quick and k==50 and t not in (1e-4, 1e4): continue
        def work():
            z_l, y_l, c_l, z_u, y_u, c_u, p = points(kind, k, seed)
            z_l, z_u, p = (o.to(dtype).requires_grad_() for o in (z_l, z_u, p))
            terms = tric.tric(z_l, y_l, c_l, z_u, y_u, c_u, p, t)
            sum(terms.values()).backward()
            for n, o in dict(z_l=z_l, z_u=z_u, p=p).items():
                if o.grad is not None and not o.grad.isfinite().all(): return f"the gradient of {n} is not finite"
            right = plainly(*(o.detach() for o in (z_l, y_l, c_l, z_u, y_u, c_u, p)), t)
            if list(terms)!=list(right): return f"terms {list(terms)}"
            for n, o in terms.items():
                # a similarity is rounded to one of its last bits, and then divided by the temperature
                if not abs(float(o)-right[n])<=8*UNIT[dtype]*(1/t+abs(right[n])+1)+1e-5: return f"{n} is {float(o):.6g}, but should be {right[n]:.6g}"
        part.case(f"{kind}, {k} emotions, temperature {t:g}, {dtype}, {seed}", work)
    return part


# -- the field

def fields(quick):
    part = Part("numbers: the resonance field and what settles with it")
    for dtype, n, kind in itertools.product(DTYPES, (1, 2, 40, 300, 3000), ("usual", "equal", "one peak", "loud")):
        def work():
            g = torch.Generator().manual_seed(n)
            clip = torch.repeat_interleave(torch.arange(3), torch.tensor([n, 1, n]))
            db = dict(usual=-30+10*torch.randn(len(clip), generator=g), equal=torch.full((len(clip),), -30.), loud=1e4*torch.randn(len(clip), generator=g)).get(kind, torch.full((len(clip),), -120.)).to(dtype)
            if kind=="one peak": db[0] = 0
            for loud in (0., .1, 1e3):
                w = irf.highlight_weights(db, clip, loud)
                total = torch.zeros(3, dtype=torch.float64).index_add(0, clip, w.double())
                if not w.isfinite().all() or not (total-1).abs().max()<UNIT[dtype]*(4+(n/2 if dtype==torch.float32 else 0)) or w.min()<0: return f"the weights of clips sum to {total.tolist()} (loud={loud})"
                if n>1 and loud and kind=="usual":
                    x = (loud*db)[:n].double()      # rounded as there
                    if not torch.allclose(w[:n].double(), x.softmax(0), rtol=.02, atol=1e-4): return f"weights differ from those in 64 bits (loud={loud})"
                a, b = irf.highlight_spans(w[:n], clip[:n])[0].tolist()
                if not 0<=a<b<=n: return f"span {a, b}"
        part.case(f"weights, {n} moments, {kind}, {dtype}", work)
    for dtype, k, n, kind in itertools.product(DTYPES, (2, 50), (1, 400), ("usual", "identical", "far", "zeros", "a share of 0")):
        def work():
            g = torch.Generator().manual_seed(k+n)
            logits = torch.randn(n, k, generator=g)*dict(far=1e4, zeros=0.).get(kind, 3.)
            if kind=="identical": logits = logits[:1].expand(n, k).clone()
            prior = torch.ones(k)
            if kind=="a share of 0": prior[0] = 0
            prior = prior/prior.sum()
            logits = logits.to(dtype)
            o = irf.balancing_offsets(logits, prior)
            if not o.isfinite().all(): return "offsets are not finite"
            mean = (logits.double()+o.double()).softmax(1).mean(0)
            if not mean.isfinite().all() or n>1 and kind not in ("far", "identical") and not (mean-prior).abs().max()<.01: return f"shares are {(mean-prior).abs().max():.3g} away"
            for force in (0., .5, 1e6):
                total, _ = irf.even_out(logits, [(torch.zeros(n, dtype=torch.long), force), (torch.arange(n)%3, force)], prior)
                soft = (logits.float()+total.float()).softmax(1)
                if not total.isfinite().all() or not soft.isfinite().all(): return f"soft offsets are not finite (force={force:g})"
                if dtype==torch.float32 and force==1e6 and n>1 and kind in ("usual", "zeros") and not (soft.mean(0)-prior).abs().max()<.02: return f"with all force, shares are {(soft.mean(0)-prior).abs().max():.3g} away"
        part.case(f"balance, {k} emotions, {n} clips, {kind}, {dtype}", work)
    for dtype, k, n, t, kind in itertools.product(DTYPES, (2, 50), (1, 2, 120), TEMPERATURES, ("usual", "identical")):
        def work():
            g = torch.Generator().manual_seed(n)
            x = F.normalize(torch.randn(n, 6, generator=g), dim=1)
            if kind=="identical": x = x[:1].expand(n, 6).clone()
            share = torch.randn(n, k, generator=g).softmax(1)
            home = tric.homecoming(x.to(dtype), share.to(dtype), 10, t)
            if home.shape!=(n,) or not home.isfinite().all() or home.min()<0 or home.max()>1.02: return f"homecoming {home.min()} to {home.max()}"
            if n>10 and kind=="identical" and t>=1 and k==2:
                if not (home.float()-(share@share.T).mean(1)).abs().max()<.35: return "homecoming among identical clips is not their mean"
        part.case(f"homecoming, {k} emotions, {n} clips, temperature {t:g}, {kind}, {dtype}", work)
    return part


def gradients(quick):
    "Derivatives beside differences"
    part = Part("numbers: gradients")
    for kind, k, t in itertools.product(("usual", "holes", "one", "opposite") if not quick else ("holes", "opposite"), (2, 3), (.2, 1., 50.) if not quick else (.5,)):
        z_l, y_l, c_l, z_u, y_u, c_u, p = points(kind, k, 1, d=3)
        z_l, z_u, p = (o.double().requires_grad_() for o in (z_l, z_u, p))
        for name in tric.TERMS:
            f = lambda a, b, q: tric.tric(a, y_l, c_l, b, y_u, c_u, q, t)[name]
            part.case(f"{name}, {kind}, {k}, {t}", lambda: None if torch.autograd.gradcheck(f, (z_l, z_u, p), atol=1e-4) else "wrong")
    clip = torch.tensor([0, 0, 0, 1, 2, 2])
    for loud in (.1, 1., 20.):
        db = torch.tensor([-30., -31, -20, -9, 0, .1], dtype=torch.double, requires_grad=True)
        part.case(f"weights, {loud}", lambda: None if torch.autograd.gradcheck(lambda x: irf.highlight_weights(x, clip, loud), (db,)) else "wrong")
    emb = clips(4, 3, 5)
    prepared = Space(False, contents=()).fit(emb).prepared
    projection = Projection(4, .5, True)
    x, cover = projection(prepared)
    share = torch.eye(4)[torch.arange(len(emb))%4]
    structure = Structure(len(x), 4, 4).fit(x, share, cover)
    def field(mean, adapter):      # in 32 bits, as it is there
        structure.mean, structure.adapter = mean, adapter
        return irf.instantaneous_resonance(prepared, projection, structure)
    at = structure.mean.clone().requires_grad_(), structure.adapter.clone().requires_grad_()
    def check():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return None if torch.autograd.gradcheck(field, at, eps=3e-3, atol=2e-2, rtol=2e-2, nondet_tol=1e-5) else "wrong"
    part.case("the field of moments", check)
    s = Structure(2, 3, 4)
    s.adapter, s.mean, s.ready = torch.randn(2, 3, 3).double(), torch.randn(2, 4, 3).double(), torch.tensor([True, True])
    x = torch.randn(2, 5, 3).double().requires_grad_()
    part.case("resonance of clips", lambda: None if torch.autograd.gradcheck(lambda o: s.resonance(o, torch.rand(2, 5)>-1), (x,)) else "wrong")
    part.case("log-shares of clips", lambda: None if torch.autograd.gradcheck(lambda o: s.log_share(o, torch.rand(2, 5)>-1), (x,)) else "wrong")
    return part


# -- whole fits

def clips(k, each, seed, frames=8, d=6, identical=False, dtype=torch.float16, language="aa"):
    "Clips of `k` emotions that are told apart by their mean"
    g, n = torch.Generator().manual_seed(seed), k*each
    centre = torch.randn(k, d, generator=torch.Generator().manual_seed(0))
    x = (centre[torch.arange(n)%k][:, None]+.3*torch.randn(n, frames, d, generator=g)).flatten(0, 1)
    if identical: x = x[:frames].repeat(n, 1)
    table = pd.DataFrame(dict(path=[f"{language}{seed}-{i}" for i in range(n)], language=language, corpus=language, speaker="", emotion=[f"e{i%k:02d}" for i in range(n)], start_s=0., seconds=frames*.1))
    return Embeddings(table, {"toy": Frames(x.to(dtype), torch.arange(0, n*frames+1, frames), .1)})


def fits(quick):
    part = Part("numbers: whole fits")
    cases = [dict(freedom=f, k=k) for f in FREEDOMS for k in (2, 50)]
    cases += [dict(unlabelled=1, k=k, freedom=f) for k in (2, 50) for f in (1e-3, 1e6)]+[dict(identical=True, k=k, freedom=f) for k in (2, 50) for f in (1e-3, 8., 1e6)]
    cases += [dict(k=k, dtype=d) for k in (2, 50) for d in (torch.float32, torch.bfloat16)]+[dict(k=2, scale=s) for s in (1e-6, 1e-3, 1e3)]
    cases += [dict(k=6, **o) for o in (dict(variance=1e-6), dict(variance=1e6), dict(balance=0.), dict(balance=1e6), dict(planned=(0., 0., 0.)), dict(planned=(1e6, 1e6, 1e6)), dict(prior="estimate"), dict(softness=(1e-6, 1e-6, 1e-6)), dict(softness=(1e6, 1e6, 1e6)), dict(shrinkage=0), dict(shrinkage=1), dict(even=1), dict(circumstances=1), dict(loud=1e3), dict(dims=1), dict(dims=300))]
    cases += [dict(k=6, said=True, **o) for o in (dict(), dict(variance=1e-6), dict(variance=1e6), dict(planned=(1e6, 1e6, 1e6)), dict(freedom=1e-3), dict(shrinkage=0))]
    if quick: cases = cases[::3]+[dict(unlabelled=1, k=2, freedom=1e-3), dict(identical=True, k=2, freedom=1e-3)]
    for case in cases:
        def work():
            o = dict(case)
            k, few, same, said, dtype, scale = o.pop("k"), o.pop("unlabelled", None), o.pop("identical", False), o.pop("said", False), o.pop("dtype", torch.float16), o.pop("scale", 1.)
            shots, rest = clips(k, 2, 1, identical=same, dtype=dtype), clips(k, 2 if k>6 else 6, 2, identical=same, dtype=dtype, language="bb")
            if said:        # four voices and three sentences, each in each emotion
                for e in (shots, rest):
                    at = torch.arange(len(e))//k
                    e.table["speaker"] = [f"s{o}" for o in at%4]
                    e.views["toy.said"] = Frames(torch.randn(3, 200, generator=torch.Generator().manual_seed(1))[at%3].half(), torch.arange(len(e)+1), 0.)
            if scale!=1:
                for e in (shots, rest): e.views["toy"].values.mul_(scale)
            rest = rest[:few] if few else rest
            s = SERE(rounds=2, dims=o.pop("dims", 8), **{"circumstances": 8, **o}).fit(shots, Embeddings(rest.table.assign(emotion=""), rest.views))
            p = s.predict_proba(rest)
            if p.shape!=(len(rest), k) or not np.isfinite(p).all() or not np.allclose(p.sum(1), 1, atol=1e-4): return "shares are not finite, or do not sum to 1"
            for h in s.history_:
                if not all(np.isfinite(v) for v in h["losses"].values()): return f"losses {h['losses']}"
                for n in ("proba", "profile", "landmarks", "resonance"):
                    if not h[n].float().isfinite().all(): return f"{n} is not finite"
            if not all(np.isfinite(f["r"]).all() and abs(f["weight"].sum()-1)<1e-3 for f in s.resonance(rest)): return "a field is not finite"
            if k==2 and not same and not few and scale==1 and len(case)<=2 and not (s.predict(rest)==rest.table.emotion).mean()>.9: return "two emotions that lie apart are not told apart"
        part.case(str(case), work)
    return part


def soak(quick=False):
    "Yields a dict a part: part, cases, lost, note"
    for work in (losses, fields, gradients, fits): yield work(quick).row()


if __name__=="__main__":
    for row in soak("--quick" in sys.argv): print(f"{row['part']}: {row['cases']} cases, {row['lost']} lost. {row['note']}", flush=True)
