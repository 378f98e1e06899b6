"""What the website's pages have beyond nbdev's own work. `settings.ini` names `Pages`, which nbdev runs last on each notebook:

- a line of links below the title: source, download, Colab;
- `names` in backticks lead to the page that shows them, and only names that are meant: with a capital or an underscore inside, or written with brackets, as in `embed()`;
- tables whose long names may break;
- signatures in short lines, as a class where it is one, and with a source link to the right module;
- what only serves the page's own functions, folded: else a page speaks of steps that are nowhere to be seen.

With the index it also makes what no notebook makes: the page of `sere demo` and the course with its slides and its teacher's guide (not where `SERE_DOCS_EXTRAS` is 0, as in tests: it takes half a minute)."""
import ast, contextlib, inspect, io, json, os, posixpath, re, shutil, tempfile, textwrap, warnings
from functools import lru_cache
from pathlib import Path

from nbdev.config import get_config
from nbdev.process import Processor
from nbdev.showdoc import BasicMarkdownRenderer

root = Path(__file__).resolve().parent.parent
WIDTH = 88      # characters a line of a signature


# ---- what each notebook shows ----

def visible(path):
    "Is a file below nbs/ on the website?"
    return not any(p[0] in '._' for p in path.parts)

def notebooks(nbs):
    "Notebooks of the website, as paths below `nbs`"
    return [p.relative_to(nbs) for p in sorted(nbs.rglob('*.ipynb')) if visible(p.relative_to(nbs))]

_directives = re.compile(r'^[ \t]*#\|[ \t]*([\w-]+):?[ \t]*(.*)$', re.M)

def directives(source):
    "{name: rest} of the directives of a cell"
    return dict(_directives.findall(source))

