"What check_pages looks for, each kind on a page that has it; and what sere_nb/_site.py makes of words, signatures, notebooks"
import json, sys
from pathlib import Path

import pytest

root = Path(__file__).parent.parent
sys.path[:0] = [str(root/'.ci'), str(root/'tests')]
import check_pages
from sere_nb import _site as pages


def page(top, name, *cells, head='title: A page'):
    "A processed notebook; a cell is Markdown, or (code, {mime: output})"
    path = top/name
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [dict(cell_type='raw', source=f'---\n{head}\n---\n')]
    for c in cells: made.append(dict(cell_type='markdown', source=c) if isinstance(c, str) else dict(cell_type='code', source=c[0], outputs=[dict(output_type='display_data', data=c[1])]))
    path.write_text(json.dumps(dict(cells=made)))


def said(top, check, *args): return [what for _, what in check(check_pages.pages(top), *args)]


FIGURE = '<div id="figure-{a}"></div><script>Plotly.newPlot("figure-{a}", []).then(() => {{ Plotly.addFrames(\'{b}\', []) }}); "method":"animate"</script>'
MD = 'text/markdown'


@pytest.mark.parametrize('link,problem', [
    ('[a](two.ipynb)', 'no such page'), ('[a](02_two.ipynb#nowhere)', 'nothing there'), ('[a](02_two.ipynb#a-heading)', None), ('[a](02_two.ipynb#name)', None), ('[a](#here)', None), ('[a](#there)', 'nothing there'),
    ('[a](https://sere-nb.github.io/sere_nb/two.html)', None), ('[a](https://sere-nb.github.io/sere_nb/02_two.html)', 'no such page'), ('![b](no.png)', 'no such page'), ('[![b](no.png)](02_two.ipynb)', 'no such page'),
    ('<a href="no.html">a</a>', 'no such page'), ('`[a](no.ipynb)`', None), ('```\n[a](no.ipynb)\n```', None), ('[a](https://example.org/x)', None), ('[a](sub/01_three.ipynb)', None), ('[d](notebooks/no.ipynb)', 'no such page')])
def test_dead_links(tmp_path, link, problem):
    page(tmp_path, '01_one.ipynb', '## Here', link)
    page(tmp_path, '02_two.ipynb', '## A `heading`!', ('show_doc(name)', {MD: '---\n\n### name\n\n*text*'}), head='output-file: two.html')
    page(tmp_path, 'sub/01_three.ipynb', 'x')
    found = said(tmp_path, check_pages.dead_links, tmp_path, {'01_one.ipynb'})
    assert [problem in o for o in found] == [True] if problem else not found


@pytest.mark.parametrize('text,wrong', [('[`corpus`](a.html#corpus)', True), ('[`embed()`](a.html#embed)', False), ('[`SERE`](a.html#sere)', False), ('[`fit`](06.ipynb#predict)', False), ('`corpus`', False)])
def test_wrong_words(tmp_path, text, wrong):
    page(tmp_path, 'a.ipynb', text)
    assert bool(said(tmp_path, check_pages.wrong_words)) == wrong


def test_raw_markdown_and_empty_docs(tmp_path):
    page(tmp_path, 'a.ipynb', ('show_doc(f)', {MD: '```python\ndef f(x # a [`SERE`](y)\n)\n```\n\n*Call self as a function.*'}))
    assert said(tmp_path, check_pages.raw_markdown) and said(tmp_path, check_pages.empty_docs)
    page(tmp_path, 'a.ipynb', ('show_doc(f)', {MD: '```python\ndef f(x # a `SERE`\n)\n```\n\n*A [`SERE`](y)*'}))
    assert not said(tmp_path, check_pages.raw_markdown) and not said(tmp_path, check_pages.empty_docs)
    page(tmp_path, 'a.ipynb', ('show_doc(_Answers.do_GET)', {MD: '---\n\n### _Answers.do_GET\n\n```python\ndef _Answers.do_GET():\n```'}))
    assert 'hide its cell' in said(tmp_path, check_pages.empty_docs)[0]


@pytest.mark.parametrize('a,b,wrong', [(1, 'figure', True), (1, 'figure-1', False), (2, 'figure-1', True)])
def test_frames_and_figure_agree(tmp_path, a, b, wrong):
    page(tmp_path, 'a.ipynb', ('draw()', {'text/html': FIGURE.format(a=a, b=b)}))
    assert bool(said(tmp_path, check_pages.figures)) == wrong


