"Code that a reader is shown fits its column"
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted(f for f in (ROOT/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in f.parts)


def widest(notebook):
    "Columns for code: the method, its tutorials and the course keep to what a page shows at once"
    method = notebook.parent==ROOT/'nbs' and notebook.name<'08'
    return 88 if method or notebook.parent.name in ('tutorials', '_workshop', 'about') else 100


def code(notebook):
    "Lines of code; nbdev's and the website's directives, and what installs on Colab, must be one line each"
    for c in json.loads(notebook.read_text(encoding='utf-8'))['cells']:
        if c['cell_type'] != 'code': continue
        for line in ''.join(c['source']).split('\n'):
            if not re.match(r'#\||! \[ -z "\$COLAB', line): yield line


@pytest.mark.parametrize('notebook', NOTEBOOKS, ids=lambda f: f.stem)
def test_lines_of_code(notebook):
    most = widest(notebook)
    long = [o for o in code(notebook) if len(o) > most]
    assert not long, f'{notebook.name}: {len(long)} lines of more than {most} characters, the first: {long[0]}'


@pytest.mark.parametrize('file', sorted((ROOT/'sere_nb'/'front').glob('*.js')), ids=lambda f: f.name)
def test_lines_of_the_front_end(file):
    "As its linter asks, also where that is not installed"
    long = [o for o in file.read_text(encoding='utf-8').splitlines() if len(o) > 88]
    assert not long, f'{file.name}: {long[0]}'
