"""How well voices are found, and how fast: the figures of nbs/02b_voices.ipynb.

    .venv/bin/python tests/benchmark_voices.py --corpora ../shared/corpora --cache out/cache --out nbs/tutorials/results/voices.csv

Adjusted Rand index (ARI) with the speakers known, normalised mutual information (NMI) with emotion, voices true and found; the
same with thresholds chosen on all other corpora; times real time, decoding included.
"""
import argparse, itertools, os, time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import adjusted_rand_score as ari
from sklearn.metrics import normalized_mutual_info_score as nmi

from sere_nb import voices as v
from sere_nb.audio import SR, load_audio
from sere_nb.corpora import read_manifest
from sere_nb.encoder import embed

CORPORA = 'emodb', 'emovo', 'casia', 'ravdess', 'banglaser', 'ased', 'urdu'
CUTS, ONES = (.82, .84, .85, .86, .87, .88, .89, .9), (.22, .24, .26, .28, .3, .32)


def singles(clips, at_least=10):
    "Rows of each speaker with enough clips"
    n = clips.table.speaker.value_counts()
    return [np.flatnonzero(clips.table.speaker==s) for s in sorted(n.index[n>=at_least])]


def some(clips, n, draws=20, seed=0):
    "Rows of `n` speakers drawn by lot, a draw each"
    rng, each = np.random.default_rng(seed), singles(clips)
    if len(each)<=n: return []
    return [np.sort(np.concatenate([each[i] for i in rng.choice(len(each), n, replace=False)])) for _ in range(draws)]


def scores(clips, x):
    "{(cut, one): {kind: mean ARI}}: of the whole corpus, of single voices, of two and of five drawn by lot"
    who, made = clips.table.speaker.to_numpy(), {}
    for kind, several in dict(whole=[np.arange(len(x))], single=singles(clips), two=some(clips, 2), five=some(clips, 5)).items():
        for rows in several:
            part = x[rows]
            tree = v._tree(v._unit(part-part.mean(0)))
            for t in itertools.product(CUTS, ONES): made.setdefault((t, kind), []).append(ari(who[rows], v._group(part, *t, tree)))
    return {t: {k: np.mean(o) for (u, k), o in made.items() if u==t} for t in itertools.product(CUTS, ONES)}


def alike(clips, x, several):
    "Median similarity of the last two groups"
    return np.median([v._alike(x[r], v._tree(v._unit(x[r]-x[r].mean(0)))) for r in several])


def right(who, at):
    "Share of clips in the group that holds most of their speaker's clips, and where that speaker has the most"
    table = pd.crosstab(at, who)
    speaker_of, group_of = table.idxmax(axis=1), table.idxmax(axis=0)
    return np.mean([speaker_of[a]==w and group_of[w]==a for a, w in zip(at, who)])


def choose(grid, corpora):
    "The thresholds with the highest mean ARI over corpora and kinds"
    return max(itertools.product(CUTS, ONES), key=lambda t: np.mean([np.mean(list(grid[c][t].values())) for c in corpora]))


def speed(table, clips=120):
    "Times real time, of clips that no cache has: by the clock, and by processor time, which other work on the machine does not change"
    files = table.file.sample(min(clips, len(table)), random_state=0)
    encoder = v.VoiceEncoder(device='cpu')
    encoder.encode([load_audio(files.iloc[0]).wave])       # the weights are loaded once
    t, cpu = time.perf_counter(), time.process_time()
    waves = [load_audio(f).wave for f in files]
    encoder.encode(waves)
    seconds = sum(map(len, waves))/SR
    return seconds/(time.perf_counter()-t), seconds/(time.process_time()-cpu)


def main():
    p = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    p.add_argument('--corpora', type=Path, default=Path('../shared/corpora'))
    p.add_argument('--cache', type=Path, default=Path('out/cache'))
    p.add_argument('--voice-model', default='campplus')
    p.add_argument('--out', type=Path)
    p.add_argument('--voices', type=Path, help='CSV for corpus, path, voice, sure')
    p.add_argument('--no-speed', action='store_true')
    args = p.parse_args()
    encoder, clips, x = v.load_voice_encoder(args.voice_model), {}, {}
    for c in CORPORA:
        if not (args.corpora/f'{c}.csv').exists(): continue
        clips[c] = embed(read_manifest(args.corpora/f'{c}.csv'), encoder, args.cache)
        x[c] = v._unit(clips[c].views['voice'].values.double().numpy())
    grid = {c: scores(clips[c], x[c]) for c in clips}
    print('chosen on all:', choose(grid, clips), 'in use:', (v.CUT, v.ONE))
    rows, found = [], []
    for c, o in clips.items():
        table, (names, sure) = o.table, v.name_voices(o)
        cut, one = choose(grid, [k for k in clips if k!=c])
        at, out = v._group(x[c]), v._group(x[c], cut, one)
        here, true, two = grid[c][v.CUT, v.ONE], table.speaker.nunique(), some(o, 2)
        told = [ari(table.speaker.iloc[r], v._group_told(x[c][r], 2)) for r in two]
        rows.append(dict(encoder=encoder.name, corpus=c, clips=len(o), minutes=table.seconds.sum()/60, voices=true, found=at.max()+1,
            ari=ari(table.speaker, at), nmi_emotion=nmi(table.emotion, at), ari_told=ari(table.speaker, v._group_told(x[c], true)),
            cut_left_out=cut, one_left_out=one, found_left_out=out.max()+1, ari_left_out=ari(table.speaker, out), nmi_emotion_left_out=nmi(table.emotion, out),
            sure=sure.mean(), right=right(table.speaker, names), alike_single=alike(o, x[c], singles(o)), alike_two=alike(o, x[c], two),
            single_voices_right=here['single'], two_voices_ari=here['two'], five_voices_ari=here.get('five', np.nan), two_told_ari=np.mean(told),
            **dict(zip(('times_real_time', 'real_time_a_core'), (np.nan, np.nan) if args.no_speed else speed(read_manifest(args.corpora/f'{c}.csv'))))))
        found.append(pd.DataFrame(dict(corpus=c, path=table.path, voice=names, sure=sure)))
    table = pd.DataFrame(rows).round(3)
    print(table.drop(columns='encoder').T.to_string(header=False))
    acted = table[table.corpus.isin(CORPORA[:5])]
    print(f"\nEMO-DB, EMOVO, CASIA, RAVDESS, BanglaSER: mean ARI {acted.ari.mean():.3f}, left out {acted.ari_left_out.mean():.3f}; "
          f"largest NMI with emotion {acted.nmi_emotion.max():.3f}, left out {acted.nmi_emotion_left_out.max():.3f}; "
          f"{table.times_real_time.median():.0f} times real time by the clock, {table.real_time_a_core.median():.0f} by processor time "
          f"(medians; {os.environ.get('OMP_NUM_THREADS', os.cpu_count())} threads)")
    if args.out: table.to_csv(args.out, index=False)
    if args.voices: pd.concat(found).to_csv(args.voices, index=False)


if __name__ == '__main__': main()
