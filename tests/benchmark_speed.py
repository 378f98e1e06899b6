"""How fast, against the usual ways: `make speed` (a speech model in the layout of the hub is wanted for its rows, real corpora for the UAR).

Ratios of times in one run on one machine, by the median of several turns in which both sides alternate; quiet machines only.
With --out, rows go into a CSV that nbs/tutorials/speed.ipynb shows; rows of parts that were not run, and of other machines, are kept."""
import argparse, json, os, statistics, subprocess, sys, tempfile, time, warnings
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import sere_nb      # before torch: threads that wait sleep, as in a run
import numpy as np, pandas as pd, torch
from torch.nn.functional import layer_norm

from benchmark import machine
from sere_nb.audio import SR, load_audio
from sere_nb.embeddings import _half
from sere_nb.encoder import AcousticEncoder, TransformerEncoder
from sere_nb.speech import _SILENT, _whisper_layers

N, SECONDS = 52, 3      # clips of the comparisons: two full batches


def turns(ours, usual, n=5, clock=time.perf_counter):
    "Median seconds of each, turn about (the first turn warms up)"
    a, b = [], []
    for i in range(n+1):
        for f, to in ((usual, b), (ours, a)):
            start = clock()
            f()
            if i: to.append(clock()-start)
    return statistics.median(a), statistics.median(b)


def noise(n=N, seconds=SECONDS):
    "Clips whose values do not matter"
    g = torch.Generator().manual_seed(0)
    return [torch.randn(seconds*SR, generator=g)*.05 for _ in range(n)]


def peak(dtype, device='cpu', n=2048):
    "FLOP a second of a product of two n x n matrices"
    a, b = torch.randn(2, n, n, device=device).to(dtype)
    done = torch.cuda.synchronize if torch.device(device).type == 'cuda' else lambda: None
    for _ in range(3): a@b
    times = []
    for _ in range(20):
        done()
        start = time.perf_counter()
        a@b
        done()
        times.append(time.perf_counter()-start)
    return 2*n**3/statistics.median(times)


class UsualWhisper(TransformerEncoder):
    "As is usual: each clip padded to 30 s by transformers' feature extractor, float32, all blocks, one clip at a time"
    def __init__(self, spec, layers=None):
        super().__init__(spec, layers, 'cpu', 'float32')
        self.views = {f'usual-{k}': v for k, v in self.views.items()}
        self._own |= dict(part='usual-whisper')
        wanted, self.layers = self.layers, tuple(range(1, json.loads((self.folder/'config.json').read_text())['encoder_layers']+1))
        self.model      # loads as many blocks as are wanted now
        self.layers = wanted

    def _encode(self, waves):
        from transformers import WhisperFeatureExtractor
        extract, out = WhisperFeatureExtractor(feature_size=self.model.num_mel_bins), []
        for w in waves:
            x = extract(w.numpy(), sampling_rate=SR, return_tensors='pt').input_features
            states = self.model(x, output_hidden_states=True).hidden_states
            n = (len(w)//160+1)//2
            out.append({v: _half(layer_norm(states[i][0, :n], states[i].shape[-1:])).clone() for v, i in zip(self.views, self.layers)})
        return out


class CutWhisper(TransformerEncoder):
    "Without the silence behind a clip: what is left out where positions are simply cut"
    def __init__(self, spec):
        super().__init__(spec, device='cpu')
        self.views = {f'cut-{k}': v for k, v in self.views.items()}
        self._own |= dict(part='cut-whisper')

    def _encode(self, waves):
        states, n = _whisper_layers(self.model, waves, self.layers, 0)
        return [{v: _half(layer_norm(s[i, :k], s.shape[-1:])).clone() for v, s in zip(self.views, states)} for i, k in enumerate(n.tolist())]


def flops(run):
    "Floating-point operations of its products, convolutions and attention"
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode
    # attention as products, for the counter passes over the processor's own kernel of it
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH): run()
    return counter.get_total_flops()