def definitions(source):
    "Public names that a cell defines, as show_doc calls them: functions, classes, patched methods as Class.name"
    try: tree = ast.parse(source)
    except SyntaxError: return []
    names = []
    for o in tree.body:
        if not isinstance(o, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or re.match('_(?!_)', o.name): continue
        patched = any('patch' in ast.unparse(d) for d in o.decorator_list) and o.args.args and o.args.args[0].annotation
        names += [f'{c.strip()}.{o.name}' for c in ast.unparse(patched).split('|')] if patched else [o.name]
    return names

@lru_cache(None)
def own(nbs, path):
    "{name: module} of what one notebook shows"
    found, module = {}, None
    for c in json.loads((nbs/path).read_text(encoding='utf-8'))['cells']:
        source = ''.join(c['source'])
        does = directives(source) if c['cell_type'] == 'code' else {}
        module = does.get('default_exp', module)
        if 'hide' in does or not {'export', 'exports', 'exec_doc'} & set(does): continue
        into = (does.get('export') or does.get('exports') or module or '').strip()
        found |= {name: into for name in definitions(source)}
    return found

@lru_cache(None)
def shown(nbs):
    "{name: (notebook, module)} of what the pages show; of a name that two pages show, nothing"
    found, twice = {}, set()
    for path in notebooks(nbs):
        for name, into in own(nbs, path).items():
            if name in found: twice.add(name)
            found[name] = path, into
    return {k: v for k, v in found.items() if k not in twice}

@lru_cache(None)
def lines(module):
    "{name: line} of what a module of the package defines, methods with their class"
    file = root/'sere_nb'/(module.replace('.', '/')+'.py')
    found = {}
    for o in ast.parse(file.read_text(encoding='utf-8')).body if file.exists() else ():
        if not isinstance(o, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): continue
        for name in [o.name, *definitions(ast.unparse(o))]: found[name] = o.lineno
        if isinstance(o, ast.ClassDef): found |= {f'{o.name}.{m.name}': m.lineno for m in o.body if isinstance(m, ast.FunctionDef)}
    return found


# ---- links ----

def meant(word):
    "Is a word in backticks surely a name of ours? A plain lower-case word is as often a column, a command, an option"
    return word.endswith('()') or bool(re.search(r'[A-Z]|[a-z]_[a-z]', word))

def target(word, here, nbs):
    "Where a word leads, seen from the notebook `here`, or None"
    names, name = shown(nbs), word.removesuffix('()')
    if not meant(word): return None
    if name not in names: name = name.partition('.')[0] if '.' in name else ''      # a method stands with its class
    if name not in names: return None
    to = names[name][0]
    page = '' if to == here else posixpath.relpath(to.as_posix(), here.parent.as_posix() or '.')
    return f'{page}#{name.lower()}'

_word = re.compile(r'``.*?``|(?<![\[`\\])`([A-Za-z]\w*(?:\.\w+)*(?:\(\))?)`(?![`\]])')

def linked(text, here, nbs):
    "Markdown with links at names; code, headings and what is a link already are left alone"
    fenced, out = False, []
    for line in text.splitlines(True):
        if re.match(r'\s*(```|~~~)', line): fenced = not fenced
        elif not fenced and not line.startswith(('    ', '#')):
            line = _word.sub(lambda m: f'[{m[0]}]({to})' if m[1] and (to := target(m[1], here, nbs)) else m[0], line)
        out.append(line)
    return ''.join(out)

def notebook_links(here, cfg):
    "The line below a page's title"
    path = f'{cfg.nbs_path.name}/{here.as_posix()}'
    repo = cfg.git_url.removeprefix('https://github.com/')
    return ('::: {.notebook-links}\n'
            f'This page is a notebook: [source]({cfg.git_url}/blob/{cfg.branch}/{path}) · '
            f'[download]({cfg.git_url}/raw/{cfg.branch}/{path}) · '
            f'[open in Colab](https://colab.research.google.com/github/{repo}/blob/{cfg.branch}/{path})\n:::')


_cell = re.compile(r'(<t[hd]\b[^>]*>)([^<>]*)(?=</t[hd]>)')
_seam = re.compile(r'(?<=\w)(?:[_/](?=\w)|\.(?=[A-Za-z]\w{4}))')     # .ogg stays with its name, 4.9e-08 in one piece

def breakable(html, most=6):
    "Tables in which a long name (a column's, a file's) may go on in a second line, behind `_`, `.` or `/`: by a space of no width, for Pandoc drops <wbr>"
    def word(m): return _seam.sub(lambda o: o[0]+'&#8203;', m[0]) if len(m[0]) > most and re.search('[A-Za-z]', m[0]) else m[0]
    return _cell.sub(lambda m: m[1]+re.sub(r'\S+', word, m[2]), html) if '<table' in html else html


# ---- signatures ----

def in_short_lines(code, comment, indent=4):
    "A parameter and its comment, in lines of at most WIDTH characters where words allow"
    head = ' '*indent+code
    if not comment: return [head]
    comment = ' '.join(comment.split())
    if len(head)+len(comment) <= WIDTH-4: return [f'{head}  # {comment}']
    return [head, *textwrap.wrap(comment, WIDTH, initial_indent=' '*(indent+4)+'# ', subsequent_indent=' '*(indent+4)+'# ', break_long_words=False, break_on_hyphens=False)]

class Signature(BasicMarkdownRenderer):
    "As nbdev shows a name, but a class as a class, an error without a signature, no comment that runs out of its column, and nothing said of what has no docstring"
    def signature(self):
        sym, dm = self.sym, self.dm
        if inspect.isclass(sym) and (issubclass(sym, BaseException) or sym.__init__ is object.__init__): return None
        nothing = type(None), type(print), type(lambda: 0)     # guessed from a default, and no help to a reader
        params = {k: {**v, 'anno': inspect.Parameter.empty} if v.get('anno') in nothing else v for k, v in dm.dm.items() if k != 'return'}
        out = [f"{'class' if inspect.isclass(sym) else 'def'} {self.nm}("]
        for k, v in params.items(): out += in_short_lines(dm._fmt_param(k, v)+',', v.get('docment', ''))
        back = dm.dm.get('return', {})
        end, said = dm._ret_str.partition(' #')[0].removesuffix(':')+':', back.get('docment', '')
        if inspect.isclass(sym): end, said = '):', ''
        if not params: out, end = [], out[0]+end
        return '\n'.join(out+in_short_lines(end, said, 0))

    def _repr_markdown_(self):
        parts = [f"{'#'*self.title_level} {self.nm}"]
        if (code := self.signature()): parts.append(f'```python\n{code}\n```')
        first, *more = re.sub(r"(?<![\w`'])''(?![\w`'])", "`''`", self.docs or '').split('\n\n')     # Pandoc would make one quotation mark of an empty string
        if getattr(self.sym, '__doc__', None) and self.docs: parts.append('*'+first.strip()+'*'+''.join('\n\n'+o for o in more))
        return '---\n\n'+'\n\n'.join(parts)

get_config().d['renderer'] = 'sere_nb._site.Signature'     # only where pages are made: in JupyterLab `show_doc` stays nbdev's


# ---- a page ----

def source_address(name, names, cfg):
    "Where the code of a name stands that a page shows, or None; `names`: {name: module}"
    module = names.get(name, names.get(name.partition('.')[0]))
    line = lines(module).get(name) if module else None
    return line and f'{cfg.git_url}/blob/{cfg.branch}/sere_nb/{module.replace(".", "/")}.py#L{line}'

def definition(text, name, address, sections):
    "What is shown of a name: the link to its source within its own section; a heading of the second level where no section has begun"
    if not sections: text = re.sub(r'^##(#+ )', r'#\1', text, count=1, flags=re.M)
    if not address: return text
    link = f'[source]({address}){{.source-link aria-label="source of {name}"}}'
    return re.sub(r'^#+ .*$', lambda m: f'{m[0]}\n\n{link}', text, count=1, flags=re.M)

def assigned(o):
    "Names that a statement binds, a function's and a class's too"
    if isinstance(o, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)): return [o.name]
    to = o.targets if isinstance(o, ast.Assign) else [o.target] if isinstance(o, ast.AnnAssign) else []
    return [n.id for t in to for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]

