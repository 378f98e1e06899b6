"""How slowly is each emotion spoken? The picture of nbs/03d_tempo.ipynb.

    .venv/bin/python tests/benchmark_tempo.py --protocol ../shared/protocol/wide42.json --corpora ../shared/corpora \
        --encoder ../shared/models/whisper-base-encoder+acoustic --cache out/cache --out nbs/tutorials/results/tempo.csv

For each corpus, as a target, and for each emotion of its table: the mean tempo of its clips (less sentence and voice, in deviations), and of how many. Sentences are
those that a fit finds; voices those of the table. Labels of the target are read to look, and for nothing else.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sere_nb.bench import read_tables
from sere_nb.designs import numbered
from sere_nb.encoder import load_encoder
from sere_nb.learner import SERE
from sere_nb.protocols import read_protocol
from sere_nb.shared import Shared
from sere_nb.tasks import Corpora, Task
from sere_nb.tempo import tempo_of


def rows(t, corpora):
    "Mean tempo of each emotion in the target of a task"
    task = Task(t, corpora, 'known')
    shots, unlabelled, _ = task.draw(0, t['shots']['0'])
    fit = SERE(prior='balanced')
    fit.begin(shots, unlabelled, Shared(task.clips).space(fit, shots, unlabelled, emotions=len(t['emotions'])))
    o, at = fit._clips, np.arange(len(shots)+len(unlabelled))[-len(task._target):]
    seconds = torch.as_tensor(fit.table_.seconds.to_numpy(float, copy=True))
    tempo = tempo_of(seconds[at], o.words[at], numbered(o.who)[0][at]).numpy()
    emotion = task._target.emotion.to_numpy(str)
    for k in np.unique(emotion):
        own = tempo[(emotion == k) & np.isfinite(tempo)]
        yield dict(corpus=t['target'], design=str(fit.design_[t['target']]), emotion=k, clips=len(own), tempo=own.mean() if len(own) else np.nan)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--protocol', required=True)
    p.add_argument('--corpora', type=Path, required=True)
    p.add_argument('--encoder', required=True)
    p.add_argument('--cache')
    p.add_argument('--out', type=Path, help='CSV file')
    args = p.parse_args()
    whole = read_protocol(args.protocol)
    corpora = Corpora(read_tables(whole, args.corpora), load_encoder(args.encoder), args.cache)
    # of the tasks with a target, the one with most emotions
    first = {t['target']: t for t in sorted(whole['tasks'], key=lambda t: len(t['emotions']))}
    table = pd.DataFrame([r for t in first.values() for r in rows(t, corpora)])
    print(table.pivot(index='corpus', columns='emotion', values='tempo').round(2).to_string())
    if args.out: table.round(4).to_csv(args.out, index=False)


if __name__ == '__main__':
    main()