# What an operation of torch counts as in `spent`; the first whose part of a name fits.
KINDS = {'convolutions': ('conv',), 'products of matrices': ('mm', 'linear', 'matmul'), 'attention': ('attention', 'softmax'), 'GELU': ('gelu',), 'normalising': ('norm', 'var', 'std', 'mean'), 'spectrograms': ('fft', 'stft')}


def spent(run, clips, name):
    "Rows: where a profile of torch says the seconds go"
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as p: run()
    kinds = dict.fromkeys([*KINDS, 'the rest (adding, copying, padding)'], 0.)
    for o in p.key_averages(): kinds[next((k for k, parts in KINDS.items() if any(q in o.key for q in parts)), [*kinds][-1])] += o.self_cpu_time_total/1e6/clips
    whole = sum(kinds.values())
    return [dict(what=f'{name}: {k}', against='profile', ours=v, usual=np.nan, unit='s a clip', ratio=v/whole, bar=np.nan, at='most') for k, v in kinds.items()]


def within(what, ours, usual, seconds, theirs, peak, float32, bar):
    "Rows: arithmetic of both sides, and what share of the peak would make the bar. `peak` is that of our type; the usual way is float32"
    return [dict(what=f'arithmetic, {what}', against='the same', ours=ours/1e9, usual=usual/1e9, unit='GFLOP a clip', ratio=usual/ours, bar=np.nan, at='least'),
            dict(what=f'share of the matrix peak, {what}', against='the usual way', ours=ours/seconds/peak, usual=usual/theirs/float32, unit='', ratio=ours/seconds/peak, bar=np.nan, at='least'),
            dict(what=f'share of the peak that {bar} times as fast would take, {what}', against='', ours=ours*bar/theirs/peak, usual=np.nan, unit='', ratio=ours*bar/theirs/peak, bar=np.nan, at='most')]


def encoding(args):
    "Whisper, and a model of wav2vec 2.0's shape"
    rows, waves = [], noise()
    if args.encoder:
        whisper, usual = TransformerEncoder(args.encoder, device='cpu'), UsualWhisper(args.encoder)
        few = waves[:3]
        ours, theirs = turns(lambda: whisper.encode(waves), lambda: usual.encode(few), 3)
        ours, theirs = ours/len(waves), theirs/len(few)
        rows.append(dict(what=f'encoding {SECONDS}-s clips, {whisper.name}, layers {whisper.layers}', against='30-s windows, float32, all blocks, one clip at a time', ours=ours, usual=theirs, unit='s a clip', ratio=theirs/ours, bar=30, at='least'))
        peaks = {d: peak(d) for d in (torch.float32, torch.bfloat16)}
        work, more = flops(lambda: whisper.encode(waves))/len(waves), flops(lambda: usual.encode(few))/len(few)
        rate = work/ours
        rows.append(dict(what='share of the matrix peak while encoding', against='2048³ products in the same run', ours=rate/1e9, usual=peaks[whisper.dtype]/1e9, unit=f'GFLOP/s, {str(whisper.dtype)[6:]}', ratio=rate/peaks[whisper.dtype], bar=.35, at='least'))
        rows.append(dict(what='2048³ products of bfloat16', against='the same of float32', ours=peaks[torch.bfloat16]/1e9, usual=peaks[torch.float32]/1e9, unit='GFLOP/s', ratio=peaks[torch.bfloat16]/peaks[torch.float32], bar=np.nan, at='least'))
        rows += within('Whisper', work, more, ours, theirs, peaks[whisper.dtype], peaks[torch.float32], 30)+spent(lambda: whisper.encode(waves), len(waves), 'Whisper')
    from transformers import AutoModelForAudioClassification, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForSequenceClassification, pipeline
    with tempfile.TemporaryDirectory() as d:
        torch.manual_seed(0)
        Wav2Vec2ForSequenceClassification(Wav2Vec2Config(num_labels=6)).save_pretrained(d)
        Wav2Vec2FeatureExtractor(return_attention_mask=False).save_pretrained(d)
        config = json.loads((Path(d)/'config.json').read_text())
        encoder = TransformerEncoder(d, device='cpu')
        model = AutoModelForAudioClassification.from_pretrained(d, dtype=torch.float32)
        pipe = pipeline('audio-classification', model=model, feature_extractor=Wav2Vec2FeatureExtractor.from_pretrained(d), device='cpu')
        few = waves[:8]
        ours, theirs = turns(lambda: encoder.encode(waves[:24]), lambda: [pipe(w.numpy()) for w in few], 3)
        ours, theirs = ours/24, theirs/len(few)
        rows.append(dict(what=f'encoding {SECONDS}-s clips, wav2vec2-base shape (random weights, {config["num_hidden_layers"]} blocks), layers {encoder.layers}', against='a pipeline of transformers, one clip at a time', ours=ours, usual=theirs, unit='s a clip', ratio=theirs/ours, bar=3, at='least'))
        for m in (*encoder.model.modules(), *model.modules()):     # the counter of operations cannot see through weights made from others
            if torch.nn.utils.parametrize.is_parametrized(m, 'weight'): torch.nn.utils.parametrize.remove_parametrizations(m, 'weight')
        rows += within('wav2vec 2.0', flops(lambda: encoder.encode(waves[:24]))/24, flops(lambda: [pipe(w.numpy()) for w in few])/len(few), ours, theirs, peak(encoder.dtype), peak(torch.float32), 3)+spent(lambda: encoder.encode(waves[:24]), 24, 'wav2vec 2.0')
    return rows


