"""Are the website's pages fit to be read? Looks at what nbdev makes of the notebooks (`_proc`), which the site is built from, or with --built at the built site.

    .venv/bin/python tests/check_pages.py _proc
    .venv/bin/python tests/check_pages.py --built _docs
"""
import argparse, itertools, json, os, re, sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

SITE = 'https://sere-nb.github.io/sere_nb'
COURSE = [p.stem for p in sorted((Path(__file__).resolve().parent.parent/'nbs'/'_workshop').glob('*.ipynb'))]
MADE = {'explorer.html', 'workshop/teacher.html', *(f'workshop/{o}.{kind}' for o in COURSE for kind in ('html', 'slides.html', 'ipynb'))}      # what no notebook of the site makes (sere_nb/_site.py)

# ---- reading a page ----

def own_name(path):
    "The page that a notebook or Markdown file becomes: the site drops numbers in front"
    return path.with_name(re.sub(r'^\d+[a-z]?_', '', path.name)).with_suffix('.html')

_fence = re.compile(r'^( *)(```+|~~~+).*?^\1\2[ \t]*$', re.M | re.S)
_inline = re.compile(r'``.*?``|`[^`\n]*`', re.S)
_comment = re.compile(r'<!--.*?-->', re.S)

def plain(text):
    "Markdown without code blocks and comments"
    return _comment.sub('', _fence.sub('', text))

def heading_id(text):
    "As Pandoc names a heading, and nbdev a definition"
    if own := re.search(r'\{[^}]*#([\w.-]+)', text): return own[1]
    text = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', re.sub(r'\s*\{[^}]*\}\s*$', '', text)).lower()
    text = re.sub(r'[^\w\-. ]', '', text).strip().replace(' ', '-')
    return re.sub(r'^[^a-zA-Z]+', '', text) or 'section'

class Page:
    "A processed notebook or a Markdown file: its Markdown, code, outputs"
    def __init__(self, path, top):
        self.path, self.name = path, path.relative_to(top).as_posix()
        if path.suffix == '.ipynb':
            self.cells = json.loads(path.read_text(encoding='utf-8'))['cells']
            head = next((''.join(c['source']) for c in self.cells if c['cell_type'] == 'raw'), '')
        else:
            text = path.read_text(encoding='utf-8')
            head = m[0] if (m := re.match(r'---\n.*?\n---\n', text, re.S)) else ''
            self.cells = [dict(cell_type='markdown', source=text[len(head):])]
        out = re.search(r'^output-file:\s*(\S+)', head, re.M)
        rel = path.relative_to(top)
        self.url = (rel.with_name(out[1]) if out else own_name(rel) if path.suffix == '.ipynb' else rel.with_suffix('.html')).as_posix()
        self.head = head

    def markdown(self):
        "Each piece of Markdown that a reader sees, outputs of show_doc among them"
        yield self.head
        for c in self.cells:
            if c['cell_type'] == 'markdown': yield ''.join(c['source'])
            for o in c.get('outputs', ()):
                if text := o.get('data', {}).get('text/markdown'): yield ''.join(text)

    def html(self):
        for c in self.cells:
            for o in c.get('outputs', ()):
                if text := o.get('data', {}).get('text/html'): yield ''.join(text)

    def anchors(self):
        found = set()
        for text in self.markdown():
            found |= {heading_id(h) for h in re.findall(r'^#+[ \t]+(.*?)[ \t]*$', plain(text), re.M)} | set(re.findall(r'\{#([\w.-]+)', text)) | set(re.findall(r'\bid="([^"]+)"', text))
        return found

def pages(top):
    files = [p for p in sorted([*top.rglob('*.ipynb'), *top.rglob('*.md')]) if not any(q[0] in '._' for q in p.relative_to(top).parts)]
    return [Page(p, top) for p in files]

# ---- what can be wrong with them; each yields (page, what) ----

_link = re.compile(r'(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)')

def links(text):
    "(is it a picture, its text, its target) of Markdown and HTML links"
    text = _inline.sub(lambda m: '' if '](' in m[0] else m[0], plain(text))
    for m in _link.finditer(text):
        yield bool(m[1]), m[2], m[3]
        for inner in _link.finditer(m[2]): yield bool(inner[1]), inner[2], inner[3]
    text = _inline.sub('', text)
    for m in re.finditer(r'<(\w+)[^>]*?\b(?:href|src|srcset)="([^"]+)"', text): yield m[1] in ('img', 'source'), '', m[2]

