"Did `sere run --out DIR` leave all that its contract names? `python tests/check_run.py DIR`"
import json, sys
from pathlib import Path
import pandas as pd

out = Path(sys.argv[1])
problems = [f'{f} is missing or empty' for f in ('predictions.csv', 'metrics.json', 'report.html') if not (out/f).is_file() or not (out/f).stat().st_size]
problems += [f'model/ holds no {kind}' for kind in ('*.safetensors', '*.json') if not any((out/'model').glob(kind))]
if not problems:
    t = pd.read_csv(out/'predictions.csv')
    problems += [f'predictions.csv has no column {c}' for c in ('path', 'emotion', 'resonance', 'highlight_start_s', 'highlight_end_s') if c not in t]
    p = t.filter(regex='^p_')
    if not p.shape[1] or not ((p.sum(axis=1) - 1).abs() < 1e-3).all(): problems.append('predictions.csv: the p_ columns of a row do not sum to 1')
    m = json.loads((out/'metrics.json').read_text())
    problems += [f'metrics.json has no {k}' for k in ('uar', 'wa', 'macro_f1', 'ci95', 'confusion') if k not in m]
    if 'http' in (page := (out/'report.html').read_text()) and ('<script src="http' in page or '<link href="http' in page):
        problems.append('report.html loads something from the network')
    print(f"{len(t)} clips, {p.shape[1]} emotions; " + ', '.join(f'{k} {m[k]}' for k in ('uar', 'wa', 'macro_f1') if k in m))
sys.exit('\n'.join(f'{out}: {p}' for p in problems) or None)
