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

// Every value of one image against the reference's. A code of a qdq file may be a step off where a
// sum lies at the border of two codes, and codes behind it follow: the first tensor that differs must
// differ by single steps, and few codes in all.
function judgeValues(what, outputs, want, exact) {
  let at = 0, codes = 0, apart = 0, unequal = 0, first = 0;
  for (let i = 0; outputs[`value.${i}`] !== undefined; ++i) {
    const { data } = outputs[`value.${i}`];
    // Streams, and the classifier's 16-bit codes, are no bytes: they move by any real distance.
    const bytes = exact || !data.some((x) => x !== Math.round(x) || Math.abs(x) > 255);
    for (let j = 0; j < data.length; ++j, ++at) {
      if (!bytes) continue;
      ++codes;
      const steps = Math.abs(Number(data[j]) - want[at]);
      unequal += steps !== 0;
      apart = Math.max(apart, steps);
    }
    if (first === 0) first = apart;
  }
  const good = at === want.length && (exact ? unequal === 0 : first <= 1 && unequal < 0.05 * codes);
  if (!good) ++failures;
  console.log(`${good ? 'ok  ' : 'FAIL'} ${what}: ${codes} inner values, ${unequal} unequal, at most ${
    apart} apart`);
}

for (const one of JSON.parse(fs.readFileSync(path.join(folder, 'cases.json')))) {
  const bytes = new Uint8Array(fs.readFileSync(path.join(folder, one.name + '.images')));
  const image = new ort.Tensor('uint8', bytes, [one.images, ...one.shape]);
  const open = (name) => ort.InferenceSession.create(path.join(folder, name),
    { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
  const first = new ort.Tensor('uint8', bytes.slice(0, bytes.length / one.images), [1, ...one.shape]);
  const switchable = await open(`${one.name}-switchable.onnx`);
  const switchableOpen = await open(`${one.name}-switchable-open.onnx`);
  for (let w = 0; w < one.widths.length; ++w) {
    const { bits, classes, logits } = one.widths[w];
    const check = async (session, what, feeds, exact) => judge(`${one.name} ${what} ${bits}`,
      compare((await session.run(feeds)).logits.data, logits, classes), exact);
    if (bits <= 8) await check(await open(`${one.name}-qdq-${bits}.onnx`), 'qdq', { image }, false);
    await check(await open(`${one.name}-qonnx-${bits}.onnx`), 'qonnx', { image }, true);
    const width = new ort.Tensor('int64', BigInt64Array.of(BigInt(w)), []);
    await check(switchable, 'switchable', { image, width }, true);
    const file = fs.readFileSync(path.join(folder, `${one.name}-${bits}.values`));
    const values = new Int32Array(file.buffer, file.byteOffset, file.length / 4);
    const inner = async (session, what, feeds, exact) =>
      judgeValues(`${one.name} ${what} ${bits}`, await session.run(feeds), values, exact);
    if (bits <= 8)
      await inner(await open(`${one.name}-qdq-${bits}-open.onnx`), 'qdq', { image: first }, false);
    await inner(await open(`${one.name}-qonnx-${bits}-open.onnx`), 'qonnx', { image: first }, true);
    await inner(switchableOpen, 'switchable', { image: first, width }, true);
  }
}
process.exit(failures ? 1 : 0);
