// Runs what make_exports wrote in ONNX Runtime and compares with the reference's logits:
//   node onnxruntime_test.mjs FOLDER
// The package onnxruntime-node is looked for in FOLDER's and NODE_PATH's node_modules. Exit code 77
// (skipped) when it is not there.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const folder = path.resolve(process.argv[2]);
let ort;
try {
  ort = createRequire(path.join(folder, 'x.js'))('onnxruntime-node');
} catch {
  console.log('skipped: the npm package onnxruntime-node is not installed.');
  process.exit(77);
}

const largest = (row) => row.indexOf(Math.max(...row));

// How far logits are apart, relative to the largest, and whether all classes agree.
function compare(got, want, classes) {
  const scale = Math.max(...want.map(Math.abs));
  let apart = 0, equal = 0, top = 0;
  for (let i = 0; i < want.length; ++i) {
    apart = Math.max(apart, Math.abs(got[i] - want[i]) / scale);
    equal += Math.fround(got[i]) === Math.fround(want[i]);
  }
  const images = want.length / classes;
  for (let n = 0; n < images; ++n)
    top += largest(Array.from(got.slice(n * classes, (n + 1) * classes))) ===
           largest(want.slice(n * classes, (n + 1) * classes));
  return { apart, equal: equal / want.length, top: top / images };
}

let failures = 0;
function judge(what, result, exact) {
  const good = exact ? result.equal === 1 : result.apart < 0.05;
  if (!good) ++failures;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${what}: equal ${result.equal.toFixed(3)}, top-1 ${
    result.top.toFixed(2)}, apart ${result.apart.toExponential(1)}`);
}

for (const one of JSON.parse(fs.readFileSync(path.join(folder, 'cases.json')))) {
  const bytes = new Uint8Array(fs.readFileSync(path.join(folder, one.name + '.images')));
  const image = new ort.Tensor('uint8', bytes, [one.images, ...one.shape]);
  const open = (name) => ort.InferenceSession.create(path.join(folder, name),
    { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
  const switchable = await open(`${one.name}-switchable.onnx`);
  for (let w = 0; w < one.widths.length; ++w) {
    const { bits, classes, logits } = one.widths[w];
    const check = async (session, what, feeds, exact) => judge(`${one.name} ${what} ${bits}`,
      compare((await session.run(feeds)).logits.data, logits, classes), exact);
    if (bits <= 8) await check(await open(`${one.name}-qdq-${bits}.onnx`), 'qdq', { image }, false);
    await check(await open(`${one.name}-qonnx-${bits}.onnx`), 'qonnx', { image }, true);
    const width = new ort.Tensor('int64', BigInt64Array.of(BigInt(w)), []);
    await check(switchable, 'switchable', { image, width }, true);
  }
}
process.exit(failures ? 1 : 0);
