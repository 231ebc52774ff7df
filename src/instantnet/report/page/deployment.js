// ---- The frozen network: size, speed, switches, exactness.

function exactSentence(accuracy) {
  const runs = accuracy && accuracy.runs_equal_to_reference;
  return runs
    ? `${count(runs)} runs of the deployed integers equal the slow reference in every logit`
    : '';
}

function deploymentSentence(deployment) {
  const {bench, model, accuracy} = deployment,
    parts = [exactSentence(accuracy)];
  if (model) {
    const apart = widthsOf(model.bytes_of_separate_files).reduce(
      (sum, bits) => sum + model.bytes_of_separate_files[bits],
      0,
    );
    parts.push(
      `one file of ${bytes(model.bytes)} holds ${plural(model.bits.length, 'bit-width')}, ${bytes(apart)} as one file each`,
    );
  }
  if (bench) {
    const all = Object.values(bench.bits);
    parts.push(
      `a switch between bit-widths takes at most ${microseconds(Math.max(...all.map((one) => one.switch_us)))} with weights in memory`,
    );
  }
  const text = parts.filter(Boolean).join('; ');
  return text ? `${text[0].toUpperCase()}${text.slice(1)}.` : '';
}

/** The next step of 1, 2, 5, ... times a power of 1024 for an axis of bytes. */
function niceBytes(step) {
  const unit = 1024 ** Math.floor(Math.log(Math.max(step, 1)) / Math.log(1024));
  const most = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find((one) => one * unit >= step);
  return (most || 1024) * unit;
}

function sizeFigure(parent, model) {
  const widths = widthsOf(model.bytes_of_separate_files),
    apart = widths.reduce((sum, bits) => sum + model.bytes_of_separate_files[bits], 0);
  const step = niceBytes(Math.max(model.bytes, apart) / 5);
  figure(parent, {
    id: 'size',
    title: 'Size of the file',
    height: (width) => (width < kNarrow ? 220 : 300),
    label: 'One file for all bit-widths against one file each.',
    option: (ink, width) => ({
      grid: {left: 12, right: 24, top: 36, bottom: 40, containLabel: true},
      xAxis: xAxis(ink, 'bytes', {
        type: 'value',
        interval: step,
        max: step * Math.ceil(Math.max(model.bytes, apart) / step),
        axisLabel: {formatter: bytes},
      }),
      yAxis: yAxis(ink, '', {
        type: 'category',
        inverse: true,
        data: ['one for all', 'one each'],
        splitLine: {show: false},
      }),
      tooltip: {
        trigger: 'item',
        formatter: ({seriesName, value}) => tip(seriesName, [['size', bytes(value)]]),
      },
      series: [
        {
          type: 'bar',
          name: 'all bit-widths',
          stack: 'all',
          barMaxWidth: 44,
          color: ink.bar,
          data: [model.bytes, null],
        },
        ...widths.map((bits) => ({
          type: 'bar',
          stack: 'all',
          name: bitsText(bits),
          barMaxWidth: 44,
          color: widthColor(ink, bits, widths),
          data: [null, model.bytes_of_separate_files[bits]],
        })),
      ],
    }),
    data: () => [
      ['file', 'bytes'],
      ['all bit-widths', model.bytes],
      ...widths.map((bits) => [`${bits} bits alone`, model.bytes_of_separate_files[bits]]),
    ],
  });
}

const kTimes = {
  median_us: 'inference, median',
  first_after_switch_us: 'first after a switch',
  switch_us: 'switch, in memory',
  switch_from_master_us: 'switch, from the master copy',
  load_and_first_us: 'load the file, first image',
};

