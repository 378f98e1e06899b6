"README.md from nbs/index.ipynb, without Quarto: hidden cells dropped, links made to hold from the top of the repository."
import posixpath, re, sys
from pathlib import Path
import nbformat
from nbconvert import MarkdownExporter

root = Path(__file__).resolve().parent.parent
head = '<!-- Made from nbs/index.ipynb by `make readme`. Edit that. -->\n\n'

def from_top(link):
    "`link`, written in nbs/, as it reads from the folder above"
    if re.match(r'[a-z][a-z0-9+.-]*:|[#/]', link): return link
    path, mark, anchor = link.partition('#')
    return posixpath.normpath(posixpath.join('nbs', path)) + mark + anchor

def readme():
    nb = nbformat.read(root/'nbs/index.ipynb', as_version=4)
    nb.cells = [c for c in nb.cells if not re.match(r'#\|\s*(hide|default_exp)\b', c.source)]
    for c in nb.cells: c.source = re.sub(r'^#\|.*\n?', '', c.source, flags=re.M) if c.cell_type == 'code' else c.source
    text, resources = MarkdownExporter().from_notebook_node(nb)
    if resources.get('outputs'): sys.exit('nbs/index.ipynb: a cell output holds a picture; save it below nbs/images and link it instead.')
    text = re.sub(r'(\]\()([^)\s]+)', lambda m: m[1]+from_top(m[2]), text)
    text = re.sub(r'(\b(?:src|href|srcset)=")([^"]+)', lambda m: m[1]+from_top(m[2]), text)
    return head + re.sub(r'\n{3,}', '\n\n', text).strip() + '\n'

if __name__ == '__main__':
    if '--stdout' in sys.argv: sys.stdout.write(readme())
    else: (root/'README.md').write_text(readme(), encoding='utf-8')
