// The pictures of docs/concepts: node tools/docs/pictures.mjs docs/images
//
// Plain SVG, drawn here by a few helpers; readable in light and dark, no script, no font of its own. They show ideas: the
// only numbers are those of the loop nest, which `instantnet map -n zoo:resnet8 -a eyeriss --bits 4 --show
// stage1.block0.conv1` prints.
import {writeFileSync} from 'node:fs';

const folder = process.argv[2];
if (!folder) {
  console.error('pictures.mjs: give the folder to write into, for example docs/images.');
  process.exit(2);
}

const STYLE = `<style>svg{font:13px system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}
.card{fill:#fff;stroke:#d8dee4}text{fill:#3d444d}.strong{font-weight:600;fill:#1f2328}.small{font-size:11px}
.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px;white-space:pre}
.box{fill:#f6f8fa;stroke:#8c959f}.line{stroke:#8c959f;fill:none;stroke-width:1.5}.faint{stroke:#d8dee4;fill:none}
.a{fill:#1f5fbf}.b{fill:#b4540a}.c{fill:#237a57}.sa{stroke:#1f5fbf;fill:none;stroke-width:2.5}.sb{stroke:#b4540a;fill:none;stroke-width:2.5}
.sc{stroke:#237a57;fill:none;stroke-width:2.5}.ta{fill:#dbe8fb}.tb{fill:#fbe6d3}.tc{fill:#d8f0e4}
@media(prefers-color-scheme:dark){.card{fill:#151b23;stroke:#3d444d}text{fill:#b8c0c8}.strong{fill:#f0f3f6}
.box{fill:#212830;stroke:#656c76}.line{stroke:#9198a1}.faint{stroke:#3d444d}.a{fill:#7db2ff}.b{fill:#f2a65a}.c{fill:#6fd3a8}
.sa{stroke:#7db2ff}.sb{stroke:#f2a65a}.sc{stroke:#6fd3a8}.ta{fill:#1c3454}.tb{fill:#48301a}.tc{fill:#1b3d30}}</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" class="tip"/></marker>
<style>.tip{fill:#8c959f}</style></defs>`;

const escaped = text => String(text).replace(/[&<>]/g, c => ({'&': '&amp;', '<': '&lt;', '>': '&gt;'})[c]);
const text = (x, y, words, kind = '', anchor = 'start') => `<text x="${x}" y="${y}" class="${kind}" text-anchor="${anchor}">${escaped(words)}</text>`;
const rect = (x, y, w, h, kind, r = 4) => `<rect x="${x}" y="${y}" width="${w}" height="${h}" rx="${r}" class="${kind}"/>`;
const path = (d, kind, tip = false) => `<path d="${d}" class="${kind}"${tip ? ' marker-end="url(#tip)"' : ''}/>`;

