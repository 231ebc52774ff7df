// ---- Training curves by bit-width.

const kCurves = {
  accuracy: {name: 'Accuracy', axis: 'accuracy', text: (v) => percent(v), scale: 100, unit: ' %'},
  evaluation_loss: {
    name: 'Test loss',
    axis: 'loss on the evaluated images',
    text: (v) => digits(v, 4),
    scale: 1,
    unit: '',
  },
  loss: {
    name: 'Training loss',
    axis: 'cross-entropy of training',
    text: (v) => digits(v, 4),
    scale: 1,
    unit: '',
  },
  distill: {
    name: 'Distillation',
    axis: 'distillation term',
    text: (v) => digits(v, 4),
    scale: 1,
    unit: '',
  },
};

/** Epochs of all phases one after the other: `at` counts from the run's start. */
function timeline(training) {
  const ends = new Map();
  for (const epoch of training.epochs)
    ends.set(epoch.phase, Math.max(ends.get(epoch.phase) || 0, epoch.epoch));
  const starts = new Map();
  let at = 0;
  for (const [phase, end] of ends) {
    starts.set(phase, at);
    at += end;
  }
  return {
    phases: [...starts].map(([phase, start]) => ({phase, start})),
    epochs: training.epochs.map((epoch) => ({...epoch, at: starts.get(epoch.phase) + epoch.epoch})),
  };
}

function curve(training, key, bits) {
  return timeline(training)
    .epochs.filter(
      (epoch) => epoch[key] && epoch[key][bits] !== undefined && epoch[key][bits] !== null,
    )
    .map((epoch) => [epoch.at, kCurves[key].scale * epoch[key][bits]]);
}

const trainedWidths = (training) =>
  [...new Set(training.epochs.flatMap((epoch) => widthsOf(epoch.loss)))].sort(numeric);

function phaseMarks(ink, training) {
  return {
    silent: true,
    symbol: 'none',
    lineStyle: {color: ink.line, type: 'solid'},
    label: {
      color: ink.muted,
      fontSize: 11,
      formatter: ({data}) => data.name,
      position: 'insideEndTop',
    },
    data: timeline(training)
      .phases.filter(({start}) => start > 0)
      .map(({phase, start}) => ({xAxis: start, name: phase})),
  };
}

function trainingOption(shown, alone) {
  return (ink, width) => {
    const kind = kCurves[shown.curve],
      all = trainedWidths(shown.training);
    const line = (name, bits, data, dashed) => ({
      type: 'line',
      name,
      color: widthColor(ink, bits, all),
      data,
      showSymbol: data.length < 40,
      symbol: dashed ? 'emptyCircle' : kSymbols[all.indexOf(bits) % kSymbols.length],
      symbolSize: dashed ? 5 : 7,
      lineStyle: {width: dashed ? 1.2 : 2, type: dashed ? 'dashed' : 'solid'},
    });
    const series = all.map((bits) =>
      line(bitsText(bits), bits, curve(shown.training, shown.curve, bits), false),
    );
    if (shown.alone)
      for (const one of alone)
        for (const bits of trainedWidths(one))
          if (all.includes(bits))
            series.push(line(`${bitsText(bits)} alone`, bits, curve(one, shown.curve, bits), true));
    if (series.length > 0) series[0].markLine = phaseMarks(ink, shown.training);
    return {
      xAxis: xAxis(ink, 'epoch', {type: 'value', minInterval: 1}),
      yAxis: yAxis(ink, kind.axis, {
        type: 'value',
        scale: true,
        axisLabel: {formatter: (v) => `${+v.toFixed(4)}${kind.unit}`},
      }),
      tooltip: {
        trigger: 'axis',
        formatter: (points) =>
          tip(
            `epoch ${points[0].value[0]}`,
            points.map((one) => [one.seriesName, kind.text(one.value[1] / kind.scale), one.color]),
          ),
      },
      series,
    };
  };
}

function trainingSentence(training) {
  const accuracy = training.result && training.result.accuracy,
    widths = widthsOf(accuracy);
  const epochs = timeline(training).epochs,
    last = epochs[epochs.length - 1];
  const time = training.epochs.reduce((sum, epoch) => sum + (epoch.seconds || 0), 0);
  const took = `${plural(last ? last.at : 0, 'epoch')} of ${plural(training.images, 'image')}${time ? `, ${minutes(time)}` : ''}`;
  if (widths.length === 0) return `Not finished yet: ${took} so far.`;
  const low = Math.min(...Object.values(accuracy)),
    high = Math.max(...Object.values(accuracy));
  return `${took}; at the end ${widths.length > 1 ? `the ${widths.length} bit-widths lie within ${points(high - low)} of each other` : `${percent(high)} at ${bitsText(widths[0])}`}.`;
}