def test_figures_that_are_stored_can_be_played():
    "Also in the course, which is not on the site, and in what stored_outputs makes"
    stored_outputs = (root/'.ci'/'stored_outputs.py').read_text()
    assert 'div_id=name' in stored_outputs
    seen = 0
    for path in (root/'nbs').rglob('*.ipynb'):
        if '.ipynb_checkpoints' in path.parts: continue
        html = '\n'.join(''.join(o.get('data', {}).get('text/html', '')) for c in json.loads(path.read_text())['cells'] for o in c.get('outputs', ()))
        seen += html.count('Plotly.addFrames')
        assert not list(check_pages.dead_buttons(html)), path.name
    assert seen


PNG = {'image/png': 'x'}
@pytest.mark.parametrize('cell,wrong', [(('plot()', PNG), True), (('#| fig-alt: A curve that falls\nplot()', PNG), False), (('#| fig-alt:\nplot()', PNG), True), ('![](a.png)', True), ('![a map](a.png)', False),
                                        ('<img src="a">', True), ('<img src="a" alt="a map">', False), (('x', {'text/html': '<img src="a">'}), True), ('`<img src="a">`', False), ('```\n<img src="a">\n```', False)])
def test_pictures_have_words(tmp_path, cell, wrong):
    page(tmp_path, 'a.ipynb', cell)
    assert bool(said(tmp_path, check_pages.no_alt)) == wrong


def test_tables_without_holes(tmp_path):
    table = lambda *cells, head='method': (f'x{cells}', {'text/html': f'<table><tr><th>{head}</th></tr><tr>'+''.join(f'<td>{c}</td>' for c in cells)+'</tr></table>'})
    page(tmp_path, 'a.ipynb', table(1, 'NaN', 'NaN'))
    page(tmp_path, 'b.ipynb', table(1, 2, head='it'))
    page(tmp_path, 'c.ipynb', table(*range(30), 'NaN'))
    assert [p for p, _ in check_pages.holes(check_pages.pages(tmp_path))] == ['a.ipynb', 'b.ipynb']


def test_directives_above_the_code(tmp_path):
    page(tmp_path, 'a.ipynb', ('x = 1\n#| fig-alt: a map\nplot()', PNG))
    page(tmp_path, 'b.ipynb', ('#| echo: false\n\n#| fig-alt: a map\nplot()  #| no', PNG))
    pages_ = check_pages.pages(tmp_path)
    assert [p for p, _ in check_pages.late_directives(pages_)] == [p for p, _ in check_pages.no_alt(pages_)] == ['a.ipynb']


@pytest.mark.parametrize('text,wrong', [(r'$$a,\qquad b$$', True), (r'$$\begin{gathered}a,\\ b\end{gathered}$$', False), ('$$a$$', False), (r'$$\begin{aligned}a && \textit{circumstances: what voices and words cost}\end{aligned}$$', True), (r'$$\begin{aligned}a && \textit{unlabelled – prototype}\end{aligned}$$', False), (r'`$$a,\qquad b$$`', True), ('```\n$$a,\\qquad b$$\n```', False)])
def test_equations_one_below_the_other(tmp_path, text, wrong):
    page(tmp_path, 'a.ipynb', text)
    assert bool(said(tmp_path, check_pages.side_by_side)) == wrong


def test_addresses_in_tables(tmp_path):
    long = 'https://example.org/'+'x'*30
    for name, cell in dict(a=long, b=f'<a href="{long}">{long}</a>', c=f'<a href="{long}">example.org</a>').items(): page(tmp_path, f'{name}.ipynb', (name, {'text/html': f'<td>{cell}</td>'}))
    assert [p for p, _ in check_pages.long_addresses(check_pages.pages(tmp_path))] == ['a.ipynb', 'b.ipynb']


def test_long_pages_have_headings(tmp_path):
    page(tmp_path, 'a.ipynb', 'word '*700)
    page(tmp_path, 'b.ipynb', '## Here\n\n'+'word '*700)
    assert [p for p, _ in check_pages.no_sections(check_pages.pages(tmp_path))] == ['a.ipynb']


@pytest.mark.parametrize('text,wrong', [('five shots an emotion', True), ('a row a clip', True), ('a square a method', True), ('a row each 10 ms', True), ('one row every 10 ms', False), ('an eaf a recording', True), ('clips a cluster', True), ('five shots per emotion', False), ('which clips a view covers', False), ('it says which clips a view has', False), ('100 times a second', False), ('`shots an emotion`', False), ('How far is far?', True)])
def test_english(tmp_path, text, wrong):
    page(tmp_path, 'a.ipynb', text)
    assert bool(said(tmp_path, check_pages.odd_english)) == wrong