function picture(name, width, height, title, parts) {
  writeFileSync(`${folder}/${name}.svg`, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img">
<title>${escaped(title)}</title>
${STYLE}
<rect class="card" x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8"/>
${parts.flat(9).join('\n')}
</svg>
`);
}

/// A row of 2^bits cells; `marked` is filled, `labels` are written inside.
function lattice(x, y, width, bits, marked, labels) {
  const count = 2 ** bits, cell = width / count;
  return Array.from({length: count}, (_, i) => [
    rect(x + i * cell, y, cell, 30, i === marked ? 'box tb' : 'box', 0),
    labels ? text(x + (i + 0.5) * cell, y + 20, i.toString(2).padStart(bits, '0'), 'small', 'middle') : '',
  ]);
}

function lattices() {
  const x = 120, width = 640, w = x + width * 0.71;
  picture('lattices', 880, 300, 'Nested lattices: the narrow code is the leading bits of the wide one', [
    text(24, 34, 'Nested: the narrow code is the leading bits of the wide one', 'strong'),
    text(24, 74, '4 bits'), lattice(x, 54, width, 4, 11, true),
    text(24, 114, '3 bits'), lattice(x, 94, width, 3, 5, true),
    text(24, 154, '2 bits'), lattice(x, 134, width, 2, 2, true),
    path(`M${w} 46V172`, 'sa'), text(w + 8, 48, 'a weight', 'a small'),
    text(24, 206, '1011 → 101 → 10: a shift to the right. One file holds the widest code; a switch stores nothing and rounds nothing.'),
    path('M24 224H856', 'faint'),
    text(24, 252, 'Rounded apart for each width (min-max): at 4 bits the nearest of 16 levels, at 2 bits the nearest of 4. The two codes follow', ''),
    text(24, 272, 'from the float32 weight, not from each other, so a file of integers would have to hold one for each width.', ''),
  ]);
}

function cascade() {
  const at = {32: 90, 8: 310, 4: 530, 2: 750}, y = 150;
  const arrow = (from, to, lift) => path(`M${at[from] + 34} ${y - 34}C${at[from] + 80} ${y - 34 - lift} ${at[to] - 80} ${y - 34 - lift} ${at[to] - 20} ${y - 34}`, 'line', true);
  picture('cascade', 880, 300, 'The cascade: every higher bit-width teaches every lower one', [
    text(24, 34, 'Cascade distillation: every higher bit-width teaches every lower one', 'strong'),
    Object.entries(at).map(([bits, x]) => [rect(x - 62, y - 32, 124, 64, `box ${bits === '32' ? 'ta' : bits === '2' ? 'tb' : ''}`, 8),
      text(x, y - 4, `${bits} bits`, 'strong', 'middle'), text(x, y + 16, 'logits', 'small', 'middle')]),
    arrow(32, 8, 14), arrow(8, 4, 14), arrow(4, 2, 14), arrow(32, 4, 56), arrow(8, 2, 56), arrow(32, 2, 98),
    Object.values(at).map(x => path(`M${x} 236V188`, 'line', true)),
    rect(28, 238, 824, 34, 'box', 8),
    text(440, 260, 'the same weights and the same images; each width has its own batch norms and ranges', '', 'middle'),
  ]);
}

function search() {
  const cells = 6, operators = ['3x3', '3x3 wide', '5x5', '5x5 wide', 'grouped', 'skip'], chosen = [1, 0, 2, 1, 0, 5];
  const sizes = [[4, 9, 5, 4, 3, 2], [8, 5, 4, 3, 3, 2], [4, 4, 9, 5, 3, 2], [4, 8, 4, 4, 3, 3], [9, 4, 3, 3, 4, 4], [3, 3, 3, 2, 4, 8]];
  const x = c => 170 + c * 100, y = o => 76 + o * 30;
  picture('search', 880, 340, 'A supernet holds every operator of every cell; the search leaves one path whose cost is in the window', [
    text(24, 34, 'A supernet holds every operator of every cell; the search leaves one path', 'strong'),
    operators.map((name, o) => text(120, y(o) + 4, name, '', 'end')),
    Array.from({length: cells - 1}, (_, c) => operators.map((_, a) => operators.map((_, b) => path(`M${x(c)} ${y(a)}L${x(c + 1)} ${y(b)}`, 'faint')))),
    path('M' + chosen.map((o, c) => `${x(c)} ${y(o)}`).join('L'), 'sa'),
    sizes.map((column, c) => column.map((r, o) => `<circle cx="${x(c)}" cy="${y(o)}" r="${r}" class="${chosen[c] === o ? 'a' : 'box'}"/>`)),
    Array.from({length: cells}, (_, c) => text(x(c), 254, `cell ${c + 1}`, 'small', 'middle')),
    text(740, 80, 'a larger dot:', 'small'), text(740, 96, 'a larger weight', 'small'),
    text(120, 298, 'cost', '', 'end'), rect(170, 284, 500, 18, 'box', 9), rect(330, 284, 110, 18, 'box tc', 0),
    path('M392 278V308', 'sa'), text(385, 326, 'the window you ask for; the result is inside', 'small', 'middle'),
    text(170, 278, 'cheapest network', 'small'), text(670, 278, 'dearest', 'small', 'end'),
  ]);
}

const NEST = [
  ['b', 'DRAM: weights 2304, inputs 18496, outputs 16384', 0, true],
  ['a', 'GLB: inputs 18496, outputs 16384', 0, true],
  ['a', 'for q in 0..15', 0], ['a', 'for p in 0..15', 1],
  ['a', 'for c in 0..3 across rows', 2], ['a', 'for s in 0..2 across rows', 3],
  ['a', 'for c in 0..3 across columns', 4], ['a', 'for r in 0..2 across columns', 5],
  ['c', 'RF: weights 16, inputs 4, outputs 64', 6, true],
  ['c', 'for k in 0..15', 6], ['c', 'for q in 0..1', 7], ['c', 'for p in 0..1', 8], ['c', 'multiply-accumulate', 9],
];

function cost() {
  const level = (y, name, words, tint) => [rect(24, y, 250, 54, `box ${tint}`, 8), text(40, y + 24, name, 'strong'), text(40, y + 42, words, 'small')];
  picture('cost-model', 880, 400, 'A mapping is loops over storage levels; the cost is what moves between them', [
    text(24, 34, 'A device is storage levels; a mapping is loops over them', 'strong'),
    level(58, 'DRAM', 'an access costs most', 'tb'), level(152, 'GLB: global buffer', 'one, shared by the array', 'ta'),
    level(246, 'RF: register files', 'one an element; access costs least', 'tc'),
    rect(24, 340, 250, 36, 'box', 8), text(149, 363, 'multipliers', 'strong', 'middle'),
    [112, 206, 300].map(y => [path(`M100 ${y}V${y + 36}`, 'line', true), path(`M200 ${y + 38}V${y + 4}`, 'line', true)]),
    text(110, 136, 'weights, inputs', 'small'), text(208, 136, 'outputs', 'small'),
    NEST.map(([kind, words, depth, header], i) => text(330 + depth * 16, 66 + i * 24, header ? `[${words}]` : words, `mono ${kind}`)),
    text(330, 66 + 13 * 24, 'the best mapping of a layer of resnet8 at 4 bits on eyeriss', 'small'),
  ]);
}

function certificate() {
  const x0 = 70, x1 = 620, y = v => 250 - v * 180;
  picture('certificate', 880, 310, 'The search ends when the bound of everything not yet looked at reaches the best mapping found', [
    text(24, 34, 'The search ends when nothing left can be better', 'strong'),
    path(`M${x0} 60V250H${x1 + 20}`, 'line'), text(x0 - 10, 72, 'cost', 'small', 'end'), text(x1 + 20, 270, 'mappings looked at, or ruled out together', 'small', 'end'),
    path(`M${x0} ${y(0.98)}H150V${y(0.8)}H215V${y(0.66)}H330V${y(0.56)}H430V${y(0.5)}H${x1}`, 'sa'),
    path(`M${x0} ${y(0.08)}C180 ${y(0.14)} 250 ${y(0.3)} 360 ${y(0.4)}S520 ${y(0.48)} ${x1} ${y(0.5)}`, 'sb'),
    `<circle cx="${x1}" cy="${y(0.5)}" r="6" class="c"/>`,
    text(350, y(0.66), 'best mapping found', 'a'), text(330, y(0.2), 'least cost that anything left could have', 'b'),
    text(x1 + 14, y(0.5) - 8, 'they meet:', 'c'), text(x1 + 14, y(0.5) + 10, 'optimal, proven', 'c'),
    path(`M250 ${y(0.64)}V${y(0.33)}`, 'line', true), text(242, y(0.52), 'gap', 'small', 'end'),
    text(24, 296, 'Stopped earlier (--time-limit), the gap that is left is printed: the found mapping is at most so much dearer than any other.'),
  ]);
}

lattices();
cascade();
search();
cost();
certificate();
