"""Makes stored outputs fit for readers without a kernel (part of `make clean-nbs`).

Widgets are dropped: they are dead then, and nbdev_clean leaves them. Figures of plotly, which JupyterLab shows by itself, get HTML beside them for the website, whose maker cannot show them."""
import json
from pathlib import Path
import nbformat

PLOTLY = 'application/vnd.plotly.v1+json'


def as_html(figure, name):
    import plotly.io as pio
    return pio.to_html(pio.from_json(json.dumps({k: v for k, v in figure.items() if k in ('data', 'layout', 'frames')})), include_plotlyjs='cdn', full_html=False, auto_play=False, div_id=name)


for path in sorted((Path(__file__).resolve().parent.parent/'nbs').rglob('*.ipynb')):
    if '.ipynb_checkpoints' in path.parts: continue
    nb = nbformat.read(path, as_version=4)
    changed = nb.metadata.pop('widgets', None) is not None
    figures = 0
    for c in nb.cells:
        if c.cell_type != 'code': continue
        live = [o for o in c.outputs if any('widget' in mime for mime in o.get('data', {}))]
        c.outputs = [o for o in c.outputs if o not in live]
        changed |= bool(live)
        for o in c.outputs:
            if PLOTLY not in o.get('data', {}): continue
            figures += 1
            page = as_html(o.data[PLOTLY], f'figure-{figures}')      # frames, too, are added to the figure by this name
            if o.data.get('text/html') != page: o.data['text/html'], changed = page, True
    if changed:
        nbformat.write(nb, path)
        print(f'{path.name}: widgets dropped, figures made ready for the website')
