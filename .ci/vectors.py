"""The vectors of the course's sixth notebook, nbs/_workshop/vectors.npz: what the layers of Whisper make of the German and Italian samples.

    .venv/bin/python .ci/vectors.py --encoder ../shared/models/whisper-base-encoder

`layers` (6, 240, 16) float16, lowest first: mean and deviation of each clip over time, standardised voice by voice, 16 principal components,
scaled to a mean square of 1. `words` (240,) int64: which clips of a language say the same, found by sound (nbs/03b_circumstances.ipynb), not told. `path` (240,): whose
vector it is, in the order of de.csv and it.csv. No label is read. Whisper base: openai/whisper-base, Apache-2.0.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sere_nb.circumstances import Said, SameWords
from sere_nb.corpora import data_samples, read_manifest
from sere_nb.encoder import SAID, Embeddings, embed, load_encoder
from sere_nb.structure import Projection, Space

DIMS = 16


def same_words(said, speaker):
    "(n,) the group of each clip of one language"
    names, voice = np.unique(speaker, return_inverse=True)
    return SameWords().fit(Said()(said, names.tolist(), torch.as_tensor(voice)))


def vectors(emb, view):
    "(n, 16) of one layer"
    one = Embeddings(emb.table, {view: emb.views[view]})
    x = Projection(DIMS)(Space(contents=(), contour=False).fit(one).prepared)[0][0]
    return x/x.square().mean().sqrt()


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--encoder', required=True)
    p.add_argument('--out', default=Path(__file__).parent.parent/'nbs/_workshop/vectors.npz')
    o = p.parse_args()
    table = pd.concat([read_manifest(data_samples()/f'{c}.csv') for c in ('de', 'it')], ignore_index=True)
    emb = embed(table.drop(columns='emotion'), load_encoder(o.encoder, layers=[1, 2, 3, 4, 5, 6]))
    said = next(v for v in emb.views if v.endswith(SAID))
    layers = torch.stack([vectors(emb, v) for v in sorted(set(emb.views)-{said})])
    words = torch.full((len(table),), -1)
    for n, c in enumerate(('de', 'it')):
        at = (table.language == c).to_numpy()
        words[torch.as_tensor(at)] = 100*n+same_words(emb.views[said].values[at].float(), table.speaker[at])
    words = torch.unique(words, return_inverse=True)[1]
    np.savez_compressed(o.out, layers=layers.numpy().astype(np.float16), words=words.numpy(), path=table.path.to_numpy(str))
    print(o.out, Path(o.out).stat().st_size, 'bytes')


if __name__ == '__main__': main()
