// The README's picture: accuracy against energy-delay product, a panel a device, a line a system, a point a bit-width.
//
//   instantnet report runs/demo --json > demo.json
//   node tools/report/figure.mjs demo.json > docs/images/accuracy-edp.svg
//
// Plain SVG with no script and no font of its own; light and dark by the reader's colour scheme.
import {readFileSync} from 'node:fs';

const [input] = process.argv.slice(2);
if (!input) {
  console.error('figure.mjs: give the JSON that `instantnet report DIR --json` printed.');
  process.exit(2);
}

const WIDTH = 880, HEIGHT = 400;
const AREA = {top: 74, bottom: 346, left: 58, right: 14, gap: 30};
const LIGHT = ['#1f5fbf', '#b4540a', '#237a57'], DARK = ['#7db2ff', '#f2a65a', '#6fd3a8'];
const MARKS = [
  (x, y) => `<circle cx="${x}" cy="${y}" r="5"/>`,
  (x, y) => `<rect x="${x - 4.5}" y="${y - 4.5}" width="9" height="9"/>`,
  (x, y) => `<path d="M${x} ${y - 6}l5.5 10h-11z"/>`,
];

const escaped = text => text.replace(/[&<>"]/g, c => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'})[c]);
const round = x => Math.round(x * 10) / 10;

/// What a line is called: the training, the network and how it is mapped come from the result.
function label(system) {
  const nets = {cdt: 'CDT', sp: 'SP', joint: 'AdaBits'};
  if (system.role === 'ours') return `InstantNet: searched, ${nets[system.loss] ?? system.loss}, best mappings`;
  return `${system.name === 'adabits' ? 'AdaBits' : system.name.toUpperCase()}, ${system.network}, expert dataflow`;
}

/// [{device, template, lines: [{system, points: [{bits, accuracy, edp}]}]}], EDP in microjoules x milliseconds.
function panels(run) {
  const devices = [...new Set(run.systems.flatMap(s => s.costs.map(c => c.device)))];
  return devices.map(device => ({
    device,
    lines: run.systems.map(system => ({
      system,
      points: (system.costs.find(c => c.device === device)?.totals ?? [])
        .filter(t => system.accuracy[t.bits] !== undefined)
        .map(t => ({bits: t.bits, accuracy: 100 * system.accuracy[t.bits], edp: t.energy_pj * 1e-6 * t.latency_ms})),
    })).filter(line => line.points.length > 0),
  }));
}

/// The systems of all panels, ours first, so that a system has one colour.
function scales(all) {
  const points = all.flatMap(p => p.lines.flatMap(l => l.points));
  const accuracy = points.map(p => p.accuracy);
  return {least: Math.floor((Math.min(...accuracy) - 0.5) / 2) * 2, most: Math.ceil((Math.max(...accuracy) + 0.5) / 2) * 2};
}

function decades(panel) {
  const edp = panel.lines.flatMap(l => l.points.map(p => p.edp));
  return [Math.floor(Math.log10(Math.min(...edp) * 0.8)), Math.ceil(Math.log10(Math.max(...edp) * 1.25))];
}

function axes(panel, box, x, y, range, withScale) {
  const [first, last] = decades(panel);
  let svg = '';
  for (let a = range.least; a <= range.most; a += 2) {
    svg += `<path class="grid" d="M${box.left} ${round(y(a))}H${box.right}"/>`;
    if (withScale) svg += `<text x="${box.left - 8}" y="${round(y(a) + 4)}" text-anchor="end">${a}</text>`;
  }
  for (let d = first; d <= last; ++d) {
    const at = round(x(10 ** d));
    svg += `<path class="grid" d="M${at} ${AREA.top}V${AREA.bottom}"/>`;
    svg += `<text x="${at}" y="${AREA.bottom + 18}" text-anchor="middle">${10 ** d}</text>`;
  }
  svg += `<text class="strong" x="${box.left + 8}" y="${AREA.top + 18}">${escaped(panel.device)}</text>`;
  return svg;
}

/// Above, below or left of its point, so that lines close to each other can be read.
function bitLabel(index, x, y, bits) {
  const [dx, dy, anchor] = [[0, -10, 'middle'], [0, 19, 'middle'], [-10, -3, 'end']][index % 3];
  return `<text x="${x + dx}" y="${y + dy}" text-anchor="${anchor}">${bits}</text>`;
}

function line(one, index, x, y) {
  const at = one.points.map(p => [round(x(p.edp)), round(y(p.accuracy)), p.bits]);
  return `<g class="s${index}"><path class="line" d="M${at.map(([px, py]) => `${px} ${py}`).join('L')}"/>` +
    at.map(([px, py]) => MARKS[index % MARKS.length](px, py)).join('') +
    at.map(([px, py, bits]) => bitLabel(index, px, py, bits)).join('') + '</g>';
}

function drawn(panel, i, count, systems, range) {
  const width = (WIDTH - AREA.left - AREA.right - (count - 1) * AREA.gap) / count;
  const box = {left: AREA.left + i * (width + AREA.gap)};
  box.right = box.left + width;
  const [first, last] = decades(panel);
  const x = edp => box.left + 6 + (Math.log10(edp) - first) / (last - first) * (width - 12);
  const y = a => AREA.bottom - (a - range.least) / (range.most - range.least) * (AREA.bottom - AREA.top);
  return axes(panel, box, x, y, range, i === 0) + panel.lines.map(one => line(one, systems.indexOf(one.system), x, y)).join('') +
    (i === 0 ? `<text x="${AREA.left}" y="${AREA.top - 12}">accuracy, % of ${escaped(systems[0].data ?? 'the data')}'s test images</text>` : '');
}

function legend(systems) {
  let at = 24;
  return systems.map((system, i) => {
    const text = label(system), item = `<g class="s${i}">${MARKS[i % MARKS.length](at, 26)}<text x="${at + 12}" y="30">${escaped(text)}</text></g>`;
    at += 34 + text.length * 6.9;
    return item;
  }).join('');
}

function style() {
  const colours = set => set.map((c, i) => `.s${i}{color:${c}}`).join('');
  return `<style>svg{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}` +
    `.card{fill:#fff;stroke:#d8dee4}.grid{stroke:#e4e8ec;fill:none}text{fill:#3d444d}.strong{font-weight:600;fill:#1f2328}` +
    `g[class^="s"]{fill:currentColor}g[class^="s"] text{fill:currentColor}.line{fill:none;stroke:currentColor;stroke-width:2}${colours(LIGHT)}` +
    `@media(prefers-color-scheme:dark){.card{fill:#151b23;stroke:#3d444d}.grid{stroke:#2a313a}text{fill:#b8c0c8}.strong{fill:#f0f3f6}${colours(DARK)}}</style>`;
}

const run = JSON.parse(readFileSync(input, 'utf8')).runs[0];
const all = panels(run);
const systems = run.systems.filter(s => s.costs.length > 0);
const range = scales(all);
const summary = all.map(p => `${p.device}: ` + p.lines.map(l => `${l.system.name} ` +
  l.points.map(q => `${q.accuracy.toFixed(1)} % at ${q.bits} bits`).join(', ')).join('; ')).join('. ');
console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">
<title>Accuracy against energy-delay product</title><desc>${escaped(summary)}</desc>
${style()}
<rect class="card" x=".5" y=".5" width="${WIDTH - 1}" height="${HEIGHT - 1}" rx="8"/>
${legend(systems)}
${all.map((p, i) => drawn(p, i, all.length, systems, range)).join('\n')}
<text x="${WIDTH / 2}" y="${HEIGHT - 14}" text-anchor="middle">energy-delay product of one image, µJ · ms; further left is better; numbers at the points are bit-widths</text>
</svg>`);