def sound(args):
    "The acoustic view, and reading of files"
    import librosa, opensmile, soundfile as sf
    rows, waves = [], noise()
    smile = opensmile.Smile(feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals, num_workers=1)
    acoustic = AcousticEncoder('cpu')
    ours, theirs = turns(lambda: acoustic.encode(waves), lambda: [smile.process_signal(w.numpy(), SR) for w in waves[:12]])
    ours, theirs = ours/len(waves), theirs/12
    rows.append(dict(what=f'acoustic view of {SECONDS}-s clips', against='eGeMAPSv02 functionals by openSMILE, one process', ours=ours, usual=theirs, unit='s a clip', ratio=theirs/ours, bar=10, at='least'))
    from sere_nb.encoder import _ahead
    with tempfile.TemporaryDirectory() as d:
        t = torch.arange(48_000*SECONDS)/48_000
        files = []
        for i in range(48):
            files.append(f'{d}/{i}.wav')
            sf.write(files[-1], (.1*torch.sin(2*torch.pi*(150+i)*t)*(1+torch.sin(2*torch.pi*4*t))).repeat(2, 1).T.numpy(), 48_000)
        ours, theirs = turns(lambda: list(_ahead(load_audio, files, 2)), lambda: [librosa.load(f, sr=SR) for f in files])
        one, _ = turns(lambda: [load_audio(f) for f in files], lambda: None)
        rows.append(dict(what=f'decode, resample and trim {SECONDS} s (48 kHz stereo wav), two threads', against='librosa.load', ours=ours/len(files), usual=theirs/len(files), unit='s a clip', ratio=theirs/ours, bar=5, at='least'))
        rows.append(dict(what='the same, one after the other', against='librosa.load', ours=one/len(files), usual=theirs/len(files), unit='s a clip', ratio=theirs/one, bar=5, at='least'))
        rows += reading(files, theirs/len(files))
    return rows


def reading(files, usual):
    "Where the time of `load_audio` goes, in parts of what `librosa.load` takes: seconds around each step while it runs"
    import soundfile as sf
    from sere_nb import audio
    steps = {'decoding': ['_decode'], 'mixing and resampling': ['_mono_16k'], 'looking for silence': ['frame_db', '_edges'], 'levelling': ['set_level']}
    taken = dict.fromkeys(steps, 0.)

    def timed(step, function):
        def run(*args, **kw):
            start = time.perf_counter()
            try: return function(*args, **kw)
            finally: taken[step] += time.perf_counter()-start
        return run

    def load():
        taken.update(dict.fromkeys(steps, 0.))
        start = time.perf_counter()
        for f in files: audio.load_audio(f)
        return {**taken, 'opening, and what lies between': time.perf_counter()-start-sum(taken.values())}
    with ExitStack() as patches:
        for step, names in steps.items():
            for name in names: patches.enter_context(patch.object(audio, name, timed(step, getattr(audio, name))))
        load()
        found = pd.DataFrame([load() for _ in range(5)]).median()/len(files)
    theirs = turns(lambda: [sf.read(f, dtype='float32') for f in files], lambda: None)[0]/len(files)
    return [dict(what=f'reading: {step}', against='profile', ours=seconds, usual=usual, unit='s a clip', ratio=seconds/usual, bar=np.nan, at='most') for step, seconds in [('soundfile.read in float32, as librosa begins', theirs), *found.items()]]