const minutes = (time) =>
  time < 90
    ? `${Math.round(time)} s`
    : time < 5400
      ? `${Math.round(time / 60)} minutes`
      : `${digits(time / 3600, 2)} hours`;

function drawTraining() {
  const trainings = run.training || [];
  const shownOnes = trainings.filter((one) => one.role !== 'independent');
  if (shownOnes.length === 0) return;
  const alone = trainings.filter((one) => one.role === 'independent');
  const made = section('training', 'Training');
  const sentence = el('p', {class: 'takeaway'});
  made.append(sentence);
  const row = controls(made),
    place = el('div');
  made.append(place);
  const shown = {training: shownOnes[0], curve: 'accuracy', alone: alone.length > 0};
  const label = (one) => (one.role === 'ours' ? 'InstantNet' : pretty(one.name));
  const name = (one) => `${label(one)} (${one.loss_kind})`;
  const card = figure(place, {
    id: 'training-curves',
    title: 'Training curves',
    height: (width) => (width < kNarrow ? 320 : 380),
    label: 'One line a bit-width.',
    option: (ink, width) =>
      trainingOption(shown, shown.training.role === 'ours' ? alone : [])(ink, width),
    data: () => {
      const all = trainedWidths(shown.training);
      return [
        [
          'phase',
          'epoch',
          'learning_rate',
          ...Object.keys(kCurves).flatMap((key) => all.map((bits) => `${key}_${bits}`)),
        ],
        ...shown.training.epochs.map((epoch) => [
          epoch.phase,
          epoch.epoch,
          epoch.lr,
          ...Object.keys(kCurves).flatMap((key) =>
            all.map((bits) => (epoch[key] || {})[bits] ?? null),
          ),
        ]),
      ];
    },
  });
  const draw = () => {
    sentence.textContent = trainingSentence(shown.training);
    card.refresh();
  };
  select(
    row,
    'Run',
    shownOnes,
    shown.training,
    (one) => {
      shown.training = one;
      draw();
    },
    shownOnes.map(name),
  );
  const kept = Object.keys(kCurves).filter((key) =>
    trainings.some((one) =>
      one.epochs.some((epoch) => Object.values(epoch[key] || {}).some((v) => v)),
    ),
  );
  choice(
    row,
    'Curve',
    kept,
    shown.curve,
    (value) => {
      shown.curve = value;
      draw();
    },
    kept.map((key) => kCurves[key].name),
  );
  if (alone.length > 0)
    row.append(
      el(
        'label',
        {class: 'check'},
        el('input', {
          type: 'checkbox',
          checked: true,
          onchange: (event) => {
            shown.alone = event.target.checked;
            draw();
          },
        }),
        el('span', {}, 'networks trained alone'),
      ),
    );
  draw();
  table(
    made,
    'Runs',
    [
      {name: 'run', of: label},
      {name: 'loss', of: (one) => one.loss_kind, left: true},
      {name: 'quantizer', of: (one) => one.quantizer, left: true},
      {name: 'seed', of: (one) => one.seed},
      {name: 'images', of: (one) => one.images, text: count},
      {
        name: 'epochs',
        of: (one) => {
          const all = timeline(one).epochs;
          return all.length ? all[all.length - 1].at : 0;
        },
      },
      {
        name: 'time',
        of: (one) => one.epochs.reduce((sum, epoch) => sum + (epoch.seconds || 0), 0),
        text: minutes,
      },
      {
        name: 'accuracy, lowest width',
        of: (one) => {
          const a = one.result && one.result.accuracy,
            w = widthsOf(a);
          return w.length ? a[w[0]] : null;
        },
        text: (v) => percent(v),
      },
      {
        name: 'highest',
        of: (one) => {
          const a = one.result && one.result.accuracy,
            w = widthsOf(a);
          return w.length ? a[w[w.length - 1]] : null;
        },
        text: (v) => percent(v),
      },
    ],
    trainings,
  );
}