@pytest.mark.parametrize('code,wrong', [("ax.set(ylabel='TRIC a clip')", True), ("plot(x, label='closed form, a round a dot')", True), ("ax.set_xlabel(f'UAR an emotion, {o} %')", True), ("ax.set(ylabel='TRIC per clip')", False), ("print('TRIC a clip')", False)])
def test_english_of_figures(tmp_path, code, wrong):
    page(tmp_path, 'a.ipynb', (code, {}))
    assert bool(said(tmp_path, check_pages.odd_english)) == wrong


@pytest.mark.parametrize('module', sorted(o.stem for o in (root/'sere_nb').glob('*.py') if o.stem not in ('rivals', 'bench', 'hidden')))
def test_english_of_what_is_said_of_parameters(module):
    "Docstrings, comments and messages are read on the pages too"
    code = (root/'sere_nb'/f'{module}.py').read_text()
    assert not [m[0] for m in check_pages._each.finditer(code) if not code[:m.start()].endswith(('which ', 'how many '))]


@pytest.mark.parametrize('module,name', [('designs', 'numbered'), ('designs', 'grounds'), ('designs', 'find_circumstances'), ('answers', 'offset_of'), ('answers', 'fresh_voices')])
def test_each_parameter_is_told(module, name):
    from fastcore.docments import docments
    told = docments(getattr(__import__(f'sere_nb.{module}', fromlist=[name]), name), full=True, returns=True)
    assert all(o['docment'] or (k == 'return' and o['anno'] is None) for k, o in told.items()), told


def test_forces_that_a_page_tells_are_those_in_force():
    from sere_nb.rounds import SETTINGS
    whole, *parts = SETTINGS['planned']
    text = (root/'nbs'/'04_irf.ipynb').read_text()
    assert f'(a force of {SETTINGS["balance"]:g})' in text and f'({whole:g} for the corpus, {parts[0]:g} for each voice' in text


@pytest.mark.parametrize('name', ['02_acoustic', '06_rounds'])
def test_a_page_says_first_what_it_is_about(name):
    text = [''.join(c['source']) for c in json.loads((root/'nbs'/f'{name}.ipynb').read_text())['cells'] if c['cell_type'] == 'markdown']
    assert not text[1].startswith('#')


def test_what_stands_below_a_name():
    "Its source within its own section; a heading of the second level before the first section"
    doc = '---\n\n### embed\n\n```python\ndef embed(x):\n```'
    assert pages.definition(doc, 'embed', None, True) == doc
    assert '\n\n## embed\n\n[source](a.py#L3){.source-link aria-label="source of embed"}\n\n```' in pages.definition(doc, 'embed', 'a.py#L3', False)


def test_nothing_is_announced_that_does_not_come(tmp_path):
    page(tmp_path, 'a.ipynb', 'With three:', ('f(3)', {}), 'As a table:', '| a |', 'By this command:\n```\nsere\n```', 'Each has its own:', '## The next', 'And last:')
    assert [o.partition('…')[2] for o in said(tmp_path, check_pages.colons)] == ['Each has its own:', 'And last:']


def test_pages_of_the_course_lead_back():
    html = pages.with_way_back('<html><body class="jp-Notebook" data-x="1"><main>x</main></body></html>', ('slides', 'a.slides.html'))
    assert html.index('../about/workshop.html') < html.index('a.slides.html') < html.index('<main>') and 'pre-wrap' in html and '.jp-InputPrompt { opacity: 1 !important;' in html


def test_style_of_the_pages():
    "What was seen wrong in a browser and cannot be seen without one"
    css = (root/'nbs'/'styles.css').read_text()
    assert all(f'--{name}: #' in css.split(f'body.quarto-{ground} {{')[1].split('}')[0] for ground in ('light', 'dark') for name in ('link', 'code'))
    for rule in (':not(pre) > code:not(.sourceCode) { color: var(--code);', 'mjx-container > mjx-assistive-mml { width: 1px', 'main pre { font-size', 'main table col { width: auto', 'details > summary, .nav-footer a', '.dataframe:has(thead th:nth-child(11))', '  main td code { overflow-wrap: break-word; }'): assert rule in css, rule


def test_figures_are_no_wider_than_the_page():
    for path in (root/'nbs').rglob('*.ipynb'):
        if '.ipynb_checkpoints' in path.parts: continue
        for c in json.loads(path.read_text())['cells']:
            for html in (''.join(o.get('data', {}).get('text/html', '')) for o in c.get('outputs', ())):
                if 'Plotly.newPlot' in html: assert 'role="figure"' in html and 'max-width:' in html and '"displayModeBar": false' in html, f'{path.name}: run make clean-nbs'