def real_clips(args):
    "2,000 real clips of two corpora: shots, the rest without labels, and the corpora's names"
    from sere_nb.corpora import draw_shots, read_manifest
    from sere_nb.encoder import embed
    source, target = json.loads(args.protocol.read_text())['tasks'][4]['source'], json.loads(args.protocol.read_text())['tasks'][4]['target']
    table = pd.concat([read_manifest(args.corpora/f'{c}.csv').assign(corpus=c) for c in (source, target)], ignore_index=True)
    shared = set(table[table.corpus == source].emotion) & set(table[table.corpus == target].emotion)-{''}
    table = table[table.emotion.isin(shared)].sample(2000, random_state=0).sort_values('corpus', kind='stable').reset_index(drop=True)
    emb = embed(table, f'{args.encoder}+acoustic', cache=args.cache, progress=False)
    shot = np.array(draw_shots(emb.table.assign(emotion=emb.table.emotion.where(emb.table.corpus == source, '')), 5, 0))
    shots, rest = emb[shot], emb[~shot]
    rest.table = rest.table.assign(emotion='')
    return shots, rest, source, target


def files(args):
    "From files into the cache, against reading, Whisper and the acoustic view one after the other"
    from sere_nb.corpora import read_manifest
    from sere_nb.encoder import embed, load_encoder
    name = json.loads(args.protocol.read_text())['tasks'][4]['target']
    table = read_manifest(args.corpora/f'{name}.csv').iloc[:300].reset_index(drop=True)
    both = load_encoder(f'{args.encoder}+acoustic')
    waves = [load_audio(f).wave for f in table.file]

    def apart():
        for f in table.file: load_audio(f)
        for part in both.parts:
            for _ in part.batches(waves): pass

    def together():
        with tempfile.TemporaryDirectory() as d: embed(table, both, cache=d, progress=False)
    a, b = turns(together, apart, 3)
    return [dict(what=f'encoding {len(table)} files of {name} into the cache, {both.name}', against='reading, Whisper, acoustic view one after the other', ours=a/len(table), usual=b/len(table), unit='s a clip', ratio=a/b, bar=1.15, at='most')]


def printed(code, **env):
    "The number that a new process prints"
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], env=os.environ|env, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout.split()[-1])


def process(args):
    "What the process is set to: threads that wait sleep, freed memory is kept (the latter by the command line alone)"
    view = """
import sys, time
sys.path.insert(0, 'tests')
from benchmark_speed import noise
from sere_nb.cli import main
from sere_nb.encoder import AcousticEncoder
main(['--version'])     # sets it
encoder, waves = AcousticEncoder('cpu'), noise()
encoder.encode(waves[:1])
start = time.perf_counter()
encoder.encode(waves)
print(time.perf_counter()-start)"""
    ours, usual = (statistics.median(o)/N for o in zip(*[(printed(view), printed(view, MALLOC_ARENA_MAX='0')) for _ in range(5)]))      # any MALLOC_… leaves it alone
    rows = [dict(what=f'acoustic view of {SECONDS}-s clips, freed memory kept, in a process that has just begun', against='as glibc has it', ours=ours, usual=usual, unit='s a clip', ratio=usual/ours, bar=np.nan, at='least')]
    ground = """
import time, sere_nb, torch
from sere_nb.layout import _umap
rows = torch.nn.functional.normalize(torch.randn(3000, 60), dim=1)
_umap(rows, rows[:,:2], 0, 2)
start = time.perf_counter()
_umap(rows, rows[:,:2], 0, 50)
print(time.perf_counter()-start)"""
    spin = dict(GOMP_SPINCOUNT='300000')        # what libgomp does by default
    for where, others in (('a quiet machine', 0), ('a machine that is busy with other things, too', os.cpu_count())):
        busy = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(others)]
        try: ours, usual = (statistics.median(o) for o in zip(*[(printed(ground), printed(ground, **spin)) for _ in range(3)]))
        finally:
            for o in busy: o.kill()
        rows.append(dict(what=f'50 turns of the map of 3,000 clips, threads that wait sleep, on {where}', against='they spin, as by default', ours=ours, usual=usual, unit='s', ratio=usual/ours, bar=np.nan, at='least'))
    return rows


