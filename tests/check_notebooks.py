"""Are notebooks, modules, README and docs in step, and fit to be read? Works on a copy: the tree is left as it is, committed or not.

    .venv/bin/python tests/check_notebooks.py
"""
import argparse, ast, filecmp, json, os, re, shutil, subprocess, sys, tempfile
from pathlib import Path
from urllib.parse import unquote
import yaml
import check_pages

root = Path(__file__).resolve().parent.parent
problems = []
def problem(where, what):
    where = Path(where)
    problems.append(f'{where.relative_to(root) if where.is_absolute() else where}: {what}')

def visible(path): return not any(p[0] in '._' for p in path.relative_to(root/'nbs').parts)
notebooks = sorted(p for p in (root/'nbs').rglob('*.ipynb') if visible(p))
texts = sorted(p for p in (root/'nbs').rglob('*.md') if visible(p))

# ---- what nbdev would change ----

def run(command, cwd, **env):
    "Run one of nbdev's commands; what it said, where it failed"
    full = {**os.environ, 'PYTHONPATH': str(cwd), 'SERE_DOCS_EXTRAS': '0', **env}
    full.pop('IN_TEST', None)  # nbdev's own flag: with it nothing would be exported
    p = subprocess.run([sys.executable, '-c', command], cwd=cwd, env=full, capture_output=True, text=True)
    return p.returncode, (p.stdout + p.stderr).strip()

def differences(a, b, sub):
    "Paths below `sub` that differ between the folders `a` and `b`"
    files = lambda top: {p.relative_to(top) for p in (top/sub).rglob('*')
                         if p.is_file() and not {'__pycache__', '.ipynb_checkpoints', '.last_checked'} & set(p.parts)}
    return sorted(p for p in files(a) | files(b)
                  if not ((a/p).exists() and (b/p).exists() and filecmp.cmp(a/p, b/p, shallow=False)))

