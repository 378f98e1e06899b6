"""Targets that no assumption about shares fits: one to six clips, and forty clips of one emotion.

    .venv/bin/python tests/benchmark_few.py --protocol ../shared/protocol/clser12.json --corpora ../shared/corpora \\
        --encoder ../shared/models/whisper-base-encoder+acoustic --cache out/cache --out nbs/tutorials/results/few.csv

Each task of the protocol, seed 0. *Few*: so many clips of the target, drawn by chance, are fitted with the source, or named by
a model that was fitted to the source alone, or by logistic regression on the shots; how many are named rightly. *One emotion*: the target is forty clips
of one emotion, each emotion in turn (all there are, where there are fewer, but at least twenty); nothing is told.
"""
import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from sere_nb import bench, rivals
from sere_nb.encoder import load_encoder
from sere_nb.learner import SERE

FEW, DRAWS, MANY = (1, 2, 3, 6), 2, 40


def tasks(protocol, corpora, encoder, cache):
    hold = bench.Corpora(bench.read_tables(protocol, corpora), load_encoder(encoder), cache, False)
    for t in protocol['tasks']: yield t, bench.Task(t, hold, 'known')


def asked(task, paths, seed=0):
    "Shots, the other source clips, target clips, and what is true of the last"
    shots, rest, _ = task.draw(seed, paths)
    n = len(task._target)
    return shots, rest[:-n], rest[-n:], task._target.emotion.to_numpy(dtype=object)


def right(method, shots, source, target, truth, **how):
    from sere_nb.encoder import Embeddings
    return int((np.asarray(method(shots, Embeddings.concat([source, target]), **how), dtype=object)[-len(target):] == truth).sum())


def few(shots, source, target, truth, rng):
    "Rows: clips named rightly of so few"
    alone = SERE(seed=0).fit(shots, source)
    for n in FEW:
        for draw in range(DRAWS):
            at = np.sort(rng.choice(len(target), n, replace=False))
            yield dict(part='few', what=str(n), draw=draw, clips=n, fit=right(rivals.sere, shots, source, target[at], truth[at]),
                predict=int((alone.predict(target[at]) == truth[at]).sum()), logistic_regression=right(rivals.logistic_regression, shots, source, target[at], truth[at]))


def of_one(shots, source, target, truth, rng):
    "Rows: clips named rightly where all are of one emotion"
    for e in np.unique(truth):
        there = np.flatnonzero(truth == e)
        if len(there) < MANY//2: continue
        at = np.sort(rng.permutation(there)[:MANY])
        clips = shots, source, target[at], truth[at]
        yield dict(part='one emotion', what=e, draw=0, clips=len(at), fit=right(rivals.sere, *clips), estimate=right(rivals.sere, *clips, prior='estimate'),
            logistic_regression=right(rivals.logistic_regression, *clips))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for o in ('protocol', 'corpora', 'encoder', 'cache', 'out'): p.add_argument(f'--{o}', required=True)
    a = p.parse_args()
    protocol, rows = bench.read_protocol(a.protocol), []
    for t, task in tasks(protocol, a.corpora, a.encoder, a.cache):
        began, clips, rng = time.time(), asked(task, t['shots']['0']), np.random.default_rng(0)
        rows += [dict(source=t['source'], target=t['target'], **row) for part in (of_one, few) for row in part(*clips, rng)]
        print(f"{bench.task_name(t)}: {time.time()-began:.0f} s", flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(Path(a.out), index=False)
    said = ['fit', 'predict', 'estimate', 'logistic_regression']
    one = table[table.part == 'one emotion']
    print(table.groupby(['part', 'what'])[['clips', *said]].sum())
    print('one emotion, all:', one[['clips', *said]].sum().to_dict(), '; fit at least as many as logistic regression in', int((one.fit >= one.logistic_regression).sum()), 'of', len(one))


if __name__ == '__main__': main()
