"""The explorer's figures: how long a first picture, a step between rounds, the ground of a map; what 100,000 clips weigh. `make numbers` prints them too.

Clips are made up: unit vectors around six prototypes that they approach over nine rounds, of the width that Whisper base with +acoustic gives (15 views of 6 emotions).
Times are wall seconds on the machine whose name stands first; a browser is wanted for some."""
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import psutil
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent))
from benchmark import machine
from browser import CHROMIUM, DRIVER, browser, until
import sere_nb.page as e
from sere_nb.explore import Explorer, Layout, report_html, round_data
from sere_nb.learner import SERE

K, V, R = 6, 15, 9


def made_up(n, seed=0):
    "A SERE that looks as after a fit of n clips"
    g = torch.Generator().manual_seed(seed)
    at = F.normalize(torch.randn(K, K*V, generator=g), dim=1)
    is_ = torch.randint(0, K, (n,), generator=g)
    aside = torch.randn(n, K*V, generator=g)*.12
    s = SERE(seed=0)
    s.classes_ = np.array(['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness'])
    s.label_ = torch.where(torch.arange(n) < 30, is_, -1)
    who = np.arange(n) % 2
    s.table_ = pd.DataFrame(dict(path=[f'corpus/speaker{i % 40}/clip-{i:06d}.wav' for i in range(n)], language=np.where(who, 'it', 'de'), speaker=[f's{i % 40}' for i in range(n)], start_s=0., seconds=3.))
    s._clips = SimpleNamespace(corpus=np.where(np.arange(n) < 30, 'a', np.where(who, 'b', 'a')))
    s.history_ = []
    for r in range(R):
        z = F.normalize(at[is_]*(1+.3*r)+aside*(9-r)/2, dim=1)
        like = z@at.T
        s.history_.append(dict(round=r, losses=dict(tric=4-.1*r, labelled_prototype=.5, unlabelled_prototype=1-.1*r, certainty=-.5, spread=2., circumstances=.5, balance=.5), profile=z.half(), landmarks=at.half(),
            proba=(like*8).softmax(1), resonance=like))
    return s


def seconds(f, times=1):
    start = time.perf_counter()
    for _ in range(times): out = f()
    return (time.perf_counter()-start)/times, out


def in_browser(page):
    "Paint of a round in ms, and the memory of all of the browser's processes in GB, with a page on show"
    with tempfile.TemporaryDirectory() as d:
        file = Path(d)/'page.html'
        file.write_text(page, encoding='utf8')
        with browser(1280, 900) as b:
            t, _ = seconds(lambda: (b.get(file.as_uri()), until(b, "return document.getElementById('explorer')?.explorer?.rounds", 120)))
            ask = "const done = arguments[arguments.length-1], a = document.getElementById('explorer').explorer, out = []; let r = 0; const next = () => { if (r == 9) return done(out); const t = performance.now(); a.go(r++); requestAnimationFrame(() => requestAnimationFrame(() => { out.push(performance.now()-t); setTimeout(next, 1500); })); }; next();"
            steps = b.execute_async_script(ask)
            driver = psutil.Process(b.service.process.pid)
            memory = sum(p.memory_full_info().uss for p in driver.children(recursive=True))/1e9
            return t, float(np.median(steps)), memory


def main():
    print(f'on {machine()}')
    for n in (4000, 100_000):
        s, own = made_up(n), psutil.Process().memory_info().rss
        t, x = seconds(lambda: Explorer(s, kind='pca'))
        print(f'{n:,} clips, fit to first picture (PCA and circumplex laid, {R} rounds packed): {t:.2f} s', flush=True)
        t, data = seconds(lambda: round_data(s.history_[-1], x._laid.values()), 3)
        print(f'{n:,} clips, one more round placed and packed: {1e3*t:.0f} ms, {1e7*t/n:.1f} ms per 10,000; memory of Python {(psutil.Process().memory_info().rss-own)/1e9:.2f} GB more')
        t, ground = seconds(lambda: Layout('umap').fit(s.history_, s.classes_))
        u, _ = seconds(lambda: [ground(h) for h in s.history_])
        print(f'{n:,} clips, UMAP ground: laid in {t:.1f} s, {R} rounds placed in {u:.1f} s', flush=True)
        del x, ground
        if not (CHROMIUM and DRIVER): continue
        s.resonance, s.highlights = lambda rows: [dict(time_s=np.zeros(0), r=np.zeros((0, K)), weight=np.zeros(0)) for _ in rows], lambda rows: pd.DataFrame(dict(start_s=np.zeros(len(rows)), end_s=1., resonance=0.))
        def page():
            whole, e.field_data = e.field_data, lambda learner, rows: whole(learner, [])     # fields cannot be made up; a page holds at most 5,000
            try: return report_html(s, audio_mb=0, layouts=('pca', 'circumplex'))
            finally: e.field_data = whole
        t, html = seconds(page)
        load, step, memory = in_browser(html)
        print(f'{n:,} clips in Chromium: page of {len(html)/1e6:.1f} MB (made in {t:.1f} s) shown after {load:.1f} s; a step between rounds: first frame after {step:.0f} ms; all its processes {memory:.2f} GB', flush=True)


if __name__ == '__main__': main()
