"Does a bench hold what the project promises? `python tests/check_bench.py out/bench/results.csv` (written by `make bench`)"
import argparse
import pandas as pd

p = argparse.ArgumentParser(description=__doc__)
p.add_argument('results', help='results.csv of sere bench, with the methods sere and logistic_regression')
p.add_argument('--mean', type=float, default=62, help='least mean UAR of sere over the tasks, in %%')
p.add_argument('--price', type=float, default=0, help='least mean of sere minus full_labels, in points, if full_labels is among the results')
p.add_argument('--wins', type=int, default=11, help='in how many tasks sere must be above logistic_regression')
p.add_argument('--behind', type=float, help='by how many points sere may be below the best other 5-shot method in the mean of a target corpus')
args = p.parse_args()

r = pd.read_csv(args.results)
if r.uar.max() <= 1: r['uar'] *= 100  # written as a share
if 'shots' in r and r.shots.nunique() > 1: p.error(f'{args.results}: several numbers of shots; give the results of a bench without --shots')
r['task'] = r.source + ' → ' + r.target
uar = r.pivot_table(index='task', columns='method', values='uar', sort=False)  # mean over seeds
lacking = {'sere', 'logistic_regression'} - set(uar)
if lacking: p.error(f"{args.results}: no rows for {' and '.join(sorted(lacking))}; run the bench with them among its --methods")
mean, wins = uar.sere.mean(), int((uar.sere > uar.logistic_regression).sum())
print(uar.round(1).to_string())
print(f'mean UAR of sere {mean:.2f} % (at least {args.mean:g} wanted); above logistic_regression in {wins} of {len(uar)} tasks (at least {args.wins} wanted)')
enough = mean >= args.mean and wins >= args.wins
if 'full_labels' in uar:
    price = mean - uar.full_labels.mean()
    print(f'sere minus full_labels {price:+.2f} points (at least {args.price:+g} wanted)')
    enough &= price >= args.price
if args.behind is not None:
    rivals = [m for m in uar if m != 'sere' and not m.startswith(('sere:', 'full_labels', 'jdar_full')) and not m.endswith(':full')]
    by = uar.groupby(r.drop_duplicates('task').set_index('task').target).mean()
    for target, row in by.iterrows():
        best = row[rivals].idxmax()
        print(f'to {target}: sere {row.sere:.1f}, best 5-shot rival {row[best]:.1f} ({best})')
    enough &= bool((by.sere >= by[rivals].max(axis=1)-args.behind).all())
raise SystemExit(not enough)
