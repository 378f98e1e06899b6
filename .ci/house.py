"""The drawing of the house in CONTRIBUTING.md: modules as rooms, an arrow from each to those that import it, as the code has it (part of `make clean-nbs`).

An arrow that a longer way goes already is left out."""
import ast
import re
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
FILE = root/'CONTRIBUTING.md'
BLOCK = re.compile(r'```mermaid\n.*?\n```', re.S)


def imports(package=root/'sere_nb'):
    "{module: modules of ours that it imports, at its top or when needed}"
    names = {f.stem for f in package.glob('*.py') if not f.stem.startswith('_')}
    found = {}
    for name in sorted(names):
        found[name] = used = set()
        for o in ast.walk(ast.parse((package/f'{name}.py').read_text(encoding='utf-8'))):
            if isinstance(o, ast.ImportFrom):
                if o.level == 1 or (o.module or '').startswith('sere_nb'):
                    last = (o.module or '').removeprefix('sere_nb').strip('.')
                    used |= {last.split('.')[0]} if last else {a.name for a in o.names}
            elif isinstance(o, ast.Import): used |= {a.name.split('.')[1] for a in o.names if a.name.startswith('sere_nb.')}
        used &= names - {name}
    return found


def stairs(found):
    "Modules so that each comes after all that it imports; an error if there is no such order"
    order, left = [], dict(found)
    while left:
        free = sorted(k for k, v in left.items() if v <= set(order))
        if not free: raise ValueError(f'these modules import each other in a circle: {", ".join(sorted(left))}')
        order += free
        for k in free: del left[k]
    return order


def notebooks(nbs=root/'nbs'):
    "{module: its notebook}"
    found = {}
    for f in sorted(nbs.glob('*.ipynb')):
        m = re.search(r'#\| *default_exp +([\w.]+)', f.read_text(encoding='utf-8'))
        if m: found[m[1]] = f.stem
    return found


def drawing(found, told):
    order, below = stairs(found), {}
    for k in order: below[k] = set().union(*({o} | below[o] for o in found[k])) if found[k] else set()
    arrows = [(o, k) for k in order for o in sorted(found[k], key=order.index) if not any(o in below[other] for other in found[k] if other != o)]
    method = [k for k in order if told.get(k, '99')[:2] <= '06']
    room = lambda k: f'    {k}["{told[k].partition("_")[0]} · {k}"]' if k in told else f'    {k}'
    return '\n'.join(['graph LR', '  subgraph method [the method, 00–06]', *map(room, method), '  end', '  subgraph use [using it, judging it, 07 and on]', *(room(k) for k in order if k not in method), '  end', *(f'  {a} --> {b}' for a, b in arrows)])


def drawn(text): return BLOCK.sub(lambda m: f'```mermaid\n{drawing(imports(), notebooks())}\n```', text)


if __name__ == '__main__':
    text = FILE.read_text(encoding='utf-8')
    new = drawn(text)
    if '--check' in sys.argv: sys.exit('CONTRIBUTING.md: the house is not as the code has it; run make clean-nbs' if new != text else 0)
    if new != text: FILE.write_text(new, encoding='utf-8')
