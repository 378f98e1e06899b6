"""Are emotions found, and called by another's name? The figures of "found, but called otherwise" in nbs/tutorials/results_wide.ipynb.

    .venv/bin/python tests/benchmark_naming.py --protocol ../shared/protocol/wide42.json --corpora ../shared/corpora \
        --encoder ../shared/models/whisper-base-encoder+acoustic --cache out/cache --seeds 0-1 --out nbs/tutorials/results/naming.csv

For each task and draw, shares held to be equal and tempo left out: UAR of the target as it is named, and as it would be if names were given to groups as the true labels have it
(one name a group); what TRIC says, in nats, of the target with two names exchanged and four more rounds, against four more rounds as it is: for the exchange that
TRIC likes best, and for the one that the labels like best; and what is left of the true names, held for six rounds, four rounds
after they are let go, against ten rounds that begin as always. Labels of the
target choose and score here. Nothing of this is a method.
"""
import argparse
import copy
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from sere_nb.bench import read_tables
from sere_nb.encoder import load_encoder
from sere_nb.learner import SERE
from sere_nb.protocols import read_protocol, read_seeds, task_name
from sere_nb.rounds import objective, turn
from sere_nb.shared import Shared
from sere_nb.tasks import Corpora, Task

EARLY, LATE = 6, 4      # rounds before an exchange, and after it


def rounds(fit, n):
    for _ in range(n): turn(fit, fit.prior_)
    return fit


def branch(fit):
    "A copy that goes on by itself"
    new = copy.copy(fit)
    new._clips, new.effects_, new.structure = copy.copy(fit._clips), {f: copy.copy(e) for f, e in fit.effects_.items()}, copy.copy(fit.structure)
    for o in ('_share', '_total'): setattr(new, o, getattr(fit, o).clone())
    for o in ('_offsets', 'offset_', 'circumstances_', 'hidden_', 'design_'): setattr(new, o, dict(getattr(fit, o)))
    return new


def exchanged(fit, at, corpus, order):
    "The same with other names for the clips `at` of a corpus: emotion k is what was called order[k]"
    new = branch(fit)
    new._near = fit._near.clone()
    new._near[:, at] = fit._near[:, at][..., order]
    for o in ('_share', '_total'): getattr(new, o)[at] = getattr(fit, o)[at][:, order]
    if corpus in new._offsets: new._offsets[corpus] = [o[:, order] for o in new._offsets[corpus]]
    return new


def nats(fit): return float(objective(fit, fit.prior_)['tric'])*len(fit.label_)


def uar(said, true): return 100*np.mean([(said[true == k] == k).mean() for k in np.unique(true)])


def matched(said, true, emotions):
    "UAR with the best names for groups"
    counts = np.zeros((emotions, emotions))
    np.add.at(counts, (true, said), 1)
    rows, columns = linear_sum_assignment(-counts/np.maximum(1, counts.sum(1, keepdims=True)))
    names = np.empty(emotions, int)
    names[columns] = rows
    return uar(names[said], true)


def naming(task, seed, shots, rest, source_labels):
    "A row of the table"
    fit = SERE(seed=seed, prior='balanced', tempo=0.).begin(shots, rest, Shared(task.clips).space(SERE(seed=seed), shots, rest, emotions=shots.table.emotion.nunique()))
    start, target, K = branch(fit), task.task['target'], len(fit.classes_)
    at = torch.arange(len(shots)+len(rest))[-len(task._target):]
    true = np.searchsorted(fit.classes_, task._target.emotion.to_numpy(str))
    said = lambda o: o._share[at].argmax(1).numpy()
    rounds(fit, EARLY)
    as_is = rounds(branch(fit), LATE)
    out = dict(uar=uar(said(as_is), true), matched=matched(said(as_is), true, K))
    tried = []
    for i, j in combinations(range(K), 2):
        order = torch.arange(K)
        order[i], order[j] = j, i
        new = rounds(exchanged(fit, at, target, order), LATE)
        tried.append((nats(new)-nats(as_is), uar(said(new), true), f'{fit.classes_[i]}, {fit.classes_[j]}'))
    for name, (price, score, pair) in dict(tric=min(tried), labels=max(tried, key=lambda o: o[1])).items():
        out |= {f'{name}_pair': pair, f'{name}_nats': price, f'{name}_uar': score}
    labels = np.r_[source_labels[source_labels != ''], task._target.emotion.to_numpy(str)]
    truth = F.one_hot(torch.as_tensor(np.searchsorted(fit.classes_, labels)), K).float()
    rounds(start, 1)
    for _ in range(EARLY-1):
        start._share[len(shots):] = truth
        rounds(start, 1)
    rounds(start, LATE)
    return out | dict(truth_uar=uar(said(start), true), truth_nats=nats(start)-nats(as_is))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--protocol', required=True)
    p.add_argument('--corpora', required=True)
    p.add_argument('--encoder', required=True)
    p.add_argument('--cache')
    p.add_argument('--seeds', default='0-1')
    p.add_argument('--out', type=Path, help='CSV file')
    args = p.parse_args()
    protocol, rows = read_protocol(args.protocol), []
    every = Corpora(read_tables(protocol, args.corpora), load_encoder(args.encoder), args.cache)
    for t in protocol['tasks']:
        task = Task(t, every, 'known')
        every.only((t['source'], t['target']))
        for seed in read_seeds(args.seeds, protocol):
            rows.append(dict(task=task_name(t), seed=seed) | naming(task, seed, *task.draw(seed, t['shots'][str(seed)])))
            print({k: round(v, 1) if isinstance(v, float) else v for k, v in rows[-1].items()}, flush=True)
            if args.out: pd.DataFrame(rows).round(2).to_csv(args.out, index=False)
    print(pd.DataFrame(rows).groupby('seed').mean(numeric_only=True).round(1).to_string())


if __name__ == '__main__':
    main()