def check_step(workers):
    "nbdev's export, clean and half of the docs, in a copy"
    with tempfile.TemporaryDirectory(prefix='sere_nb-') as tmp:
        copy = Path(tmp)/'copy'
        copy.mkdir()
        for name in ('settings.ini', 'pyproject.toml', 'setup.py', 'README.md'): shutil.copy2(root/name, copy)
        for name in ('nbs', 'sere_nb'):
            shutil.copytree(root/name, copy/name, ignore=shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints'))
        for f in [o for o in (copy/'sere_nb').glob('*.py') if o.name!='_site.py']:  # so that a module whose notebook is gone shows up as missing
            if f.name != '__init__.py': f.unlink()

        rc, said = run('from nbdev.doclinks import nbdev_export; nbdev_export()', copy)
        if rc: problem('nbs', f'nbdev_export fails\n{said}')
        else:
            for p in differences(root, copy, 'sere_nb'):
                if p.suffix != '.py': continue
                problem(p, 'not what its notebook exports; run make clean-nbs' if (root/p).exists() and (copy/p).exists()
                        else 'comes from no notebook; remove it' if (root/p).exists() else 'its notebook is not exported; run make clean-nbs')

        rc, said = run('from nbdev.clean import nbdev_clean; nbdev_clean()', copy)
        if rc or 'Failed to clean' in said: problem('nbs', f'nbdev_clean fails\n{said}')
        for p in differences(root, copy, 'nbs'): problem(p, 'nbdev_clean would change it; run make clean-nbs')

        # nbdev_proc_nbs would fetch and install Quarto where it is missing; its own work does not need it
        before = {p.name: p.read_bytes() for p in (copy/'nbs').glob('*.yml')}
        rc, said = run('import nbdev.quarto as q\n'
                       'if __name__ == "__main__":\n'
                       '    q._ensure_quarto = lambda: None\n'
                       f'    q.nbdev_proc_nbs.__wrapped__(n_workers={workers})', copy)
        if rc: problem('nbs', 'nbdev_proc_nbs fails, so the docs cannot be built:\n' + '\n'.join(said.splitlines()[-15:]))
        else:
            for p in [*notebooks, *texts]:
                if not (copy/'_proc'/p.relative_to(root/'nbs')).exists(): problem(p, 'nbdev_proc_nbs leaves it out of the docs')
            found, urls = check_pages.problems(copy/'_proc', {p.relative_to(root/'nbs').as_posix() for p in notebooks})
            for page, what in found: problem(f'nbs/{page}', what)
            for f in [*notebooks, *(root/'nbs/_workshop').glob('*.[im]*'), *root.glob('*.md'), *(root/'nbs').rglob('*.md'), *(root/'sere_nb').rglob('*.py')]:
                for what in check_pages.addresses(f.read_text(encoding='utf-8').replace('\\n', '\n'), urls): problem(f, what)
        for m in re.findall(r'Found cells containing imports and other code.*?---\n(.*?)\n---', said, flags=re.S):
            problem('nbs', f'a cell mixes imports with other code, which the docs build would execute:\n{m}')
        for name, old in before.items():
            if (copy/'nbs'/name).read_bytes() != old: problem(f'nbs/{name}', 'not what settings.ini says; building the docs would change it')

def check_readme():
    p = subprocess.run([sys.executable, root/'.ci/readme.py', '--stdout'], capture_output=True, text=True, encoding='utf-8')
    if p.returncode: problem('nbs/index.ipynb', p.stderr.strip())
    elif p.stdout != (root/'README.md').read_text(encoding='utf-8'): problem('README.md', 'not what nbs/index.ipynb says; run make readme')

# ---- what a reader would trip over ----

_here = {str(root.parent), str(Path.home()), tempfile.gettempdir(), sys.prefix} - {'/'}
_machine = re.compile(r'(?<![\w.:/])(?:' + '|'.join(sorted(re.escape(h) for h in _here)) +
                      r'|/(?:home|Users|root|tmp|private|var/folders|mnt|work|workspace|content|kaggle)|[A-Z]:\\{1,2}Users)(?=[/\\])[^\s"\'<>)]*')
_base64 = re.compile(r'data:[\w/+.;=-]*;base64,[\w+/=\s]*')

def machine_paths(text): return sorted(set(_machine.findall(_base64.sub('', text))))

_code = re.compile(r'```.*?```|~~~.*?~~~|``.*?``|`[^`\n]*`', re.S)
_link = re.compile(r'\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)|\b(?:src|href)\s*=\s*"([^"]*)"|^\[[^\]]+\]:\s*(\S+)', re.M)

def anchors(path):
    "Headings of a notebook or Markdown file, as Quarto and GitHub name them, and what is given a name by <a id=…>"
    text = path.read_text(encoding='utf-8')
    if path.suffix == '.ipynb':
        cells = json.loads(text)['cells']
        names = {m.lower() for c in cells if c['cell_type'] == 'code' for m in re.findall(r'^(?:class|def)\s+(\w+)', ''.join(c['source']), re.M)}
        text = '\n\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'markdown')
    else: names = set(re.findall(r'<a id="([\w-]+)"', text))
    for h in re.findall(r'^#+\s+(.*?)\s*$', text, re.M):
        if own := re.search(r'\{#([\w-]+)', h): names.add(own[1])
        names.add(re.sub(r'[^\w\- ]', '', h.lower().replace('`', '')).strip().replace(' ', '-'))
    return names

def check_links(text, path, inside=None):
    "Relative links and pictures in Markdown `text` of the file `path` lead somewhere, below the folder `inside` if given"
    for groups in _link.findall(_code.sub('', text)):
        link = next(filter(None, groups), '')
        if not link or re.match(r'[a-zA-Z][\w+.-]*:|//|@', link): continue
        target, _, anchor = unquote(link).partition('#')
        to = (path.parent/target).resolve() if target else path
        if target.startswith('/') or not to.exists(): problem(path, f'link to {link}: there is no such file')
        elif inside and not to.is_relative_to(inside): problem(path, f"link to {link}: the website holds only what is below {inside.name}/; use the repository's address")
        elif anchor and to.suffix in ('.ipynb', '.md') and anchor.lower() not in anchors(to): problem(path, f'link to {link}: there is no such heading')

def check_notebook(path):
    size = path.stat().st_size
    if size > 2e6: problem(path, f'{size/1e6:.1f} MB; 2 MB at most, or the docs become slow')
    text = path.read_text(encoding='utf-8')
    nb = json.loads(text)
    source = lambda c: ''.join(c['source'])
    rest = r'\s*' if visible(path) else r'[\s\S]*'       # the course is not on the website
    if not nb['cells'] or not re.fullmatch(r'# \S[^\n]*\n+> \S[^\n]*'+rest, source(nb['cells'][0])): problem(path, 'must begin with a cell of "# Title" and "> one line" and nothing else: the website makes the head of the page of it and drops the rest')
    if nb['metadata'].get('widgets'): problem(path, 'holds the state of live widgets; show a static figure instead')
    code = [c for c in nb['cells'] if c['cell_type'] == 'code']
    if visible(path) and not (code and 'COLAB_RELEASE_TAG' in source(code[0])): problem(path, 'has no cell that installs the package on Colab; run make clean-nbs')
    if len(code) > 3 and not any(c['outputs'] for c in code): problem(path, 'stores no output; run it, for the docs show what is stored')
    for c in nb['cells']:
        said = [source(c)]
        for o in c.get('outputs', ()):
            data = o.get('data', {})
            if o['output_type'] == 'error' or 'Traceback (most recent call last)' in ''.join(o.get('text', '')): problem(path, f"stored traceback in the cell that begins {source(c)[:60]!r}")
            if any('widget' in mime for mime in data): problem(path, f"a live widget is stored as output of the cell that begins {source(c)[:60]!r}; it is dead in the docs")
            said += [''.join(o.get('text', ''))] + [v if isinstance(v, str) else ''.join(v) if isinstance(v, list) else json.dumps(v)
                                                     for mime, v in data.items() if not mime.startswith('image/') or 'svg' in mime]
        for p in machine_paths('\n'.join(said)): problem(path, f'path of one machine: {p}')
        if c['cell_type'] == 'markdown': check_links(source(c), path, inside=root/'nbs')

def check_sidebar():
    def leaves(x):
        if isinstance(x, str): yield x
        elif isinstance(x, list): yield from (l for y in x for l in leaves(y))
        elif isinstance(x, dict): yield from (l for k in ('href', 'file', 'contents') if k in x for l in leaves(x[k]))
    listed = [l for l in leaves(yaml.safe_load((root/'nbs/sidebar.yml').read_text())['website']['sidebar']['contents']) if not l.startswith('https://')]
    pages = {p.relative_to(root/'nbs').as_posix() for p in [*notebooks, *texts]}
    for p in listed:
        if not (root/'nbs'/p).exists(): problem('nbs/sidebar.yml', f'lists {p}, which does not exist')
    for p in sorted(pages - set(listed)): problem('nbs/sidebar.yml', f'does not list {p}')

def check_imports():
    "What the modules import is declared in settings.ini"
    from configparser import ConfigParser
    ini = ConfigParser(delimiters=['='])
    ini.read(root/'settings.ini')
    declared = {re.split(r'[^\w-]', r)[0].replace('-', '_') for o in ('requirements','cluster_requirements','media_requirements','export_requirements','tune_requirements') for r in ini['DEFAULT'][o].split()}
    called = {'scikit_learn': 'sklearn', 'umap_learn': 'umap'}
    known = {called.get(d, d) for d in declared} | set(sys.stdlib_module_names) | {'sere_nb', 'IPython', 'huggingface_hub', 'nbconvert', 'nbformat'}  # the last come with jupyterlab and transformers
    for f in sorted((root/'sere_nb').glob('*.py')):
        if f.name=='_site.py': continue      # nbdev's, for the website; nothing in the package imports it
        for node in ast.walk(ast.parse(f.read_text(encoding='utf-8'))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
            for n in names:
                if n.split('.')[0] not in known: problem(f, f'imports {n}, which requirements in settings.ini do not name')

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--workers', type=int, default=2, help='processes for the docs half')
    p.add_argument('--quick', action='store_true', help='only what is read as it stands, without the docs half')
    args = p.parse_args()
    check_readme()
    check_sidebar()
    check_imports()
    for nb in [*notebooks, *sorted((root/'nbs/_workshop').glob('*.ipynb'))]: check_notebook(nb)      # the course is kept off the website
    pages = [*root.glob('*.md'), *(root/'data_samples').rglob('*.md'), *(root/'nbs').rglob('*.md'), *(root/'nbs').rglob('*.qmd')]
    for f in pages: check_links(f.read_text(encoding='utf-8'), f)
    for f in [*pages, *(root/'sere_nb').rglob('*.py'), *(root/'data_samples').rglob('*.csv')]:
        for m in machine_paths(f.read_text(encoding='utf-8')): problem(f, f'path of one machine: {m}')
    if not args.quick: check_step(args.workers)
    for line in dict.fromkeys(problems): print('✗', line, file=sys.stderr)
    if problems: sys.exit(f'{len(dict.fromkeys(problems))} problems in {len(notebooks)} notebooks and what is made from them.')
    print(f'{len(notebooks)} notebooks and what is made from them are in step.')

if __name__ == '__main__': main()