def dead_links(all_pages, top, notebooks):
    "Links and anchors that lead nowhere, on the site or by its address"
    by_name, by_url = {p.name: p for p in all_pages}, {p.url: p for p in all_pages}
    known = {}
    for p in all_pages:
        for text in p.markdown():
            for _, said, link in links(text):
                if link.startswith(SITE): at, link = '', link.removeprefix(SITE).lstrip('/') or 'index.html'
                elif re.match(r'[a-zA-Z][\w+.-]*:|//', link): continue
                else: at = os.path.dirname(p.name)
                to, _, anchor = unquote(link).partition('#')
                name = os.path.normpath(os.path.join(at, to)) if to else p.name
                goal = by_name.get(name) or by_url.get(name)
                if goal is None:
                    if name in MADE or (top/name).is_file(): continue
                    yield p.name, f'link {said!r} to {link}: there is no such page'
                elif anchor and anchor.lower() not in known.setdefault(goal.name, {a.lower() for a in goal.anchors()}): yield p.name, f'link {said!r} to {link}: nothing there has this name'

def wrong_words(all_pages):
    "Automatic links at words that are no names: a column `corpus`, a command `sere`, the `fit` of something else"
    for p in all_pages:
        for text in p.markdown():
            for _, word, to in links(text):
                if re.fullmatch(r'`[a-z]+`', word) and to.partition('#')[2] == word.strip('`'): yield p.name, f'{word} leads to {to}: a plain word may mean something else. Write {word[:-1]}()` where the function is meant'

def raw_markdown(all_pages):
    "Links inside code, which a reader sees as brackets"
    for p in all_pages:
        code = [m[0] for text in p.markdown() for m in _fence.finditer(text)]
        for m in (m for c in code for m in re.finditer(r'\[`[^`\n]+`\]\([^)\n]*\)', c)): yield p.name, f'raw Markdown in code: {m[0]}'

def empty_docs(all_pages):
    for p in all_pages:
        if any('Call self as a function' in text for text in p.markdown()): yield p.name, 'says "Call self as a function." where nothing is said'
        for text in p.markdown():
            for m in re.finditer(r'^#+ +(_[A-Za-z][\w.]*)$', text, re.M): yield p.name, f'{m[1]} is nobody\'s to call: hide its cell'

def no_notebook(all_pages, notebooks):
    "A page of a notebook links it: source, download, Colab"
    for p in all_pages:
        if p.path.suffix != '.ipynb': continue
        said = ' '.join(to for text in p.markdown() for _, _, to in links(text))
        for want in (f'/blob/main/nbs/{p.name}', f'/raw/main/nbs/{p.name}', f'colab.research.google.com/github/sere-nb/sere_nb/blob/main/nbs/{p.name}'):
            if want not in said or p.name not in notebooks: yield p.name, f'does not link its notebook: …{want}'

def dead_buttons(html):
    "Figures whose frames, buttons or place go by another name than the figure"
    drawn = re.findall(r'Plotly\.newPlot\(\s*["\']([^"\']+)', html)
    for name in drawn:
        if f'id="{name}"' not in html: yield f'figure {name} has no place'
        if drawn.count(name) > 1: yield f'two figures are called {name}'
    for name in re.findall(r'Plotly\.(?:addFrames|animate)\(\s*["\']([^"\']+)', html):
        if name not in drawn: yield f'frames are added to {name}, which is no figure: ▶ does nothing'
    if '"method":"animate"' in html.replace(' ', '') and 'Plotly.addFrames' not in html: yield 'a figure has a play button but no frames'

def figures(all_pages):
    for p in all_pages:
        for what in dict.fromkeys(dead_buttons('\n'.join(p.html()))): yield p.name, what

def shown_output(cell):
    return not re.search(r'^#\|\s*(?:output|include):\s*false', ''.join(cell['source']), re.M)

def head_of(source):
    "The lines of a code cell in which directives count: those above its code"
    return '\n'.join(itertools.takewhile(lambda o: o.startswith('#|') or not o.strip(), source.split('\n')))

def late_directives(all_pages):
    "Directives that stand among code, where they are shown and do nothing"
    for p in all_pages:
        for c in p.cells:
            source = ''.join(c['source'])
            if c['cell_type'] == 'code' and (late := re.search(r'^#\|.*$', source[len(head_of(source)):], re.M)): yield p.name, f'{late[0]!r} stands among code; put it above, or begin another cell'

