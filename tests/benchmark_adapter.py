"""Where clips go while TRIC falls, by rounds and by gradient: the picture of nbs/06b_train.ipynb.

    .venv/bin/python tests/benchmark_adapter.py --corpora ../shared/corpora --protocol ../shared/protocol/wide42.json \
        --encoder ../shared/models/whisper-base-encoder+acoustic --cache out/cache --out nbs/tutorials/results/adapter_way.csv

TRIC a clip and UAR (share, 0..1) of the target after each round of the closed form, far beyond where it stops by itself, and after each
epoch of AdamW at two rates, without its early stop. Labels of the target are read to look, and for nothing else.
"""
import argparse, copy

import numpy as np
import pandas as pd

import sere_nb.learner as L
from sere_nb import rounds
from sere_nb.bench import Corpora, Task, _todo, read_protocol, read_tables
from sere_nb.encoder import load_encoder
from sere_nb.scores import uar as recall
from sere_nb.train import train
from sere_nb.tric import tric_of

TASKS = 'emodb-ravdess', 'ravdess-casia', 'ravdess-emovo'


def ways(task, seed, rounds, epochs, rates):
    "Rows of one task"
    paths = next(p for s, n, p in _todo(task.task, task._source, [seed], None))
    shots, free, _ = task.draw(seed, paths)
    first = L.SERE(seed=seed).begin(shots, free)
    first.step()
    names, truth = first.classes_, task._target.emotion.to_numpy()
    def uar(share): return recall(truth, names[np.asarray(share)[-len(truth):].argmax(1)])
    rows, closed = [], copy.copy(first)
    closed.effects_ = {k: copy.copy(e) for k, e in first.effects_.items()}
    closed.history_, closed._share, closed._total, closed._offsets = list(first.history_), first._share.clone(), first._total.clone(), {}
    for r in range(rounds+1):
        rows.append(('closed form', r, closed.history_[-1]['losses']['tric'], uar(closed._share)))
        closed.step()
    for rate in rates:
        tric, clips = tric_of(first.structure, first.effects_, first.settings['variance']), rounds.tric_clips(first, first.prior_)
        look = clips.__class__(**vars(clips))
        said, plain = [], tric.posterior
        tric.posterior = lambda *a, **k: said.append(plain(*a, **k)) or said[-1]
        history = train(tric, look, epochs=epochs, rate=rate, least=0.)
        rows += [(f'gradient, rate {rate:g}', h['epoch'], h['tric'], uar(p)) for h, p in zip(history, said)]
    return pd.DataFrame(rows, columns=['way', 'step', 'tric', 'uar']).assign(source=task.task['source'], target=task.task['target'], seed=seed)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ('corpora', 'protocol', 'encoder', 'out'): p.add_argument(f'--{name}', required=True)
    p.add_argument('--cache')
    p.add_argument('--tasks', nargs='*', default=TASKS)
    p.add_argument('--seed', type=int, default=0)
    o = p.parse_args()
    protocol = read_protocol(o.protocol)
    tables = read_tables(protocol, o.corpora)
    corpora = Corpora(tables, load_encoder(o.encoder), o.cache, False, None)
    done = []
    for t in protocol['tasks']:
        if f"{t['source']}-{t['target']}" not in o.tasks: continue
        done.append(ways(Task(t, corpora, 'known'), o.seed, 30, 100, (.03, .1)))
        pd.concat(done).round(4).to_csv(o.out, index=False)
        print(done[-1].groupby('way').last(), flush=True)


if __name__ == '__main__': main()
