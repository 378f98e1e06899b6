"""Where clips go while TRIC falls and the upper block of the encoder is tuned: the pictures of nbs/06c_tune.ipynb.

    .venv/bin/python tests/benchmark_tuned.py --corpora ../shared/corpora --protocol ../shared/protocol/wide42.json \
        --encoder ../shared/models/whisper-base-encoder+acoustic --cache out/cache --out nbs/tutorials/results/tuned_way.csv

From where the closed form stops by itself: TRIC a clip and UAR (share, 0..1) of the target after each round more, with the block as it came
and with the block tuned between rounds, without early stop. After the last, a fit anew of the tuned
encoder's views; and the adapter, as it stops by itself. `one` is what TRIC would be if there were one emotion. Also what becomes of the clips:
`right` how near the shares of the target's clips are to their true emotion (mean share of it), `sure` the mean of the largest share, `moved`
the share of clips that are called otherwise than at the start, and of these `bettered` and `worsened` of all clips. Labels of the target are
read to look, and for nothing else. Tasks that are in the file already are left out.
"""
import argparse, time
from pathlib import Path

import numpy as np
import pandas as pd

from sere_nb.bench import Corpora, Task, _todo, read_protocol, read_tables
from sere_nb.embeddings import Embeddings
from sere_nb.encoder import load_encoder
from sere_nb.learner import SERE
from sere_nb import rounds
from sere_nb.scores import uar
from sere_nb.train import fit_adapter
from sere_nb.tune import Beneath, _TunedViews, _one_for_all, fit_tuned

TASKS = 'emovo-ased', 'ravdess-urdu', 'emodb-emovo', 'ased-emodb'


def ways(task, seed, epochs, rates, relative):
    "Rows of one task"
    paths = next(p for s, n, p in _todo(task.task, task._source, [seed], None))
    shots, free, _ = task.draw(seed, paths)
    encoder = task._how['encoder']
    row = {p: i for i, p in enumerate(task.clips.table.path)}
    beneath = task.listen(Beneath(encoder))[np.array([row[p] for e in (shots, free) for p in e.table.path])]
    truth, rows = task._target.emotion.to_numpy(), []
    def look(learner, way, step, start=None):
        p = learner.history_[-1]['proba'][-len(truth):].numpy()
        named = learner.classes_[p.argmax(1)]
        at = np.searchsorted(learner.classes_, truth)
        was = named if start is None else start
        losses = {k: v for k, v in learner.history_[-1]['losses'].items()}
        rows.append(dict(way=way, step=step, uar=uar(truth, named), right=p[np.arange(len(p)), at].mean(), sure=p.max(1).mean(), moved=(named != was).mean(),
                         bettered=((named == truth) & (was != truth)).mean(), worsened=((named != truth) & (was == truth)).mean(), seconds=time.perf_counter()-begun, one=_one_for_all(learner, rounds.clean(learner))[1], **losses))
        return was
    for rate, relative in [(0., False), *((r, False) for r in rates), *((r, True) for r in relative)]:
        begun, seen = time.perf_counter(), []
        way = f"tuned{' against one emotion' if relative else ''}, rate {rate:g}" if rate else 'closed form'
        def watch(learner): seen.append(look(learner, way, len(seen), seen[0] if seen else None))
        if rate:
            learner = fit_tuned(SERE(seed=seed), shots, free, encoder, beneath, epochs=epochs, rate=rate, relative=relative, least=0., watch=watch)
            new = Embeddings.concat([shots, free])
            new.views |= _TunedViews(learner, learner.blocks_, new, beneath).frames()
            look(SERE(seed=seed).fit(new[:len(shots)], new[len(shots):]), way+', fitted anew', epochs, seen[0])
        else:
            learner = SERE(seed=seed).fit(shots, free)
            for _ in range(epochs+1):
                learner.step()
                watch(learner)
    begun = time.perf_counter()
    look(fit_adapter(SERE(seed=seed), shots, free), 'adapter', 0, seen[0])
    return pd.DataFrame(rows).assign(source=task.task['source'], target=task.task['target'], seed=seed)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ('corpora', 'protocol', 'encoder', 'out'): p.add_argument(f'--{name}', required=True)
    p.add_argument('--cache')
    p.add_argument('--tasks', nargs='*', default=TASKS)
    p.add_argument('--rates', nargs='*', type=float, default=(2e-3,), help='of AdamW, for TRIC as it is')
    p.add_argument('--relative', nargs='*', type=float, default=(2e-3,), help='and for TRIC less what it would be if there were one emotion')
    p.add_argument('--epochs', type=int, default=4)
    p.add_argument('--seed', type=int, default=0)
    o = p.parse_args()
    protocol = read_protocol(o.protocol)
    protocol['tasks'] = [t for t in protocol['tasks'] if f"{t['source']}-{t['target']}" in o.tasks]
    corpora = Corpora(read_tables(protocol, o.corpora), load_encoder(o.encoder), o.cache, False, None)
    done = [pd.read_csv(o.out)] if Path(o.out).exists() else []
    there = {k for t in done for k in t.source+'-'+t.target}
    by_name = {f"{t['source']}-{t['target']}": t for t in protocol['tasks']}
    for name in o.tasks:
        if name in there: continue
        done.append(ways(Task(by_name[name], corpora, 'known'), o.seed, o.epochs, o.rates, o.relative))
        pd.concat(done).round(4).to_csv(o.out, index=False)
        print(done[-1].groupby('way').last(), flush=True)


if __name__ == '__main__': main()
