"""The long checks of what is promised (`make soak`): cases tried, survived, lost. With --out, the table goes into a CSV that nbs/about/reliability.ipynb shows; rows of parts that were not run are kept."""
import argparse, importlib, sys, time
from pathlib import Path

import pandas as pd

from benchmark import machine

PARTS = ['soak_audio', 'soak_trust', 'soak_folders', 'soak_numbers', 'soak_faults', 'soak_same', 'soak_long']


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).parent
    p.add_argument('--parts', default=','.join(o for o in PARTS if (here/f'{o}.py').exists()), help='default: %(default)s')
    p.add_argument('--quick', action='store_true')
    p.add_argument('--out', type=Path, help='CSV file')
    args = p.parse_args()
    lost = 0
    for name in args.parts.split(','):
        rows, begin = [], time.perf_counter()
        for row in importlib.import_module(name).soak(quick=args.quick):
            now = time.perf_counter()
            rows.append(dict(of=name, **row, size='quick' if args.quick else 'full', seconds=now-begin, machine=machine()))
            begin, lost = now, lost+row['lost']
            print('{part}: {cases} cases, {0} survived, {lost} lost, {seconds:.0f} s. {note}'.format(row['cases']-row['lost'], **rows[-1]), flush=True)
        if args.out:
            old = pd.read_csv(args.out) if args.out.exists() else pd.DataFrame(columns=['of'])
            pd.concat([old[old.of != name], pd.DataFrame(rows)]).astype(dict(cases=int, lost=int)).to_csv(args.out, index=False, float_format='%.4g')
    sys.exit(1 if lost else 0)


if __name__ == '__main__': main()
