// The runtime against ONNX Runtime in one run: rounds of one after the other, one thread, one image,
// the least and the median of all rounds' runs.
//   NODE_PATH=.../node_modules node bench/against_onnxruntime.mjs BIN_FOLDER NETWORK...
//     [--rounds N] [--seconds S]
// BIN_FOLDER holds instantnet, make_model and bench_onnx_rival; networks are names of the zoo. Needs
// the npm package onnxruntime-node in NODE_PATH. Random weights, nested lattice.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ort = createRequire(import.meta.url)('onnxruntime-node');
const words = [];
const options = { '--rounds': 5, '--seconds': 0.5 };
for (let i = 2; i < process.argv.length; ++i)
  if (process.argv[i] in options) options[process.argv[i]] = Number(process.argv[++i]);
  else words.push(process.argv[i]);
const [bin, ...networks] = words;

function feeds(session) {
  return Object.fromEntries(session.inputMetadata.map((meta) => {
    const count = meta.shape.reduce((a, b) => a * b, 1);
    const data = meta.type === 'uint8' ? new Uint8Array(count) : new Float32Array(count);
    for (let i = 0; i < count; ++i) data[i] = (i * 97) % 256 / (meta.type === 'uint8' ? 1 : 255);
    return [meta.name, new ort.Tensor(meta.type, data, meta.shape)];
  }));
}

async function rival(session) {
  const input = feeds(session);
  for (let i = 0; i < 20; ++i) await session.run(input);
  const times = [];
  const start = process.hrtime.bigint();
  while (Number(process.hrtime.bigint() - start) / 1e9 < options['--seconds']) {
    const before = process.hrtime.bigint();
    await session.run(input);
    times.push(Number(process.hrtime.bigint() - before) / 1e3);
  }
  times.sort((a, b) => a - b);
  return { least: times[0], median: times[times.length >> 1] };
}

function ours(model) {
  const text = execFileSync(join(bin, 'instantnet'),
    ['bench', model, '--json', '--seconds', String(options['--seconds'])], { stdio: ['ignore', 'pipe', 'ignore'] });
  return JSON.parse(text).bits;
}

const lower = (old, one) => old === undefined ? { ...one }
  : { least: Math.min(old.least, one.least), median: Math.min(old.median, one.median) };

const folder = mkdtempSync(join(tmpdir(), 'instantnet-'));
for (const network of networks) {
  const model = join(folder, 'model.spnet');
  execFileSync(join(bin, 'make_model'), [model, network, '0']);
  const sessions = {};
  for (const kind of ['int8', 'fp32']) {
    const file = join(folder, `${kind}.onnx`);
    execFileSync(join(bin, 'bench_onnx_rival'), [file, network, kind]);
    sessions[kind] = await ort.InferenceSession.create(file,
      { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', logSeverityLevel: 3 });
  }
  const rows = {};
  for (let round = 0; round < options['--rounds']; ++round) {
    for (const kind of ['int8', 'fp32'])
      rows[`ONNX Runtime ${kind}`] = lower(rows[`ONNX Runtime ${kind}`], await rival(sessions[kind]));
    for (const [bits, row] of Object.entries(ours(model)))
      rows[`${bits} bits`] = lower(rows[`${bits} bits`], { least: row.least_us, median: row.median_us });
  }
  console.log(`${network}: least / median us, of ONNX Runtime's int8 and fp32 (least)`);
  const int8 = rows['ONNX Runtime int8'].least, fp32 = rows['ONNX Runtime fp32'].least;
  for (const [name, row] of Object.entries(rows).sort())
    console.log(`  ${name.padEnd(18)} ${row.least.toFixed(0).padStart(7)} / ${row.median.toFixed(0).padStart(7)}`
      + `   ${(row.least / int8).toFixed(2)}x  ${(row.least / fp32).toFixed(2)}x`);
}
rmSync(folder, { recursive: true });
