"""Time and peak memory as clips grow, printed: `make growth` (an hour and a half for the default sizes).

Clips are made up, as embeddings of the shape that whisper-base+acoustic has for three seconds (two layers of 150 frames of 512 numbers, 300 frames of 24, one row of 72),
and stay 'on disk' (they are made whenever they are read), so that what is measured is sere_nb and not a disk. Each size is a process of its own."""
import argparse, json, resource, subprocess, sys, tempfile, time
from pathlib import Path

import numpy as np, pandas as pd, torch

from benchmark import machine
from sere_nb.encoder import Embeddings, FUNCTIONALS, Frames, Stored, TRACKS, _offsets

EMOTIONS = ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness']
LAYERS, DIMS, FRAMES = ('whisper.2', 'whisper.3'), 512, 150


def made_up(n, seed=0, clips_a_voice=1000, frames=FRAMES):
    "`Stored` of two languages; emotion, voice and words shift each frame"
    rng = np.random.default_rng(seed)
    r = lambda *s: torch.as_tensor(rng.standard_normal(s, dtype=np.float32))
    voices = max(8, n//clips_a_voice)
    emotion, voice = rng.integers(6, size=n), rng.integers(voices, size=n)
    language = voice % 2
    means, tones, tongues = .4*r(6, DIMS), 2*r(voices, DIMS), 2*r(2, DIMS)
    said = (r(20_000, DIMS)+r(64, DIMS)[torch.arange(20_000)//7 % 64]).half()      # what is said, one frame after the other: clips begin somewhere in it
    tracks, prosody = r(20_000, len(TRACKS)), r(voices+6, len(FUNCTIONALS))
    start = rng.integers(0, len(said)-2*frames, size=n)
    table = pd.DataFrame(dict(path=[f'{i:07d}.wav' for i in range(n)], language=np.array(['aa', 'bb'])[language], corpus=np.array(['aa', 'bb'])[language], speaker=[f's{v}' for v in voice], emotion=np.array(EMOTIONS)[emotion]))

    def read(rows):
        m, at = len(rows), torch.as_tensor(start[rows])[:, None]
        shift = (means[emotion[rows]]+tones[voice[rows]]+tongues[language[rows]]).half()[:, None]
        views = {view: Frames((said[at//(k+1)+torch.arange(frames)]+shift).flatten(0, 1), _offsets([frames]*m), .02) for k, view in enumerate(LAYERS)}
        heard = tracks[at+torch.arange(2*frames)]+means[emotion[rows], None, :len(TRACKS)]
        views['acoustic'] = Frames(heard.half().flatten(0, 1), _offsets([2*frames]*m), .01)
        views['prosody'] = Frames((prosody[voice[rows]]+.5*prosody[voices+emotion[rows]]).half(), _offsets([1]*m), 0.)
        return Embeddings(table.iloc[rows].reset_index(drop=True), views)
    lengths = dict.fromkeys(LAYERS, np.full(n, frames)) | dict(acoustic=np.full(n, 2*frames), prosody=np.ones(n, int))
    return Stored(table, lengths, dict.fromkeys(LAYERS, (DIMS, .02)) | dict(acoustic=(len(TRACKS), .01), prosody=(len(FUNCTIONALS), 0.)), read)


def peak_gb(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/(1e6/1.024)


def one(n, memory_gb, frames):
    "All steps at one size: seconds of each, and the process's peak memory after it (GB)"
    from sere_nb.explore import Layout, report_html
    rows = []

    def step(name, work, clips=n):
        begin = time.perf_counter()
        out = work()
        rows.append(dict(step=name, clips=clips, seconds=time.perf_counter()-begin, peak_gb=peak_gb()))
        print(n, rows[-1], file=sys.stderr, flush=True)
        return out
    clips = step('make up (not part of sere_nb)', lambda: made_up(n, frames=frames))
    truth = clips.table.emotion.to_numpy()
    learner, shots, rest, shot = begun(clips, memory_gb)
    step('read (not part of sere_nb)', lambda: [clips.read(np.arange(i, min(n, i+500))) for i in range(0, min(n, 5000), 500)], min(n, 5000))
    step('prepare', lambda: learner.begin(shots, rest))
    def rounds():       # none is held on to, as its history is not
        for _ in range(9): learner.step()
    step('nine rounds', rounds)
    said = step('predict', learner.predict)
    step('highlights', learner.highlights)
    step('resonance over time (IRF)', lambda: learner.resonance(np.arange(min(n, 2000))), min(n, 2000))
    step('projection (UMAP of a sample, all placed)', lambda: Layout('umap').fit(learner.history_[-1:], learner.classes_)(learner.history_[-1]))
    page = step('report', lambda: report_html(learner, layouts=('pca',)))
    step('save', lambda: learner.save(Path('/tmp')/f'growth-{n}'))
    right = 100*float((said[shot.sum():] == np.r_[truth[~shot]]).mean())
    print(json.dumps([dict(n=n, **r, page_mb=len(page)/1e6, right=right) for r in rows]))


def encoded(n, memory_gb, encoder):
    "Seconds and peak memory of encoding sound files of three seconds, and of finding them encoded"
    import soundfile as sf
    from sere_nb.audio import SR
    from sere_nb.encoder import embed
    rng = np.random.default_rng(0)
    sound, rows = (rng.standard_normal(600*SR)*1000).astype('int16'), []
    with tempfile.TemporaryDirectory() as d:
        table = pd.DataFrame(dict(path=[f'{d}/{i:07d}.wav' for i in range(n)], language='aa', emotion=''))
        for i, (path, at) in enumerate(zip(table.path, rng.integers(0, 597*SR, n))):
            clip = sound[at:at+3*SR].copy()
            clip[:2] = i & 0x7fff, i >> 15      # no two files are alike
            sf.write(path, clip, SR)
        for step in ('encode', 'encode what is encoded already'):
            begin = time.perf_counter()
            found = embed(table, encoder, cache=f'{d}/cache', progress=False, memory_gb=memory_gb)
            rows.append(dict(n=n, step=step, seconds=time.perf_counter()-begin, peak_gb=peak_gb(), stored=type(found).__name__, clips=len(found)))
            print(n, rows[-1], file=sys.stderr, flush=True)
    print(json.dumps(rows))


def begun(clips, memory_gb):
    "A learner with five shots per emotion of the first language, and everything else without labels"
    from sere_nb.corpora import draw_shots
    from sere_nb.learner import SERE
    shot = draw_shots(clips.table.assign(emotion=clips.table.emotion.where(clips.table.language == 'aa', '')), 5, 0)
    rest = clips[~shot]
    rest.table = rest.table.assign(emotion='')
    return SERE(seed=0, memory_gb=memory_gb), clips[shot], rest, shot


def parts_of(n, args):
    "Shares of the time of preparing clips, by a profile"
    import cProfile, pstats
    from sere_nb import structure
    parts = {'reading': Stored.load, 'standardising': structure.Standardiser.__call__, 'looking up contents': structure.ContentRemover.contents, 'summing into moments': structure.to_moments, 'pooling': structure.pool}
    learner, shots, rest, _ = begun(made_up(n, frames=args.frames), args.memory_gb)
    profile = cProfile.Profile()
    profile.runcall(learner.begin, shots, rest)
    stats = pstats.Stats(profile).stats
    seconds = lambda f: stats[f.__code__.co_filename, f.__code__.co_firstlineno, f.__name__][3]      # with all that it calls
    whole, taken = seconds(type(learner).begin), {what: seconds(f) for what, f in parts.items()}
    taken['all else'] = whole-sum(taken.values())
    rows = pd.DataFrame([dict(what=what, seconds=s, share=s/whole) for what, s in taken.items()]).assign(n=n, frames=args.frames, machine=machine())
    print(rows.round(3).to_string(index=False))
    if args.out: rows.to_csv(args.out, index=False, float_format='%.5g')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--sizes', default='1000,10000,100000,1000000')
    p.add_argument('--memory-gb', type=float, default=4.)
    p.add_argument('--frames', type=int, default=FRAMES, help='of a clip; fewer show sooner what memory rounds take, which does not depend on them')
    p.add_argument('--out', type=Path, help='CSV file; rows of sizes that were not run are kept')
    p.add_argument('--parts-of', type=int, metavar='N', help='print where preparing N clips takes its time, and nothing else')
    p.add_argument('--encode', metavar='ENC', help='encode sound files of three seconds instead, `--sizes` of them, with this encoder')
    p.add_argument('--one', type=int, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one: return encoded(args.one, args.memory_gb, args.encode) if args.encode else one(args.one, args.memory_gb, args.frames)
    print(f'on {machine()}')
    if args.parts_of: return parts_of(args.parts_of, args)
    for n in map(int, args.sizes.split(',')):
        command = [sys.executable, __file__, '--one', str(n), '--memory-gb', str(args.memory_gb), '--frames', str(args.frames), *(['--encode', args.encode] if args.encode else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows = pd.DataFrame(json.loads(done.stdout.splitlines()[-1])).assign(machine=machine(), memory_gb=args.memory_gb, frames=args.frames)
        print(rows[['n', 'step', 'clips', 'seconds', 'peak_gb']].round(2).to_string(index=False), flush=True)
        if not args.encode: print(f'{rows.right[0]:.1f} % right, page {rows.page_mb[0]:.1f} MB', flush=True)
        if args.out:
            old = pd.read_csv(args.out) if args.out.exists() else pd.DataFrame(columns=['n', 'frames'])
            pd.concat([old[(old.n != n) | (old.frames != args.frames)], rows]).sort_values(['frames', 'n'], kind='stable').to_csv(args.out, index=False, float_format='%.5g')


if __name__ == '__main__': main()
