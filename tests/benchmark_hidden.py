"""Are hidden voices the speakers? The figures of nbs/03c_hidden.ipynb.

    .venv/bin/python tests/benchmark_hidden.py --corpora ../shared/corpora --encoder ../shared/models/whisper-base-encoder+acoustic --cache out/cache \
        --out nbs/tutorials/results/hidden.csv

Per corpus: as many voices as it has speakers are looked for among all its clips, with nothing taken out, with true emotions taken out, and with emotions of which
two in five were drawn by chance. Adjusted Rand index against the speakers, and adjusted mutual information with the emotions. Speakers and labels are read to
look, and for nothing else.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from sere_nb.corpora import read_manifest
from sere_nb.encoder import embed, load_encoder
from sere_nb.hidden import HiddenVoices, Voiceprint
from sere_nb.vectors import _voice_views, voice_of
from sere_nb.views import Space

CORPORA = 'emodb', 'casia', 'emovo', 'ravdess', 'banglaser', 'ased', 'urdu'


def rows(name, emb):
    "What comes out of one corpus"
    prepared, every = Space(False, (256,)).prepare(emb), torch.arange(len(emb))
    z = voice_of((_voice_views(prepared, every), Voiceprint()), prepared, every)
    who = emb.table.speaker.astype(str).to_numpy()
    emotions, truth = np.unique(emb.table.emotion, return_inverse=True)
    drawn = np.random.default_rng(0)
    rough = np.where(drawn.random(len(truth)) < .4, drawn.integers(0, len(emotions), len(truth)), truth)
    nothing = torch.full((len(emb), len(emotions)), 1/len(emotions))
    known = {o: F.one_hot(torch.as_tensor(e), len(emotions)).float() for o, e in {'true emotions': truth, 'three in five right': rough}.items()}
    for taken, share in {'nothing': nothing, **known}.items():
        found = HiddenVoices(len(set(who))).fit(z, share)(z, share)
        yield dict(corpus=name, clips=len(emb), speakers=len(set(who)), taken_out=taken, rand=adjusted_rand_score(who, found), emotion=adjusted_mutual_info_score(truth, found))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--corpora', type=Path, required=True)
    p.add_argument('--encoder', required=True)
    p.add_argument('--cache')
    p.add_argument('--out', type=Path, help='CSV file')
    args = p.parse_args()
    encoder = load_encoder(args.encoder)
    table = pd.DataFrame([row for o in CORPORA for row in rows(o, embed(read_manifest(args.corpora/f'{o}.csv'), encoder, args.cache))])
    print(table.pivot(index='corpus', columns='taken_out', values=['rand', 'emotion']).reindex(CORPORA).round(2).to_string())
    if args.out: table.round(3).to_csv(args.out, index=False)


if __name__ == '__main__':
    main()