def seconds(f, n=3):
    "Median of some turns, after one that warms up"
    return turns(f, lambda: None, n)[0]


def coding(args):
    "mp3 of sound, and a page, by the system's LAME and by the one in soundfile's wheel: seconds of the processor, of all threads"
    from sere_nb import audio
    from sere_nb.explore import report_html
    from sere_nb.learner import SERE
    from sere_nb.sounds import toy_voice
    if not audio._lame():
        print('there is no LAME 3.100 in this system, so nothing is measured')
        return []
    def both(what, f, unit, share=1, n=5):
        def wheel():
            with patch.object(audio, '_lame', lambda: None): f()
        a, b = (o/share for o in turns(f, wheel, n, time.process_time))
        return dict(what=what, against="soundfile's LAME", ours=a, usual=b, unit=unit, ratio=b/a, bar=np.nan, at='least')
    waves = [toy_voice(SECONDS, 90+5*i, seed=i) for i in range(N)]
    rows = [both(f"mp3 of {SECONDS}-s clips, the system's LAME", lambda: [audio._mp3(w) for w in waves], 's of the processor a clip', N)]
    if args.corpora and args.corpora.exists() and args.protocol:
        shots, rest, *_ = real_clips(args)
        learner = SERE(seed=0).fit(shots, rest)
        rows.append(both(f"page of {len(learner.table_):,} clips, sound by the system's LAME", lambda: report_html(learner), 's of the processor', n=3))
    return rows


def umap_learn(rows, start, seed):
    "The map's ground as the package lays it, with neighbours that are known, in a process of its own, as its compiler starts anew each time"
    code = """
import sys, numpy as np, umap
o = np.load(sys.argv[1])
umap.UMAP(n_neighbors=30, min_dist=.3, metric='cosine', n_jobs=1, random_state=0, n_epochs=200, init=o['start'], precomputed_knn=(o['near'],o['far'])).fit_transform(o['rows'])"""
    like, near = (rows@rows.T).topk(30, 1)
    with tempfile.TemporaryDirectory() as d:
        np.savez(f'{d}/o.npz', rows=rows.numpy(), near=near.numpy(), far=(1-like).clamp_min(0).numpy(), start=start.numpy()*5)
        subprocess.run([sys.executable, '-W', 'ignore', '-c', code, f'{d}/o.npz'], check=True)
    return start


