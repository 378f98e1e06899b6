// What a page knows of clips and rounds. No document is needed here.

export const pct = p => (100 * p).toFixed(0) + ' %';
export const fixed = (x, digits = 2) => (x == null ? '' : x.toFixed(digits));
export const clamp = (x, low, high) => Math.max(low, Math.min(high, x));

// Bytes come as base64 (a page) or as a view of a message (a kernel).
export function bytes(b) {
  if (typeof b == 'string') return Uint8Array.from(atob(b), c => c.charCodeAt(0));
  return new Uint8Array(b.buffer ?? b, b.byteOffset ?? 0, b.byteLength);
}

export function words(b) {
  const o = bytes(b);
  return new Uint16Array(o.buffer.slice(o.byteOffset, o.byteOffset + o.byteLength));
}

const FIELD = ['first_s', 'last_s', 'r', 'weight', 'from_s', 'to_s'];
const PARTS = [...FIELD, 'near', 'far', 'heard', 'sounds'];

// The field of one clip from the columns of all.
export function row(fields, j) {
  const own = PARTS.map(k => [k, fields[k][j]]);
  return {low: fields.low, high: fields.high, ...Object.fromEntries(own)};
}

export const NONE = 65535; // the number of no emotion

export class Story {
  constructor(D) {
    this.D = D;
    this.K = D.classes.length;
    this.N = D.path.length;
    this.rounds = [];
    this.at = 0; // the round on show
    this.shot = words(D.shot);
    this.target = bytes(D.target);
    this.label = D.label ?? null;
    this.revealed = !!D.revealed;
    this.number = new Map(D.classes.map((c, k) => [c.name, k]));
  }

  get end() {
    return Math.max(0, this.rounds.length - 1);
  }

  get now() {
    return this.rounds[clamp(this.at, 0, this.end)];
  }

  // A round as it arrives, put in place of `r` and all that came after it.
  add(r, o) {
    this.rounds.length = Math.min(this.rounds.length, r);
    const xy = Object.fromEntries(Object.entries(o.xy).map(([k, v]) => [k, words(v)]));
    const [p, named] = [words(o.p), words(o.named)];
    this.rounds[r] = {...o, p, named, r: bytes(o.r), xy};
    this.tally(r);
  }

  // A shot is what its label says; any other clip is what the learner calls it.
  // `sure`: 0 where all shares are even, 255 at certainty; `since`: the first round
  // from which on a clip is called so.
  tally(r) {
    const {N, K, shot} = this;
    const o = this.rounds[r];
    const before = this.rounds[r - 1];
    o.e = o.named.map((k, i) => (shot[i] < NONE ? shot[i] : k));
    o.sure = new Uint8Array(N).fill(255);
    o.since = new Uint16Array(N);
    let moved = 0;
    let free = 0;
    for (let i = 0; i < N; i++) {
      const same = !before || before.e[i] == o.e[i];
      o.since[i] = same ? (before?.since[i] ?? 0) : r;
      if (shot[i] < NONE) continue;
      const p = o.p[i * K + o.e[i]] / 65535;
      o.sure[i] = 255 * clamp((p * K - 1) / Math.max(1, K - 1), 0, 1);
      free++;
      moved += !same;
    }
    o.moved = before ? moved / Math.max(1, free) : null;
    o.uar = undefined;
  }

  // Mean recall over the emotions of the target's labels, once they are revealed.
  uar(r) {
    const {N, K, label} = this;
    if (!label || !this.revealed) return null;
    const o = this.rounds[r];
    if (o.uar !== undefined) return o.uar;
    const n = new Float64Array(K);
    const hit = new Float64Array(K);
    for (let i = 0; i < N; i++) {
      const k = this.number.get(label[i]);
      if (!this.target[i] || this.isShot(i) || k == null) continue;
      n[k]++;
      hit[k] += o.e[i] == k;
    }
    const got = [...n.keys()].filter(k => n[k]);
    const sum = got.reduce((a, k) => a + hit[k] / n[k], 0);
    return (o.uar = got.length ? sum / got.length : null);
  }

  setShots(b) {
    this.shot = words(b);
    this.rounds.forEach((_, r) => this.tally(r));
  }

  reveal(label) {
    this.label = label;
    this.revealed = true;
    this.rounds.forEach(o => (o.uar = undefined));
  }

  isShot(i) {
    return this.shot[i] != NONE;
  }

  prob(i, k) {
    return this.now.p[i * this.K + k] / 65535;
  }

  resonance(i, k) {
    return this.now.r[i * this.K + k] / 127.5 - 1;
  }

  emotion(i) {
    return this.now?.e[i] ?? 0;
  }

  name(i) {
    return this.D.classes[this.emotion(i)].name;
  }

  best(i) {
    return this.isShot(i) ? 1 : this.prob(i, this.emotion(i));
  }

  // null: there is no label, or one that could not have been given
  right(i) {
    const {label} = this;
    if (!label || !this.revealed || this.isShot(i)) return null;
    return this.number.has(label[i]) ? label[i] == this.name(i) : null;
  }

  about(i) {
    const how = this.isShot(i) ? ', a shot' : `, ${pct(this.best(i))}`;
    return `${this.D.path[i]}, ${this.name(i)}${how}`;
  }
}
