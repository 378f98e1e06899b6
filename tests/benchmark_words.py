"""How well clips that say the same are found: the figures of nbs/03b_circumstances.ipynb.

    .venv/bin/python tests/benchmark_words.py --corpora ../shared/corpora --encoder ../shared/models/whisper-base-encoder \
        --cache out/cache --out nbs/tutorials/results/words.csv

Adjusted Rand index (ARI) with the true sentences (column text_id), groups found and clips that stay alone, by the cut; the same as until version 0.3.0, where
stretches were compared in step; and what the cut would be, and find, if it were chosen on all other corpora. With --told P.json, a protocol: UAR of SERE with
the sentences as found, and with the true ones in the target. Sentences are read to compare with, emotions of targets to score.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score as ari

from sere_nb import designs
from sere_nb.bench import read_tables
from sere_nb.circumstances import Said, SameWords, _joined, said_apart
from sere_nb.corpora import read_manifest
from sere_nb.encoder import embed, load_encoder
from sere_nb.normalise import Standardiser
from sere_nb.protocols import read_protocol, read_seeds, task_name
from sere_nb.rivals import sere
from sere_nb.shared import Shared
from sere_nb.speech import SAID
from sere_nb.tasks import Corpora, Task

CORPORA = 'casia', 'emodb', 'emovo', 'ased', 'banglaser', 'ravdess', 'urdu'
CUTS = .25, .3, .35, .4, .45


def spoken(corpora, name, encoder, cache):
    "(what each clip says, voices, voice of each clip, its true sentence)"
    clips = embed(read_manifest(corpora/f'{name}.csv'), encoder, cache, progress=False)
    view, = (o for v, o in clips.views.items() if v.endswith(SAID))
    who, at = np.unique(clips.table.speaker.to_numpy(str), return_inverse=True)
    return view.values.float(), who.tolist(), torch.as_tensor(at), clips.table.text_id.astype(str).to_numpy()


def in_step(x, who, at):
    "Groups as they were found until stretches were aligned: one vector a clip, 60 components, cosine distance .7"
    y = Standardiser()(x, who, at)
    y = y-y.mean(0)
    u, s, _ = torch.linalg.svd(y, full_matrices=False)
    tree = AgglomerativeClustering(None, metric='cosine', linkage='average', distance_threshold=.7)
    name = tree.fit_predict(F.normalize((u*s)[:, :60], dim=1).numpy())
    return np.where(np.bincount(name)[name] > 1, name, -1)


def rows(name, x, who, at, true):
    "What each way finds in a corpus"
    said = Said()(x, who, at)
    far = said_apart(said, said)
    for way, cut, found in [('in step', .7, in_step(x, who, at)), *(('aligned', o, _joined(far, o).numpy()) for o in CUTS)]:
        alone = np.where(found < 0, -1-np.arange(len(found)), found)        # a group of its own each
        yield dict(corpus=name, clips=len(x), sentences=len(set(true)), way=way, cut=cut, ari=ari(true, alone), groups=len(set(found)-{-1}), alone=float((found < 0).mean()))


def left_out(table):
    "The cut that is best on all other corpora where something is said twice, and what it finds"
    t = table[(table.way == 'aligned') & (table.sentences < table.clips/2)].pivot(index='cut', columns='corpus', values='ari')
    for c in t:
        cut = t.drop(columns=c).mean(axis=1).idxmax()
        print(f'{c}: on the others {cut}, here {t[c][cut]:.2f}')


def told(protocol, corpora, encoder, cache, seeds):
    "Mean UAR with sentences as found, and true"
    whole, out = read_protocol(protocol), []
    every, ours = Corpora(read_tables(whole, corpora), encoder, cache), designs.SameWords
    for t in whole['tasks']:
        task = Task(t, every, 'known')
        true = torch.as_tensor(pd.factorize(task._target.text_id)[0])

        class Told(ours):
            def fit(self, said): return true if len(said) == len(true) else ours.fit(self, said)
        for seed in read_seeds(seeds, whole):
            shots, unlabelled, _ = task.draw(seed, t['shots'][str(seed)])
            for way, designs.SameWords in (('found', ours), ('true', Told)):
                said = np.asarray(sere(shots, unlabelled, shared=Shared(task.clips)))[-len(true):]
                uar = np.mean([(said[task._target.emotion == e] == e).mean() for e in t['emotions']])
                out.append(dict(task=task_name(t), target=t['target'], seed=seed, way=way, uar=100*uar))
                designs.SameWords = ours
    print(pd.DataFrame(out).pivot_table(index=['target', 'seed'], columns='way', values='uar').round(1).to_string())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--corpora', type=Path, required=True)
    p.add_argument('--encoder', required=True)
    p.add_argument('--cache')
    p.add_argument('--told', help='protocol')
    p.add_argument('--seeds', default='0-1')
    p.add_argument('--out', type=Path, help='CSV file')
    args = p.parse_args()
    encoder = load_encoder(args.encoder)
    if args.told: return told(args.told, args.corpora, encoder, args.cache, args.seeds)
    table = pd.DataFrame([o for c in CORPORA for o in rows(c, *spoken(args.corpora, c, encoder, args.cache))])
    print(table.round(2).to_string())
    left_out(table)
    if args.out: table.round(4).to_csv(args.out, index=False)


if __name__ == '__main__':
    main()
