"""What does a start cost in which one emotion is far more frequent? The figures of nbs/06_fits.ipynb.

    .venv/bin/python tests/benchmark_starts.py --protocol ../shared/protocol/clser12.json --corpora ../shared/corpora \
        --encoder ../shared/models/whisper-base-encoder+acoustic --seeds 0-1 --cache out/cache --out nbs/tutorials/results/starts.csv

Targets as they are, and thinned until one emotion makes up 60 %; of each task and draw, for each emotion: the TRIC of the start that favours it less that of the
equal start, per clip of the target; whether it is that emotion; whether the start was taken. Labels of targets are read to thin and to look, and for nothing else.
"""
import argparse
from pathlib import Path

import pandas as pd

from sere_nb.bench import read_tables
from sere_nb.encoder import load_encoder
from sere_nb.learner import SERE
from sere_nb.protocols import read_protocol, read_seeds, task_name, thinned
from sere_nb.shared import Shared
from sere_nb.tasks import Corpora, Task

KINDS = {'as they are': lambda o: o, 'one emotion 60 %': lambda o: thinned(o, main=.6)}


def rows(t, seed, task, kind):
    "What starts cost in one draw of a task"
    shots, unlabelled, _ = task.draw(seed, t['shots'][str(seed)])
    learner = SERE()
    learner.begin(shots, unlabelled, Shared(task.clips).space(learner, shots, unlabelled, emotions=len(t['emotions'])))
    most = max(t['emotions'], key=t.get('target_shares', {}).get) if 'target_shares' in t else ''
    for emotion, cost in learner.starts_.get(t['target'], {}).items():
        yield dict(kind=kind, task=task_name(t), seed=seed, emotion=emotion, cost=cost, most=emotion == most, taken=learner.uneven_[t['target']] == emotion)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--protocol', required=True)
    p.add_argument('--corpora', type=Path, required=True)
    p.add_argument('--encoder', required=True)
    p.add_argument('--seeds', default='0-1')
    p.add_argument('--cache')
    p.add_argument('--out', type=Path, help='CSV file')
    args = p.parse_args()
    whole, encoder, found = read_protocol(args.protocol), load_encoder(args.encoder), []
    corpora = Corpora(read_tables(whole, args.corpora), encoder, args.cache)
    for kind, of in KINDS.items():
        for t in of(whole)['tasks']:
            task = Task(t, corpora, 'known')
            for seed in read_seeds(args.seeds, whole): found += rows(t, seed, task.thinned(seed), kind)
    table = pd.DataFrame(found)
    draws = table.groupby(['kind', 'task', 'seed'])
    least = table.loc[draws.cost.idxmin()].set_index(['kind', 'seed'])
    print(least.assign(below=least.cost < 0).groupby(['kind', 'seed'])[['most', 'taken', 'below']].mean().round(2).to_string())
    print(least.groupby(['kind', 'seed']).cost.describe().round(2).to_string())
    if args.out: table.round(4).to_csv(args.out, index=False)


if __name__ == '__main__':
    main()
