// Latency of ONNX files in ONNX Runtime, one thread, one image a run:
//   NODE_PATH=.../node_modules node bench/onnxruntime.mjs FILE.onnx... [--width N] [--runs N]
// Prints the least and the median of the runs in milliseconds. Needs the npm package
// onnxruntime-node in NODE_PATH.
import { createRequire } from 'node:module';

const ort = createRequire(import.meta.url)('onnxruntime-node');
const files = [];
const options = { '--width': 0, '--runs': 200 };
for (let i = 2; i < process.argv.length; ++i)
  if (process.argv[i] in options) options[process.argv[i]] = Number(process.argv[++i]);
  else files.push(process.argv[i]);

function input(meta) {
  if (meta.name === 'width') return new ort.Tensor('int64', BigInt64Array.of(BigInt(options['--width'])), []);
  const shape = meta.shape.map((size) => (typeof size === 'number' ? size : 1));
  const count = shape.reduce((a, b) => a * b, 1);
  const data = meta.type === 'uint8' ? new Uint8Array(count) : new Float32Array(count);
  for (let i = 0; i < count; ++i) data[i] = (i * 97) % 256;
  return new ort.Tensor(meta.type, data, shape);
}

for (const file of files) {
  const session = await ort.InferenceSession.create(file,
    { intraOpNumThreads: 1, interOpNumThreads: 1, executionMode: 'sequential', logSeverityLevel: 3 });
  const feeds = Object.fromEntries(session.inputMetadata.map((meta) => [meta.name, input(meta)]));
  for (let i = 0; i < 20; ++i) await session.run(feeds);
  const times = [];
  for (let i = 0; i < options['--runs']; ++i) {
    const start = process.hrtime.bigint();
    await session.run(feeds);
    times.push(Number(process.hrtime.bigint() - start) / 1e6);
  }
  times.sort((a, b) => a - b);
  console.log(`${file}: least ${times[0].toFixed(3)} ms, median ${times[times.length >> 1].toFixed(3)} ms`);
}
