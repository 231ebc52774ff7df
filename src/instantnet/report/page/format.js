// ---- Numbers as people read them.

const kPrefixes = [
  [1e15, 'P'],
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
  [1, ''],
  [1e-3, 'm'],
  [1e-6, 'µ'],
  [1e-9, 'n'],
  [1e-12, 'p'],
  [1e-15, 'f'],
  [1e-18, 'a'],
];

/** A number and its unit stay on one line. */
const kSpace = '\u00a0';

/** Three significant digits without trailing noise: 0.0123, 1.23, 12.3, 123. */
function digits(value, count = 3) {
  if (value === 0) return '0';
  const size = Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(12, Math.max(0, count - 1 - size)));
}

/** 6.4e-6, 'J' -> "6.40 µJ". */
function si(value, unit = '') {
  if (value === null || value === undefined || !isFinite(value)) return '–';
  if (value === 0) return `0${kSpace}${unit}`.trim();
  const size = Math.abs(value) * (1 + 5e-4); // 999.6 is 1.00 k
  const [scale, prefix] = kPrefixes.find(([one]) => size >= one) || kPrefixes[kPrefixes.length - 1];
  return `${digits(value / scale)}${kSpace}${prefix}${unit}`.trim();
}

/** For axes: 10 nJ rather than 10.0 nJ. */
const tick = (value, unit = '') =>
  si(value, unit)
    .replace(/(\.\d*?)0+(?=\D|$)/, '$1')
    .replace(/\.(?=\D|$)/, '');

const energy = (pj) => si(pj === null ? null : pj * 1e-12, 'J');
const seconds = (s) => si(s, 's');
const milliseconds = (ms) => si(ms === null ? null : ms * 1e-3, 's');
const microseconds = (us) => si(us === null ? null : us * 1e-6, 's');
/** Energy times latency, in J s. */
const edpOf = (total) => total.energy_pj * 1e-12 * total.latency_ms * 1e-3;
const edp = (js) => si(js, 'J·s');
const count = (value) =>
  value === null || value === undefined ? '–' : value.toLocaleString('en-US');
const percent = (share, places = 2) =>
  share === null || share === undefined ? '–' : `${(100 * share).toFixed(places)}${kSpace}%`;
const points = (share) => `${(100 * Math.abs(share)).toFixed(2)} points`;

function bytes(value) {
  if (value === null || value === undefined) return '–';
  if (value < 1024) return `${value}${kSpace}B`;
  const [scale, unit] =
    value < 1024 ** 2 ? [1024, 'KiB'] : value < 1024 ** 3 ? [1024 ** 2, 'MiB'] : [1024 ** 3, 'GiB'];
  return `${digits(value / scale)}${kSpace}${unit}`;
}

/** 12.3 -> "12.3x". */
const times = (ratio) => `${digits(ratio)}×`;
const bitsText = (bits) => `${bits}${kSpace}bits`;
const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;
const listed = (all) =>
  all.length < 2 ? all.join('') : `${all.slice(0, -1).join(', ')} and ${all[all.length - 1]}`;

const kSystemNames = {
  sp: 'SP',
  adabits: 'AdaBits',
  cdt: 'CDT',
  joint: 'Joint',
  independent: 'Independent',
};
const pretty = (name) => kSystemNames[name] || name;
const numeric = (a, b) => a - b;
const widthsOf = (map) =>
  Object.keys(map || {})
    .map(Number)
    .sort(numeric);