def test_sections_of_the_sidebar():
    "No more pages in one than can be looked over, and only one open"
    import yaml
    parts = [o for o in yaml.safe_load((root/'nbs'/'sidebar.yml').read_text())['website']['sidebar']['contents'] if isinstance(o, dict)]
    assert len(parts) <= 12 and all(len(o['contents']) <= 12 for o in parts)
    assert yaml.safe_load((root/'nbs'/'_quarto.yml').read_text())['website']['sidebar']['collapse-level'] == 1


def test_the_way_of_a_newcomer():
    "From the first table of the index, one click each: the formula of the field, the code of one round, recordings of one's own, limits"
    cells = [''.join(c['source']) for c in json.loads((root/'nbs'/'index.ipynb').read_text())['cells']]
    table = next(c for c in cells if '| I want to | go to |' in c)
    for to in ('04_irf.ipynb#the-field', 'tutorials/one_round.ipynb', 'tutorials/02_your_language.ipynb', 'about/model_card.md'): assert to in table
    assert cells.index(table) <= 3
    own = [''.join(c['source']) for c in json.loads((root/'nbs'/'tutorials'/'02_your_language.ipynb').read_text())['cells']]
    assert all(f'sere {o} ' in own[2] for o in ('manifest', 'check', 'corpus', 'run'))


def test_addresses():
    urls = {'tutorials/quickstart.html', 'index.html'}
    text = 'see https://sere-nb.github.io/sere_nb/tutorials/01_quickstart.html), https://sere-nb.github.io/sere_nb/tutorials/quickstart.html, https://sere-nb.github.io/sere_nb and https://sere-nb.github.io/sere_nb/explorer.html.'
    assert list(check_pages.addresses(text, urls)) == ['sere-nb.github.io/sere_nb/tutorials/01_quickstart.html: the site has no such page']


def test_a_built_site(tmp_path):
    (tmp_path/'a.html').write_text('<h1>a</h1><a href="b.html#x">a</a><a href="c.html">b</a><img src="a.html"><h2 id="y">y</h2><a href="#y">z</a>')
    (tmp_path/'b.html').write_text('<h1>b</h1><h3 id="z">z</h3>')
    found = [what for _, what in check_pages.built_problems(tmp_path)]
    for what in ('alt text', 'has this name', 'no such file', 'level 3 below one of level 1'): assert sum(what in o for o in found) == 1
    assert len(found) == 4


# ---- sere_nb/_site.py ----

@pytest.fixture
def nbs(tmp_path):
    def write(name, *cells):
        path = tmp_path/name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dict(cells=[dict(cell_type='code', source=c) for c in cells])))
    write('01_a.ipynb', '#| default_exp a', '#| export\ndef embed(x): pass\ndef _share(): pass\nclass Space: pass', '#| hide\ndef hidden_one(): pass', '#| export\ndef two_places(): pass')
    write('02_b.ipynb', '#| default_exp b', '#| exports\n\n@patch\ndef fit(self:Space): pass', '#| export\ndef two_places(): pass')
    write('tutorials/01_t.ipynb', 'x = 1')
    return tmp_path


def test_what_is_shown(nbs):
    assert {k: (v[0].as_posix(), v[1]) for k, v in pages.shown(nbs).items()} == {'embed': ('01_a.ipynb', 'a'), 'Space': ('01_a.ipynb', 'a'), 'Space.fit': ('02_b.ipynb', 'b')}


def test_each_name_that_a_page_shows_has_its_source():
    "Also a name that another page has too, and a method that stands within its class"
    from types import SimpleNamespace
    top, cfg = root/'nbs', SimpleNamespace(git_url='u', branch='main')
    for page, name in (('06b_train', 'settled'), ('06_fits', 'settled'), ('06_learner', 'teach'), ('05_tric', 'forward'), ('03_normalise', 'Standardiser.__call__')):
        address = pages.source_address(name, pages.own(top, Path(f'{page}.ipynb')), cfg)
        file, line = address.removeprefix('u/blob/main/').split('#L')
        assert (root/file).read_text().splitlines()[int(line)-1].split('(')[0].split(':')[0].strip().endswith(name.split('.')[-1]), address


@pytest.mark.parametrize('source,said', [
    ('def _near(x): pass', '`_near`'), ('_MOST,_LEAST = 5,2\ndef _a(): pass', '`_MOST`, `_LEAST`, `_a`'), ('SETTINGS:dict = {}', '`SETTINGS`'), ('a = b = c = d = e = 1', '`a`, `b`, `c`, `d` …'),
    ('@patch\ndef use(self:_Worker): pass', '`_Worker.use`'), ('class _Worker: pass', '`_Worker`'), ('import math', None), ('_all_ = ["x"]', None), ("__all__ = ['x']", None), ('def near(x): pass', None), ('@patch\ndef fit(self:SERE): pass', None), ('def broken(', None)])