def no_alt(all_pages):
    "Pictures without words for those who do not see them"
    for p in all_pages:
        for text in p.markdown():
            for picture, said, to in links(text):
                if picture and not said.strip() and re.search(r'!\[\s*\]\('+re.escape(to), text): yield p.name, f'picture {to} has no alt text'
        for html in (*p.markdown(), *p.html()):
            for img in re.findall(r'<img\b[^>]*>', _inline.sub('', plain(html))):
                if not re.search(r'\balt="[^"]+"', img): yield p.name, f'picture without alt text: {img[:60]}'
        for c in p.cells:
            if c['cell_type'] != 'code' or not shown_output(c): continue
            code = ''.join(c['source'])
            if any(k.startswith('image/') for o in c.get('outputs', ()) for k in o.get('data', {})) and not re.search(r'^#\|\s*fig-alt:[ \t]*\S', head_of(code), re.M):
                yield p.name, f'a figure has no alt text; put "#| fig-alt: what it shows" above {code.strip()[:50]!r}'

def holes(all_pages):
    "Tables that show NaN, or an index that is called as no one would call it"
    for p in all_pages:
        for html in p.html():
            for row in re.findall(r'<tr\b.*?</tr>', html, re.S):
                cells = re.findall(r'<td\b[^>]*>\s*(.*?)\s*</td>', row, re.S)
                if sum(c in ('NaN', 'nan', 'None', '<NA>', '&lt;NA&gt;') for c in cells) > len(cells)/2: yield p.name, f'a table has a row of NaN; say what it means, or leave it empty (.fillna): {" ".join(re.sub("<[^>]+>", " ", row).split())[:60]}'
            if re.search(r'<tr[^>]*>\s*<th>it</th>\s*(?:<th|</tr>)', html): yield p.name, 'a table calls a column "it"'

def side_by_side(all_pages):
    "Equations side by side, which run out of the column and out of a phone"
    for p in all_pages:
        for text in p.markdown():
            for maths in re.findall(r'\$\$(.+?)\$\$', plain(text), re.S):
                for said in re.findall(r'\\text(?:it)?\{([^}]{26,})\}', maths): yield p.name, f'a long label in an equation runs out of the column; say it below: {said}'
                if r'\qquad' in maths and r'\begin{' not in maths: yield p.name, rf'equations side by side; one below the other in \begin{{gathered}}: {" ".join(maths.split())[:50]}'

def long_addresses(all_pages, most=40):
    "Addresses in a table as they are, which squeeze its other columns or run out"
    for p in all_pages:
        for html in p.html():
            for said in re.findall(r'<td[^>]*>\s*(?:<a\b[^>]*>)?\s*(https?://[^<\s]+)', html):
                if len(said) > most: yield p.name, f'a table shows an address of {len(said)} characters; say whose it is and link that: {said[:50]}'

def no_sections(all_pages, most=600):
    "Long pages without headings, so without contents beside them"
    for p in all_pages:
        words = sum(len(plain(text).split()) for text in p.markdown())
        shown = any('#### ' in text or '### ' in text or '## ' in text for text in p.markdown())
        if words > most and not shown: yield p.name, f'{words} words without a heading: nobody finds anything'

def colons(all_pages):
    "Prose that announces what does not come, since its cell is not shown"
    for p in all_pages:
        for c, after in zip(p.cells, [*p.cells[1:], dict(cell_type='markdown', source='')]):
            if c['cell_type'] != 'markdown' or not (text := _comment.sub('', ''.join(c['source'])).rstrip()).endswith(':'): continue
            if after['cell_type'] == 'markdown' and not re.match(r'\s*(?:[|`$<>*~!-]|\d+\.|:::)', ''.join(after['source'])): yield p.name, f'ends with a colon, and nothing is shown: …{" ".join(text.split())[-60:]}'

_each = re.compile(r"\b(?:numbers?|shots?|clips?|rows?|columns?|vectors?|points?|lines?|encoders?|words?|values?|folders?|bits|lists?|dicts?|TextGrids?|eafs?|squares?|curves?|panels?) an? (?:emotion|method|variant|class|clip|language|corpus|moment|view|frame|sentence|speaker|task|voice|cluster|recording|column|round)\b(?! (?:has|covers|may|is|can|on|that|must))|\b(?:rows?|one|frames?) each \d+")
_label = re.compile(r"""label\w*(?:=|\()\s*f?(['"])(.*?)\1""")
_per = re.compile(r'\b(?:[A-Z]{2,}|rounds?|epochs?|gradient, an epoch) an? (?:clip|dot|step|round|emotion)\b')
_odd = re.compile(r'how far is far|what for what|out of reach of its guests', re.I)