def folded(source):
    "Exported code of which a page shows nothing (steps and classes whose names begin with `_`, constants), to be opened; '' where there is nothing to read"
    shown = definitions(source)
    if any(not n.startswith('_') for n in shown): return ''
    try: tree = ast.parse(source)
    except SyntaxError: return ''
    names = dict.fromkeys(shown or [n for o in tree.body for n in assigned(o) if n not in ('_all_', '__all__')])
    if not names: return ''
    said = ', '.join(f'`{n}`' for n in list(names)[:4])+(' …' if len(names)>4 else '')
    return f'#| code-fold: true\n#| code-summary: "Code: {said}"\n{source}'

def without_hidden(cells):
    """Cells as a reader sees them; in place of nbdev's `rm_export` and `hide_` (`skip_procs` in settings.ini), which drop all that is exported.
    A method of a class whose name begins with `_` is hidden in its notebook, or nbdev would give it a heading; its code is shown as that of its class is."""
    for c in cells:
        does = c.get('directives_') or {}
        if not {'export', 'exporti', 'hide', 'default_exp'} & set(does): yield c
        elif c.cell_type=='code' and {'export', 'exporti'} & set(does) and ('hide' not in does or '.' in ''.join(definitions(c.source))) and (source := folded(c.source)):
            c.source,c.outputs = source,[]
            yield c

class Pages(Processor):
    "Links, source links, folded steps and the line below the title"
    def begin(self):
        self.nb.cells = list(without_hidden(self.nb.cells))
        cfg = get_config()
        nbs = Path(cfg.nbs_path)
        self.here = here = Path(self.nb.path_).resolve().relative_to(nbs.resolve())
        names,sections = {**{k: v[1] for k, v in shown(nbs).items()}, **own(nbs, here)},False
        for c in self.nb.cells:
            if c.cell_type == 'markdown':
                c.source = linked(c.source, here, nbs)
                sections |= bool(re.search(r'^## ', c.source, re.M))
            doc = re.search(r'^show_doc\(([\w.]+)\)', c.source, re.M) if c.cell_type == 'code' else None
            for o in c.get('outputs', ()):
                if html := o.get('data', {}).get('text/html'): o.data['text/html'] = breakable(''.join(html))
                if 'text/markdown' not in o.get('data', {}): continue
                text = linked(''.join(o.data['text/markdown']), here, nbs)
                if doc: text = definition(text, doc[1], source_address(doc[1], names, cfg), sections)
                o.data['text/markdown'] = text
        if here.as_posix()=='index.ipynb' and os.environ.get('SERE_DOCS_EXTRAS')!='0': extras(cfg.config_path/'_proc')
        from execnb.nbio import mk_cell
        self.nb.cells.insert(1, mk_cell(notebook_links(here, cfg), 'markdown'))


# ---- what no notebook makes ----

_course_head = """<style>
.highlight pre { white-space: pre-wrap; overflow-wrap: anywhere; }
.jp-InputPrompt { opacity: 1 !important; color: #595959 !important; }
.highlight .c1 { color: #2f6666; } .highlight .mi, .highlight .mf { color: #007000; } .highlight .o, .highlight .ow { color: #8a1bd6; }
.course-nav { margin: 0 1rem 0 clamp(.5rem, 6vw, 5rem); font: 1rem system-ui, sans-serif; }
.course-nav a { color: #0b6b57; text-decoration: underline; }
</style>
<nav class="course-nav">%s</nav>
"""

def with_way_back(html, *links):
    "A page of the course, with a line that leads back to the site, and code that wraps"
    line = ' · '.join(f'<a href="{to}">{said}</a>' for said, to in (('← Teach a workshop', '../about/workshop.html'), *links))
    return re.sub(r'<body[^>]*>', lambda m: m[0]+'\n'+_course_head % line, html, count=1)

def workshop(to):
    "The course to look at before anything is installed: learners' notebooks, slides, the teacher's guide"
    import nbformat
    from nbconvert import HTMLExporter
    from sere_nb.cli import course, course_notebook, slides
    to.mkdir(parents=True, exist_ok=True)
    def page(nb, title): return HTMLExporter().from_notebook_node(nb, resources=dict(metadata=dict(name=title)))[0]
    for source in sorted(course().glob('*.ipynb')):
        nb, name = course_notebook(source), source.stem
        nbformat.write(nb, to/source.name)
        html = with_way_back(page(nb, name), ('slides', f'{name}.slides.html'), ('download the notebook', source.name))
        (to/f'{name}.html').write_text(html, encoding='utf-8')
        (to/f'{name}.slides.html').write_text(slides(source), encoding='utf-8')
    guide = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell((course()/'teacher.md').read_text(encoding='utf-8'))])
    (to/'teacher.html').write_text(with_way_back(page(guide, "Teacher's guide")), encoding='utf-8')

def extras(to):
    "Put the course and the page of `sere demo` beside the pages, where Quarto takes them along as they are (`resources` in _quarto.yml)"
    if not to.is_dir(): return
    workshop(to/'workshop')
    from sere_nb.cli import main
    with tempfile.TemporaryDirectory() as d, contextlib.redirect_stdout(io.StringIO()):
        if main(['demo', '--out', d, '-q']): warnings.warn('sere demo fails, so the site has no explorer')
        else: shutil.copy2(Path(d)/'report.html', to/'explorer.html')
