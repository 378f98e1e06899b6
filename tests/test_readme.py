"What README.md tells a newcomer to type works."
import re, subprocess, sys
from pathlib import Path
import pytest

text = (Path(__file__).parent.parent/'README.md').read_text(encoding='utf-8')
python, = re.findall(r'^```python\n(.*?)^```', text, re.M | re.S)
commands = re.findall(r'^sere (\w+)(.*?)(?:#.*)?$', text, re.M)

def test_python(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    names = {}
    exec(python, names)
    predicted = names['model'].predict(names['target'])
    assert len(predicted) == len(names['target'].table) and set(predicted) <= set(names['model'].classes_)

@pytest.mark.parametrize('name,options', commands, ids=[c[0] for c in commands])
def test_command(name, options):
    said = subprocess.run([Path(sys.executable).parent/'sere', name, '--help'], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    for option in re.findall(r'(?<!\S)--?[a-z]\S*', options): assert option in said.stdout
