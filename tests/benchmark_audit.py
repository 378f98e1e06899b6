"""What an audit proves, on real speech: the figures of nbs/11_audit.ipynb.

    .venv/bin/python tests/benchmark_audit.py --protocol ../shared/protocol/wide42.json --corpora ../shared/corpora \\
        --encoder ../shared/models/whisper-base-encoder+acoustic --cache out/cache --out nbs/tutorials/results/audit.csv

Of each corpus the first task that has it as its target, seed 0. 1,000 audits are simulated, of 20 and of 50 clips that are drawn
by chance, evenly (`draw_evenly`) and plainly: how often the interval of accuracy, of each share, of UAR (300 audits) holds
the truth; how wide it is; and how many clips that are only counted would be as narrow. Then 12 clips are taught, drawn evenly:
UAR on the others, as the first fit has it, after eight rounds more, and by a new fit to which they are told (`sere run --taught`).
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from sere_nb import audit, bench
from sere_nb.encoder import load_encoder
from sere_nb.learner import SERE
from sere_nb.fits import steps_due
from sere_nb.scores import uar

TAUGHT = 'urdu', 'ased'


def tasks(protocol, corpora, encoder, cache, taught):
    "(task, its clips) of the protocol: the first task to each corpus, or all to those where clips are taught"
    wanted, seen = dict(protocol, tasks=[]), set()
    for t in protocol['tasks']:
        if t['target'] in TAUGHT if taught else t['target'] not in seen: wanted['tasks'].append(t)
        seen.add(t['target'])
    hold = bench.Corpora(bench.read_tables(wanted, corpora), load_encoder(encoder), cache, False)
    for t in sorted(wanted['tasks'], key=lambda t: t['target']): yield t, bench.Task(t, hold, 'known')


def fitted(task, paths, seed):
    "(learner, rows of the target, what is true)"
    shots, rest, _ = task.draw(seed, paths)
    learner = SERE(seed=seed).fit(shots, rest)
    n = len(task._target)
    return learner, np.arange(len(learner.table_)-n, len(learner.table_)), task._target.emotion.to_numpy(dtype=object)


def clips_counted(width, truth, N):
    "Clips drawn and counted plainly whose intervals are as narrow on average"
    from scipy.stats import hypergeom
    for n in range(3, N+1):
        k = np.arange(n+1)
        wide = [high-low for low, high in (audit.wilson(o/n, n/(1-n/N) if n < N else np.inf) for o in k)]
        if hypergeom.pmf(k, N, round(truth*N), n)@wide <= width: return n
    return N


def simulated(p, truth, emotions, n, even, draws, uars):
    "A row for each thing that is wanted to know"
    place, rows = np.argsort(audit.spread_order(p)), {}
    named, best = emotions[p.argmax(1)], p.max(1)
    wanted = {'accuracy': (truth == named, best), **{e: (truth == e, p[:, k]) for k, e in enumerate(emotions)}}
    at_k = np.searchsorted(emotions, truth)
    real = uar(truth, named)
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        at = audit.draw_evenly(p, n, rng) if even else rng.choice(len(p), n, replace=False)
        at = at[np.argsort(place[at])]
        for what, (y, f) in wanted.items():
            e = audit.estimate(y[at], f[at], f, even)
            rows.setdefault((what, y.mean()), []).append((*e[:3], *e.plain))
        if seed < uars: rows.setdefault(('UAR', real), []).append((*audit.estimate_uar(at_k[at], at, p, draws=1000), *[np.nan]*3))
    for (what, true), found in rows.items():
        value, low, high, plain, below, above = np.array(found).T
        holds = lambda a, b: ((a <= true+1e-9) & (true <= b+1e-9)).mean()
        width = (high-low).mean()
        yield dict(what=what, n=n, drawn='evenly' if even else 'plainly', audits=len(found), true=true, mean=value.mean(), holds=holds(low, high), width=width,
            worth=np.nan if what == 'UAR' else clips_counted(width, true, len(p)), counted_holds=np.nan if what == 'UAR' else holds(below, above), counted_width=(above-below).mean())


def gains(task, paths, seed, n=12):
    "UAR on the clips that were not taught: before, by rounds more, by a new fit"
    shots, rest, _ = task.draw(seed, paths)
    learner, rows, truth = fitted(task, paths, seed)
    p = learner.predict_proba(rows)
    at = audit.draw_evenly(p, n, np.random.default_rng(seed))
    left = np.setdiff1d(np.arange(len(rows)), at)
    judged = lambda learner: uar(truth[left], learner.predict(rows)[left])
    before, again = uar(truth[left], learner.classes_[p[left].argmax(1)]), SERE(seed=seed).begin(shots, rest)
    for who in (learner, again):
        for i in at: who.teach(int(rows[i]), truth[i])
    for _ in range(8): learner.step()
    for _ in range(steps_due(again)): again.step()
    return dict(n=n, before=before, rounds_more=judged(learner), new_fit=judged(again))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for o in ('protocol', 'corpora', 'encoder'): a.add_argument(f'--{o}', required=True)
    a.add_argument('--cache', type=Path)
    a.add_argument('--draws', type=int, default=1000)
    a.add_argument('--uars', type=int, default=300)
    a.add_argument('--out', type=Path)
    a = a.parse_args()
    protocol, made = bench.read_protocol(a.protocol), []
    for t, task in tasks(protocol, a.corpora, a.encoder, a.cache, False):
        learner, rows, truth = fitted(task, t['shots']['0'], 0)
        p = learner.predict_proba(rows)
        for n in (20, 50):
            for even in (True, False):
                made += [dict(part='audit', source=t['source'], target=t['target'], seed=0, clips=len(p), **o) for o in simulated(p, truth, learner.classes_, n, even, a.draws, a.uars)]
        print(t['target'], 'audited', flush=True)
    for t, task in tasks(protocol, a.corpora, a.encoder, a.cache, True):
        for seed in (0, 1): made.append(dict(part='teach', source=t['source'], target=t['target'], seed=seed, clips=len(task._target), what='UAR', **gains(task, t['shots'][str(seed)], seed)))
        print(t['source'], t['target'], 'taught', flush=True)
    table = pd.DataFrame(made)
    if a.out: table.to_csv(a.out, index=False, float_format='%.4g')
    seen = table[table.part == 'audit'].assign(kind=lambda t: t.what.where(t.what.isin(['accuracy', 'UAR']), 'share'))
    seen['in_93_97'] = seen.holds.between(.93, .97)
    seen['below_93'] = seen.holds < .93
    print(seen.groupby(['kind', 'drawn', 'n']).agg(cells=('holds', 'size'), least=('holds', 'min'), holds=('holds', 'mean'), most=('holds', 'max'), in_93_97=('in_93_97', 'sum'), below_93=('below_93', 'sum'),
        width=('width', 'mean'), counted_width=('counted_width', 'mean'), worth=('worth', 'mean'), least_worth=('worth', 'min')).round(3).to_string())
    taught = table[table.part == 'teach']
    print((100*taught.groupby('target')[['before', 'rounds_more', 'new_fit']].mean()).round(1).to_string())


if __name__ == '__main__': main()
