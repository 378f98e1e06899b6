"""The project's figures of speed, printed: `make numbers` (real corpora and an encoder are wanted for all but the first).

Times are wall seconds on the machine that runs this, whose name stands first; quiet machines only."""
import argparse, json, os, platform, shutil, statistics, subprocess, sys, tempfile, time
from pathlib import Path

SERE = [str(Path(sys.executable).with_name('sere'))]


def measured(*command):
    "Wall seconds and peak memory (GB) of a whole process"
    start = time.perf_counter()
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    error = process.stderr.read()       # to its end, so that the pipe never fills
    _, status, usage = os.wait4(process.pid, 0)
    if status: sys.exit(f"{' '.join(map(str, command))}: {error.strip().splitlines()[-1] if error.strip() else status}")
    return time.perf_counter()-start, usage.ru_maxrss/(1e9 if sys.platform == 'darwin' else 1e6/1.024)


def machine():
    "What a time is a time of"
    import torch
    name = next((l.split(':')[1].strip() for l in open('/proc/cpuinfo') if l.startswith('model name')), '') if os.path.exists('/proc/cpuinfo') else ''
    flags = open('/proc/cpuinfo').read() if name else ''
    return f"{name or platform.processor()}, {os.cpu_count()} cores{', AMX bf16' if 'amx_bf16' in flags else ', AVX-512 bf16' if 'avx512_bf16' in flags else ''}{', '+torch.cuda.get_device_name() if torch.cuda.is_available() else ''}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--corpora', type=Path, help='folder of the corpora that the protocol names')
    p.add_argument('--protocol', type=Path)
    p.add_argument('--encoder', help='folder or hub id of a speech model, with or without +acoustic')
    args = p.parse_args()
    print(f'on {machine()}')
    with tempfile.TemporaryDirectory() as d:
        os.environ['SERE_CACHE'] = f'{d}/cache'
        print('sere demo, empty cache: %.1f s, %.2f GB at its peak' % measured(*SERE, 'demo', '--out', f'{d}/demo', '-q'), flush=True)
        if not args.corpora: return
        names = list(json.loads(args.protocol.read_text())['corpora'])
        for encoder in dict.fromkeys([args.encoder.removesuffix('+acoustic'), args.encoder.removesuffix('+acoustic')+'+acoustic']):
            cache = f'{d}/speech{len(encoder)}'
            for what in ('first time', 'from the cache'):
                each = [measured(*SERE, 'embed', '--manifest', args.corpora/f'{n}.csv', '--encoder', encoder, '--cache', cache, '-q') for n in names]
                print(f'{Path(encoder).name}, {len(names)} corpora, {what}: {sum(s for s, _ in each):.1f} s, {max(m for _, m in each):.2f} GB at its peak (a process each, loading of libraries included)', flush=True)
        measured(*SERE, 'bench', '--protocol', args.protocol, '--corpora', args.corpora, '--encoder', encoder, '--cache', cache, '--methods', 'sere', '--seeds', '0', '--out', f'{d}/bench', '-q')
        import pandas as pd
        fits = pd.read_csv(f'{d}/bench/results.csv').fit_s
        print(f'one SERE fit of a benchmark task on cached embeddings, preparation included: median {statistics.median(fits):.1f} s, {fits.min():.1f} to {fits.max():.1f} s over {len(fits)} tasks')


if __name__ == '__main__': main()
