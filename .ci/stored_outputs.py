"""Makes stored outputs fit for readers without a kernel (part of `make clean-nbs`).

Each page of the website opens its notebook in Colab, so each notebook can install the package there. Widgets are dropped: they are dead then, and nbdev_clean leaves them. Figures of plotly, which JupyterLab shows by itself, get HTML beside them for the website, whose maker cannot show them."""
import hashlib
import json
from html import escape
from pathlib import Path
import nbformat

INSTALL = '#| hide\n! [ -z "$COLAB_RELEASE_TAG" ] || pip install -q "sere_nb @ git+https://github.com/sere-nb/sere_nb"'
PLOTLY = 'application/vnd.plotly.v1+json'


def as_html(figure, name):
    "As wide as it was drawn, or as the page where that is less; without tools that lie over its title"
    import plotly.io as pio
    layout = {k: v for k, v in figure['layout'].items() if k != 'width'}
    drawn = pio.from_json(json.dumps(dict(data=figure['data'], layout=layout, frames=figure.get('frames', []))))
    html = pio.to_html(drawn, include_plotlyjs='cdn', full_html=False, auto_play=False, div_id=name, default_width='100%',
                       config=dict(displayModeBar=False, responsive=True))
    says = escape(figure['layout'].get('title', {}).get('text', ''), quote=True)
    return f'<div role="figure" aria-label="{says}" style="max-width:{figure["layout"].get("width", 700)}px">{html}</div>'


def with_install(nb):
    "Put the cell that installs the package on Colab below the title. Was it missing?"
    if len(nb.cells) > 1 and nb.cells[1].source == INSTALL: return False
    nb.cells = [c for c in nb.cells if c.source != INSTALL]
    nb.cells.insert(1, nbformat.v4.new_code_cell(INSTALL, id=hashlib.sha256(nb.cells[0].source.encode()).hexdigest()[:8]))
    return True


nbs = Path(__file__).resolve().parent.parent/'nbs'
for path in sorted(nbs.rglob('*.ipynb')):
    if '.ipynb_checkpoints' in path.parts: continue
    nb = nbformat.read(path, as_version=4)
    changed = nb.metadata.pop('widgets', None) is not None
    figures = 0
    if not any(p.startswith(('.', '_')) for p in path.relative_to(nbs).parts): changed |= with_install(nb)
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
        print(f'{path.name}: widgets dropped, figures made ready for the website, the cell for Colab put in')