def odd_english(all_pages):
    "'five shots an emotion' and what else a reader stumbles over"
    for p in all_pages:
        for c in p.cells:
            if c['cell_type'] == 'code':
                for m in _label.finditer(''.join(c['source'])):
                    if _per.search(m[2]): yield p.name, f'{m[2]!r} beside a figure: say "per" or "every"'
            if c['cell_type'] != 'markdown': continue
            text = _inline.sub('', plain(''.join(c['source'])))
            for m in _each.finditer(text):
                if not re.search(r'(which|how many) $', text[:m.start()]): yield p.name, f'{m[0]!r}: say "per" or "every"'
            for m in _odd.finditer(text): yield p.name, f'{m[0]!r} is no English'

_address = re.compile(re.escape(SITE.removeprefix('https://'))+r'(/[^\s)#"\'>`]*)?')

def addresses(text, urls):
    "Addresses of the site in any text that are no page of it, such as those with the number of a notebook"
    for m in _address.finditer(text):
        page = (m[1] or '/').strip('/').rstrip('.,;:\\') or 'index.html'
        if page not in urls and page not in MADE: yield f'{m[0]}: the site has no such page'

def problems(top, notebooks=None):
    "All that is wrong below `top`, as (page, what)"
    everything = pages(Path(top))
    notebooks = {p.name for p in everything if p.path.suffix == '.ipynb'} if notebooks is None else notebooks
    found = [*dead_links(everything, Path(top), notebooks), *wrong_words(everything), *raw_markdown(everything), *empty_docs(everything),
             *no_notebook(everything, notebooks), *figures(everything), *no_alt(everything), *holes(everything), *late_directives(everything),
             *side_by_side(everything), *long_addresses(everything), *no_sections(everything), *colons(everything), *odd_english(everything)]
    return list(dict.fromkeys(found)), {p.url for p in everything}

# ---- the built site ----

class Built(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.pictures, self.headings = set(), [], [], []
        self.feed(text)
    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if 'id' in a: self.ids.add(a['id'])
        if re.fullmatch('h[1-6]', tag): self.headings.append(int(tag[1]))
        if tag in ('a', 'img', 'source', 'iframe'): self.links += [a[k] for k in ('href', 'src', 'srcset') if a.get(k)]
        if tag == 'img' and not a.get('alt') and a.get('role') != 'presentation' and a.get('aria-hidden') != 'true': self.pictures.append(a.get('src', '')[:60])

def built_problems(top):
    top = Path(top)
    made = {p.relative_to(top).as_posix(): Built(p.read_text(encoding='utf-8')) for p in top.rglob('*.html') if 'site_libs' not in p.parts}
    for name, page in made.items():
        if name in MADE: continue
        for src in page.pictures: yield name, f'picture without alt text: {src}'
        for above, below in zip(page.headings, page.headings[1:]):
            if below > above+1: yield name, f'a heading of level {below} below one of level {above}'
        if page.headings.count(1) != 1: yield name, f'{page.headings.count(1)} titles'
        for link in dict.fromkeys(page.links):
            at = '' if link.startswith(SITE) else os.path.dirname(name)
            link = link.removeprefix(SITE).lstrip('/') if link.startswith(SITE) else link
            if re.match(r'[a-zA-Z][\w+.-]*:|//', link): continue
            to, _, anchor = unquote(link).partition('#')
            goal = os.path.normpath(os.path.join(at, to)) if to else name
            if goal == '.': goal = 'index.html'
            if goal not in made and not (top/goal).exists(): yield name, f'link to {link}: there is no such file'
            elif goal in made and goal not in MADE and anchor and anchor not in made[goal].ids: yield name, f'link to {link}: nothing there has this name'

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('folder')
    p.add_argument('--built', action='store_true', help='the folder is the built site')
    args = p.parse_args()
    found = list(built_problems(args.folder)) if args.built else problems(args.folder)[0]
    for page, what in found: print('✗', f'{page}: {what}', file=sys.stderr)
    if found: sys.exit(f'{len(found)} problems on the pages.')
    print('The pages are fit to be read.')

if __name__ == '__main__': main()
