"Drops widgets from stored notebooks: without a kernel they are dead, and nbdev_clean leaves them (part of `make clean-nbs`)."
from pathlib import Path
import nbformat

for path in (Path(__file__).resolve().parent.parent/'nbs').rglob('*.ipynb'):
    if any(o[0] in '._' for o in path.parts[path.parts.index('nbs'):]): continue
    nb = nbformat.read(path, as_version=4)
    found = nb.metadata.pop('widgets', None) is not None
    for c in nb.cells:
        if c.cell_type != 'code': continue
        live = [o for o in c.outputs if any('widget' in mime for mime in o.get('data', {}))]
        found |= bool(live)
        c.outputs = [o for o in c.outputs if o not in live]
    if found:
        nbformat.write(nb, path)
        print(f'{path.name}: live widgets dropped')