def test_steps_are_folded(source, said):
    "Exported code that a page shows nothing of can be opened; what has its own heading is not shown twice"
    assert pages.folded(source) == (f'#| code-fold: true\n#| code-summary: "Code: {said}"\n{source}' if said else '')


def test_what_a_reader_does_not_see():
    from types import SimpleNamespace
    from nbdev.config import get_config
    assert {'rm_export', 'hide_'} <= set(get_config().skip_procs.split(','))      # else nbdev drops these cells first
    class Cell(SimpleNamespace):
        def get(self, k): return getattr(self, k, None)
    cells = [Cell(cell_type='code', source=s, directives_=dict.fromkeys(d.split()), outputs=[1]) for s, d in (('_a = 1', 'export'), ('_b = 1', 'hide export'), ('_c = 1', 'hide'), ('', 'default_exp'), ('_d = 1', ''), ('def f(): pass', 'export'), ('def g(): pass', 'exports'),
        ('@patch\ndef use(self:_Worker): pass', 'hide export'), ('@patch\ndef use(self:Worker): pass', 'hide export'))]
    seen = list(pages.without_hidden(cells))
    assert [c.source.splitlines()[-1] for c in seen] == ['_a = 1', '_d = 1', 'def g(): pass', 'def use(self:_Worker): pass'] and [c.outputs for c in seen] == [[], [1], [1], []]


@pytest.mark.parametrize('text,then', [
    ('`embed`', '`embed`'), ('`embed()`', '[`embed()`](../01_a.ipynb#embed)'), ('`Space`', '[`Space`](../01_a.ipynb#space)'), ('`Space.fit`', '[`Space.fit`](../02_b.ipynb#space.fit)'), ('`Space.concat`', '[`Space.concat`](../01_a.ipynb#space)'),
    ('`two_places`', '`two_places`'), ('`hidden_one`', '`hidden_one`'), ('`_share`', '`_share`'), ('[`Space`](x)', '[`Space`](x)'), ('## `Space`', '## `Space`'), ('```\n`Space`\n```', '```\n`Space`\n```'), ('``x `Space` ``', '``x `Space` ``')])
def test_links_at_names(nbs, text, then):
    assert pages.linked(text, Path('tutorials/01_t.ipynb'), nbs) == then


@pytest.mark.parametrize('cell,then', [('p_happiness', 'p_&#8203;happiness'), ('hop_s', 'hop_s'), ('p_anger', 'p_&#8203;anger'), ('it/it_s1.ogg', 'it/&#8203;it_&#8203;s1.ogg'), ('hnr.voiced_mean', 'hnr.&#8203;voiced_&#8203;mean'), ('123456.789012', '123456.789012'), ('4.927251e-08', '4.927251e-08'), ('uar', 'uar'), ('two words, and a_long_name', 'two words, and a_&#8203;long_&#8203;name'), ('<a href="x_y_z_long">x_y_z_long</a>', '<a href="x_y_z_long">x_y_z_long</a>')])
def test_long_names_in_tables_break(cell, then):
    assert pages.breakable(f'<table><tr><td class="a_long_name">{cell}</td></tr></table>') == f'<table><tr><td class="a_long_name">{then}</td></tr></table>'
    assert pages.breakable(f'<td>{cell}</td>') == f'<td>{cell}</td>'      # no table


def test_signatures():
    def short(a:int=1, # how many
              b=None, # `one` or the other, which takes some words to say and runs out of any column that holds it
    )->list: # of both
        "What it does"
    def silent(a): return a
    def calls(a=print, b=silent): "'' if it's nothing's, or `''`\n\nOr ''."
    class Wrong(ValueError): "Something is wrong"
    class Space:
        "A space"
        def __init__(self, dims:int=2): pass
    one = pages.Signature(short, name='short')._repr_markdown_()
    assert 'def short(' in one and 'NoneType' not in one and max(map(len, one.splitlines())) <= pages.WIDTH and '*What it does*' in one and ')->list:  # of both' in one
    two = pages.Signature(calls, name='calls')._repr_markdown_()
    assert "*`''` if it's nothing's, or `''`*\n\nOr `''`." in two and 'function' not in two.partition('*')[0].replace('<function', '')
    assert 'Call self' not in pages.Signature(silent)._repr_markdown_()
    assert '```' not in pages.Signature(Wrong, name='Wrong')._repr_markdown_() and 'class Space(' in pages.Signature(Space, name='Space')._repr_markdown_()
