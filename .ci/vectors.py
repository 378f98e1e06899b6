"""The vectors of the course's sixth notebook, nbs/_workshop/vectors.npz: what Whisper's second layer makes of the German and Italian samples.

    .venv/bin/python .ci/vectors.py --encoder ../shared/models/whisper-base-encoder

`x` (240, 16) float32: mean and deviation of each clip over time, standardised voice by voice, 16 principal components, scaled to a mean square
of 1. `words` (240,) int64: which clips of a language say the same, found by sound (nbs/03b_circumstances.ipynb), not told. `path` (240,): whose
vector it is, in the order of de.csv and it.csv. No label is read. Whisper base: openai/whisper-base, Apache-2.0.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sere_nb.circumstances import Said, SameWords
from sere_nb.corpora import data_samples, read_manifest
from sere_nb.encoder import SAID, Embeddings, embed
from sere_nb.structure import Projection, Space

DIMS, LAYER = 16, '.2'


def same_words(said, speaker):
    "(n,) the group of each clip of one language"
    names, voice = np.unique(speaker, return_inverse=True)
    return SameWords().fit(Said()(said, names.tolist(), torch.as_tensor(voice)))


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--encoder', required=True)
    p.add_argument('--out', default=Path(__file__).parent.parent/'nbs/_workshop/vectors.npz')
    o = p.parse_args()
    table = pd.concat([read_manifest(data_samples()/f'{c}.csv') for c in ('de', 'it')], ignore_index=True)
    emb = embed(table.drop(columns='emotion'), o.encoder)
    layer, said = (next(v for v in emb.views if v.endswith(end)) for end in (LAYER, SAID))
    one = Embeddings(emb.table, {layer: emb.views[layer]})
    x = Projection(DIMS)(Space(contents=(), contour=False).fit(one).prepared)[0][0]
    words = torch.full((len(table),), -1)
    for n, c in enumerate(('de', 'it')):
        at = (table.language == c).to_numpy()
        words[torch.as_tensor(at)] = 100*n+same_words(emb.views[said].values[at].float(), table.speaker[at])
    words = torch.unique(words, return_inverse=True)[1]
    x = x/x.square().mean().sqrt()
    np.savez_compressed(o.out, x=x.numpy().astype(np.float32), words=words.numpy(), path=table.path.to_numpy(str))
    print(o.out, Path(o.out).stat().st_size, 'bytes')


if __name__ == '__main__': main()
