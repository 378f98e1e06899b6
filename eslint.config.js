import js from '@eslint/js';

const browser =
  'document ' +
  'devicePixelRatio getComputedStyle matchMedia performance Path2D atob btoa ' +
  'requestAnimationFrame cancelAnimationFrame setTimeout clearTimeout ResizeObserver ' +
  'MutationObserver IntersectionObserver OfflineAudioContext Blob URL addEventListener ' +
  'fetch globalThis';

export default [
  js.configs.recommended,
  {
    languageOptions: {
      ecmaVersion: 2023,
      globals: Object.fromEntries(browser.split(' ').map(o => [o, 'readonly'])),
    },
    rules: {
      'no-var': 'error',
      'prefer-const': ['error', {destructuring: 'all'}],
      'no-shadow': ['error', {builtinGlobals: false}],
      'no-implicit-globals': 'error',
      'max-len': ['error', {code: 88, ignoreStrings: false, ignoreUrls: true}],
      'max-lines': ['error', 500],
      'max-lines-per-function': ['error', {max: 60}],
      complexity: ['error', 20],
    },
  },
];