def using(args):
    "What somebody waits for: the page of 2,000 real clips and what it consists of, teaching a clip, the demo, a whole run"
    from sere_nb import layout
    from sere_nb.explore import Explorer, Layout, embed_audio, field_data, report_html
    from sere_nb.learner import SERE
    shots, rest, source, target = real_clips(args)
    learner, rows = SERE(seed=0).fit(shots, rest), []
    n, every = len(learner.table_), np.arange(len(learner.table_))
    lay = lambda: Layout('umap').fit(learner.history_, learner.classes_)
    def theirs():
        with patch.object(layout, '_umap', umap_learn): lay()
    a, b = turns(lay, theirs, 3)
    rows.append(dict(what=f"the map's ground, {n:,} clips", against='umap-learn with known neighbours, start of its compiler included', ours=a, usual=b, unit='s', ratio=b/a, bar=np.nan, at='least'))
    whole = seconds(lambda: report_html(learner), 1)
    rows.append(dict(what=f'page of {n:,} clips', against='', ours=whole, usual=np.nan, unit='s', ratio=whole, bar=5, at='most'))
    parts = {"the map's ground": lay, 'sound as mp3 (LAME), up to 20 MB': lambda: embed_audio(learner.table_.file.tolist(), every), 'fields, and what is heard': lambda: field_data(learner, every)}
    for what, f in parts.items():
        taken = seconds(f, 1)
        rows.append(dict(what=f'page: {what}', against='profile', ours=taken, usual=whole, unit='s', ratio=taken/whole, bar=np.nan, at='most'))
    x = Explorer(learner, kind='pca')
    free = iter((learner.label_ < 0).nonzero()[:, 0].tolist())
    taken = seconds(lambda: x.teach(next(free), learner.classes_[0]).wait(), 5)
    rows.append(dict(what=f'teaching a clip in the explorer, {n:,} clips, two rounds', against='', ours=taken, usual=np.nan, unit='s', ratio=taken, bar=.5, at='most'))
    return rows+commands(args, source, target)


