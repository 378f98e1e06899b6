// The page of `sere audit`: what is said goes to the program that serves it.
import {Audit} from './audit.js';

const served = {
  lost:
    'The program no longer answers. Nothing that was said is lost: ' +
    'start it again, and it goes on from here.',

  async state() {
    return (await fetch('state')).json();
  },

  async label(clip, emotion) {
    const body = JSON.stringify({clip, emotion});
    return (await fetch('label', {method: 'POST', body})).json();
  },

  sound: clip => `sound/${clip}`,

  async end() {
    await fetch('end', {method: 'POST', body: ''}).catch(() => {});
    const text =
      'Kept in audit.csv and audit.json, beside the predictions. Close this page.';
    return {text, over: true};
  },
};

new Audit(document.getElementById('audit'), served, globalThis);
