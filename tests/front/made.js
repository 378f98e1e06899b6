// Four clips, the first a shot; two emotions; three rounds.
import {Story} from '../../sere_nb/front/data.js';

const share = list =>
  Uint16Array.from(
    list.flatMap(p => [p, 1 - p]),
    p => p * 65535,
  );
const SHARES = [
  [0.9, 0.6, 0.4, 0.2],
  [0.9, 0.4, 0.3, 0.1],
  [0.9, 0.3, 0.2, 0.1],
];

export function story() {
  const D = {
    classes: [{name: 'anger'}, {name: 'fear'}],
    path: ['a.wav', 'b.wav', 'c.wav', 'd.wav'],
    shot: Uint16Array.from([0, 65535, 65535, 65535]),
    target: Uint8Array.from([0, 1, 1, 1]),
  };
  const o = new Story(D);
  SHARES.forEach((p, r) => {
    const named = Uint16Array.from(p, v => (v < 0.5 ? 1 : 0));
    o.add(r, {p: share(p), named, r: new Uint8Array(8), xy: {}});
  });
  return o;
}