def commands(args, source, target):
    "Whole commands"
    sere, rows = str(Path(sys.executable).with_name('sere')), []
    def run(*words):
        start = time.perf_counter()
        subprocess.run([sere, *map(str, words), '-q'], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter()-start
    with tempfile.TemporaryDirectory() as d:
        demo = statistics.median([run('demo', '--out', f'{d}/demo', '--cache', f'{d}/cache') for _ in range(4)][1:])
        rows.append(dict(what='sere demo, second time', against='', ours=demo, usual=np.nan, unit='s', ratio=demo, bar=4, at='most'))
        lists = []
        for name in (source, target):
            t = pd.read_csv(args.corpora/f'{name}.csv', dtype=str).sample(500, random_state=0)
            lists.append(f'{d}/{name}.csv')
            t.assign(path=[str((args.corpora/o).resolve()) for o in t.path]).to_csv(lists[-1], index=False)
        cold = run('run', '--source', lists[0], '--target', lists[1], '--encoder', f'{Path(args.encoder).resolve()}+acoustic', '--cache', f'{d}/cold', '--out', f'{d}/run')
        rows.append(dict(what=f'sere run, 500 clips of {source} and 500 of {target}, Whisper + acoustic, empty cache', against='', ours=cold, usual=np.nan, unit='s', ratio=cold, bar=60, at='most'))
    return rows


def fitting(args):
    "One fit of 2,000 real clips; self-training gets the very vectors that SERE's rounds work on"
    from sklearn.linear_model import LogisticRegression
    from sklearn.semi_supervised import SelfTrainingClassifier
    from sere_nb.encoder import Embeddings
    from sere_nb.learner import SERE
    shots, rest, source, target = real_clips(args)
    learner = SERE(seed=0).fit(shots, rest)
    both, space = Embeddings.concat([shots, rest]), learner.space
    x, y = learner._clips.x.transpose(0, 1).flatten(1).numpy(), learner.label_.numpy()
    theirs = SelfTrainingClassifier(LogisticRegression(max_iter=1000))
    what = f'one fit, {len(both):,} clips of {source} and {target}, {learner._clips.x.shape[0]} views'
    rows = []
    for name, ours in ((what, lambda: SERE(seed=0).fit(shots, rest, space=space)), ('the same, preparation of frames included', lambda: SERE(seed=0).fit(shots, rest))):
        a, b = turns(ours, lambda: theirs.fit(x, y), 3)
        rows.append(dict(what=name, against='SelfTrainingClassifier of LogisticRegression on the same vectors', ours=a, usual=b, unit='s', ratio=a/b, bar=3, at='most'))
    return rows


def gpu(args, device='cuda'):
    "Encoding and a fit on a GPU: clips a second, the share of its peak, and how near its answers are to the processor's"
    from sere_nb.learner import SERE
    if device == 'cuda' and not torch.cuda.is_available():
        print('there is no GPU here that torch can use, so nothing is measured')
        return []
    near, far = TransformerEncoder(args.encoder, device='cpu', dtype='float32'), TransformerEncoder(args.encoder, device=device)
    few, many = noise(), noise(20*N if device == 'cuda' else N)
    theirs = turns(lambda: near.encode(few), lambda: None, 3)[0]/len(few)
    ours = turns(lambda: far.encode(many), lambda: None, 3)[0]/len(many)
    rate, top = flops(lambda: far.encode(few))/len(few)/ours, peak(far.dtype, device, 8192 if device == 'cuda' else 2048)
    away = [(a[v].float()-b[v].float()).norm()/b[v].float().norm() for a, b in zip(far.encode(few), near.encode(few)) for v in near.views]
    rows = [dict(what=f'encoding {SECONDS}-s clips on a GPU, {far.name}', against='the processor, float32', ours=1/ours, usual=1/theirs, unit='clips a second', ratio=theirs/ours, bar=np.nan, at='least'),
            dict(what='share of the matrix peak of the GPU while encoding', against='8192³ products in the same run', ours=rate/1e9, usual=top/1e9, unit=f'GFLOP/s, {str(far.dtype)[6:]}', ratio=rate/top, bar=np.nan, at='least'),
            dict(what='distance of frames, GPU', against='the processor, in parts of their length', ours=float(max(away)), usual=np.nan, unit='', ratio=float(max(away)), bar=np.nan, at='most')]
    if args.corpora and args.corpora.exists() and args.protocol:
        shots, rest, *_ = real_clips(args)
        fits = {d: SERE(seed=0, device=d).fit(shots, rest) for d in ('cpu', device)}
        a, b = turns(lambda: SERE(seed=0, device=device).fit(shots, rest), lambda: SERE(seed=0, device='cpu').fit(shots, rest), 3)
        p, q = fits[device].predict_proba(rest), fits['cpu'].predict_proba(rest)
        rows += [dict(what=f'one fit on a GPU, {len(shots)+len(rest):,} clips', against='the processor', ours=a, usual=b, unit='s', ratio=b/a, bar=np.nan, at='least'),
                 dict(what='distance of probabilities, GPU (99 of 100 are nearer)', against='the processor', ours=float(np.quantile(np.abs(p-q), .99)), usual=np.nan, unit='', ratio=float(np.quantile(np.abs(p-q), .99)), bar=np.nan, at='most'),
                 dict(what='share of clips called otherwise, GPU', against='the processor', ours=float((p.argmax(1) != q.argmax(1)).mean()), usual=np.nan, unit='', ratio=float((p.argmax(1) != q.argmax(1)).mean()), bar=np.nan, at='most')]
    return rows


def starting(args):
    "Imports and the command line"
    rows = []
    for what, command in (('import sere_nb', [sys.executable, '-c', 'import sere_nb']), ('sere --help', [str(Path(sys.executable).with_name('sere')), '--help'])):
        times = []
        for _ in range(6):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter()-start)
        rows.append(dict(what=what, against='', ours=statistics.median(times[1:]), usual=np.nan, unit='s', ratio=statistics.median(times[1:]), bar=.5, at='most'))
    return rows


def mean_uar(encoder, args, cache, name):
    "Of each method over tasks, %"
    from sere_nb.evaluate import bench
    scores = bench(args.protocol, args.corpora, encoder, 'sere,logistic_regression', args.seeds, cache=cache, out=args.keep and args.keep/name, progress=True)
    return 100*scores.groupby(['method', 'source', 'target']).uar.mean().groupby('method').mean()


def rounding(args):
    "The bench with embeddings made in bfloat16 and in float32"
    with tempfile.TemporaryDirectory() as d:
        ours, theirs = (mean_uar(TransformerEncoder(args.encoder, device='cpu', dtype=t), args, args.cache or f'{d}/cache', t) for t in ('bfloat16', 'float32'))
    return [dict(what=f'mean UAR of the bench, {m}, {Path(args.encoder).name} alone, bfloat16, seeds {args.seeds}', against='float32', ours=ours[m], usual=theirs[m], unit='%', ratio=abs(ours[m]-theirs[m]), bar=.5, at='most') for m in ours.index]