function timeFigure(parent, bench) {
  const widths = widthsOf(bench.bits),
    keys = Object.keys(kTimes);
  figure(parent, {
    id: 'times',
    title: 'Measured times',
    height: 300,
    label: 'Of one image, on this processor; logarithmic.',
    option: (ink, width) => ({
      xAxis: xAxis(ink, 'bit-width', {type: 'category', data: widths.map(String)}),
      yAxis: yAxis(ink, '', {type: 'log', axisLabel: {formatter: (us) => tick(us * 1e-6, 's')}}),
      tooltip: {
        trigger: 'axis',
        formatter: (all) =>
          tip(
            bitsText(all[0].axisValue),
            all.map((one) => [one.seriesName, microseconds(one.value), one.color]),
          ),
      },
      series: keys.map((key, i) => ({
        type: 'line',
        name: kTimes[key],
        symbol: kSymbols[i],
        symbolSize: 9,
        lineStyle: {width: 1.2},
        color: ink.systems[i],
        data: widths.map((bits) => (bench.bits[bits][key] > 0 ? bench.bits[bits][key] : null)),
      })),
    }),
    data: () => [
      ['bits', ...keys],
      ...widths.map((bits) => [bits, ...keys.map((key) => bench.bits[bits][key])]),
    ],
  });
}

function drawDeployment() {
  const deployment = run.deployment;
  if (!deployment) return;
  const {bench, model, accuracy} = deployment,
    made = section('deployment', 'Deployment', deploymentSentence(deployment));
  const pair = el('div', {class: model && bench ? 'pair' : ''});
  made.append(pair);
  if (model) sizeFigure(pair, model);
  if (bench) timeFigure(pair, bench);
  if (bench) {
    table(
      made,
      'Measured',
      [
        {name: 'bits', of: (one) => one.bits},
        {name: 'least', of: (one) => one.least_us, text: microseconds},
        {name: 'median', of: (one) => one.median_us, text: microseconds},
        {name: '99 %', of: (one) => one.p99_us, text: microseconds},
        {name: 'first after a switch', of: (one) => one.first_after_switch_us, text: microseconds},
        {name: 'switch', of: (one) => one.switch_us, text: microseconds},
        {name: 'switch from master', of: (one) => one.switch_from_master_us, text: microseconds},
        {name: 'load and first', of: (one) => one.load_and_first_us, text: microseconds},
      ],
      widthsOf(bench.bits).map((bits) => ({bits, ...bench.bits[bits]})),
    );
    note(
      made,
      `One image, ${plural(bench.threads, 'thread')}, kernels ${bench.kernels}; the file loads in ${microseconds(bench.load_us)} with no width prepared, ${microseconds(bench.load_resident_us)} with all of them packed (${bytes(bench.packed_bytes)}).`,
    );
  }
  if (accuracy && accuracy.images)
    note(
      made,
      `Accuracy of the integers: ${plural(accuracy.images, 'image')}, kernels ${accuracy.kernels || '–'}${accuracy.runs_equal_to_reference ? `; ${count(accuracy.runs_equal_to_reference)} runs compared with the reference loops, every logit equal` : ''}.`,
    );
  if (model)
    table(
      made,
      'Layers of the file',
      [
        {name: 'layer', of: (one) => one.name},
        {name: 'weights', of: (one) => one.weights, text: count},
        {name: 'bits', of: (one) => one.bits || null, text: (v) => (v ? String(v) : 'any')},
        {name: 'stored bits', of: (one) => one.stored_bits},
        {name: 'lattice', of: (one) => one.lattice, left: true},
        {name: 'input', of: (one) => one.input, left: true},
      ],
      model.layers,
    );
  const parts = (deployment.bundles || []).flatMap((bundle) =>
    bundle.parts.map((part) => ({...part, bundle: bundle.name || bundle.device})),
  );
  table(
    made,
    'Bundles',
    [
      {name: 'bundle', of: (one) => one.bundle},
      {name: 'file', of: (one) => one.file, left: true},
      {name: 'size', of: (one) => one.bytes, text: bytes},
      {name: 'SHA-256', of: (one) => one.sha256, text: digest, left: true},
    ],
    parts,
  );
}

const digest = (text) =>
  text
    ? el('code', {class: 'digest', title: text}, text.replace(/^sha256[: ]/, '').slice(0, 16))
    : '–';
