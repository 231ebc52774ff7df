// Accuracy and loss of an exported network in ONNX Runtime, to set beside `instantnet infer`:
//   node onnxruntime_accuracy.mjs FILE.onnx IMAGES LABELS [WIDTH]
// IMAGES and LABELS are IDX files (plain or .gz); WIDTH is the input of a switchable file. The
// package onnxruntime-node is looked for from the current folder.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

const [file, imagesFile, labelsFile, width] = process.argv.slice(2);
const ort = createRequire(path.resolve('x.js'))('onnxruntime-node');

// {sizes, bytes} of an IDX file of bytes.
function readIdx(name) {
  const raw = fs.readFileSync(name);
  const all = name.endsWith('.gz') ? zlib.gunzipSync(raw) : raw;
  const sizes = Array.from({ length: all[3] }, (_, i) => all.readUInt32BE(4 + 4 * i));
  return { sizes, bytes: all.subarray(4 + 4 * sizes.length) };
}

const images = readIdx(imagesFile), labels = readIdx(labelsFile).bytes;
const [count, height, columns] = images.sizes;
const pixels = height * columns, batch = 250;
const session = await ort.InferenceSession.create(file,
  { intraOpNumThreads: 1, interOpNumThreads: 1, logSeverityLevel: 3 });
let right = 0, loss = 0;
for (let first = 0; first < count; first += batch) {
  const n = Math.min(batch, count - first);
  const bytes = new Uint8Array(images.bytes.subarray(first * pixels, (first + n) * pixels));
  const feeds = { image: new ort.Tensor('uint8', bytes, [n, 1, height, columns]) };
  if (width !== undefined)
    feeds.width = new ort.Tensor('int64', BigInt64Array.of(BigInt(width)), []);
  const logits = (await session.run(feeds)).logits;
  const classes = logits.dims[1];
  for (let i = 0; i < n; ++i) {
    const row = Array.from(logits.data.slice(i * classes, (i + 1) * classes));
    const most = Math.max(...row), label = labels[first + i];
    right += row.indexOf(most) === label;
    loss += most + Math.log(row.reduce((sum, x) => sum + Math.exp(x - most), 0)) - row[label];
  }
}
console.log(JSON.stringify({ images: count, accuracy: right / count, loss: loss / count }));