def recall(args):
    "The bench with embeddings made fast, the usual way, and with no silence behind clips: how far vectors lie apart, and UAR"
    from sere_nb.corpora import read_manifest
    from sere_nb.encoder import embed
    encoders = dict(usual=UsualWhisper(args.encoder), fast=TransformerEncoder(args.encoder, device='cpu'), cut=CutWhisper(args.encoder))
    names, rows, scores = sorted({t[k] for t in json.loads(args.protocol.read_text())['tasks'] for k in ('source', 'target')}), [], {}
    with tempfile.TemporaryDirectory() as d:
        cache, pooled = args.cache or f'{d}/cache', {}
        for name, encoder in encoders.items():
            each = [embed(read_manifest(args.corpora/f'{c}.csv'), encoder, cache=cache) for c in names]
            # of every clip, each layer's mean and deviation over frames
            pooled[name] = [torch.cat([torch.stack([torch.cat([x.float().mean(0), x.float().std(0)]) for x in e.views[v]]) for e in each]) for v in encoder.views]
            scores[name] = mean_uar(encoder, args, cache, name)
        for name, of in (('fast', f'{_SILENT} silent frames for all'), ('cut', 'none of the silent frames')):
            for layer, x, y in zip(encoders['fast'].layers, pooled['usual'], pooled[name]):
                x0, away = (x-x.mean(0))/x.std(0), (y-y.mean(0)-x+x.mean(0))/x.std(0)
                rows.append(dict(what=f"distance of clips' vectors, layer {layer}, {of}", against="30-s windows, in parts of the vectors' spread", ours=(away.norm()/x0.norm()).item(), usual=np.nan, unit='', ratio=(away.norm()/x0.norm()).item(), bar=np.nan, at='most'))
    model = Path(args.encoder).name
    for name, of in (('fast', ''), ('cut', ', no silent frames')):
        for m in scores[name].index:
            ours, theirs = scores[name][m], scores['usual'][m]
            rows.append(dict(what=f'mean UAR of the bench, {m}, {model} alone{of}, seeds {args.seeds}', against='30-s windows', ours=ours, usual=theirs, unit='%', ratio=abs(ours-theirs), bar=.5 if name=='fast' else np.nan, at='most'))
    return rows


PARTS = dict(starting=starting, encoding=encoding, sound=sound, files=files, process=process, fitting=fitting, coding=coding, using=using, gpu=gpu, rounding=rounding, recall=recall)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--parts', default='starting,encoding,sound,files,process,fitting,coding,using', help=', '.join(PARTS))
    p.add_argument('--encoder', help='folder or hub id of a Whisper model')
    p.add_argument('--corpora', type=Path)
    p.add_argument('--protocol', type=Path)
    p.add_argument('--seeds', default='0-4')
    p.add_argument('--cache', help='folder for embeddings of the parts recall and rounding')
    p.add_argument('--keep', type=Path, help='folder for results of the parts recall and rounding, to go on from')
    p.add_argument('--out', type=Path, help='CSV file')
    args = p.parse_args()
    warnings.filterwarnings('ignore')
    print(f'on {machine()}, torch threads: {torch.get_num_threads()}')
    for part in args.parts.split(','):
        rows = [dict(part=part, **r, machine=machine()) for r in PARTS[part](args)]
        for r in rows: print('{what}: {ours:.4g} {unit}, against {usual:.4g} ({against}): {ratio:.3g}, {} {bar} wanted: {}'.format('at '+r['at'], '–' if np.isnan(r['bar']) else 'yes' if (r['ratio'] >= r['bar']) == (r['at'] == 'least') else 'NO', **r), flush=True)
        if args.out and rows:
            old = pd.read_csv(args.out) if args.out.exists() else pd.DataFrame(columns=['part', 'machine'])
            kept = old[(old.part != part) | (old.machine != machine())]
            pd.concat([kept, pd.DataFrame(rows)]).to_csv(args.out, index=False, float_format='%.5g')


if __name__ == '__main__': main()
