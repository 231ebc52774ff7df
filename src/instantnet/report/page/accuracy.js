// ---- Accuracy at every bit-width, and against what it costs.

const kCosts = {
  edp: {
    name: 'EDP',
    axis: 'energy-delay product of one image',
    of: edpOf,
    text: edp,
    unit: 'J·s',
    less: 'less EDP',
    more: 'the EDP',
  },
  energy: {
    name: 'Energy',
    axis: 'energy of one image',
    of: (total) => total.energy_pj * 1e-12,
    text: (v) => si(v, 'J'),
    unit: 'J',
    less: 'less energy',
    more: 'the energy',
  },
  latency: {
    name: 'Latency',
    axis: 'latency of one image',
    of: (total) => total.latency_ms * 1e-3,
    text: seconds,
    unit: 's',
    less: 'less time',
    more: 'the time',
  },
};

/** All systems of all runs, with a name, a colour and a symbol each. */
function allSystems() {
  const many = report.runs.length > 1;
  const all = report.runs.flatMap((one) => one.systems.map((system) => ({system, run: one})));
  return all.map(({system, run: of}, i) => {
    const own = system.role === 'ours' ? 'InstantNet' : pretty(system.name);
    return {
      ...system,
      label: many ? `${of.name}: ${own}` : own,
      place: i,
      symbol: kSymbols[i % kSymbols.length],
      run: of,
    };
  });
}

const systemColor = (ink, system) => ink.systems[system.place % ink.systems.length];

function mappedBy(cost) {
  const search = cost.search;
  return search.engine === 'template' ? search.template : `${search.engine} search`;
}

/** Points of a system on a device, by bit-width: {bits, accuracy, total, value}. */
function pointsOf(system, device, cost) {
  const costs = system.costs.find((one) => one.device === device);
  if (!costs) return [];
  return totalsOf(costs)
    .filter((total) => system.accuracy[total.bits] !== undefined)
    .map((total) => ({
      bits: total.bits,
      accuracy: system.accuracy[total.bits],
      total,
      value: cost.of(total),
      by: mappedBy(costs),
    }));
}

/** What the figure says, in one sentence. */
function costSentence(systems, device, cost) {
  const ours = systems
    .filter((system) => system.role === 'ours')
    .map((system) => pointsOf(system, device, cost))
    .flat();
  if (ours.length === 0) return '';
  const rivals = systems.filter(
    (system) => system.role === 'rival' && pointsOf(system, device, cost).length > 0,
  );
  const sentences = rivals.map((rival) => {
    const theirs = pointsOf(rival, device, cost);
    const best = theirs.reduce((a, b) =>
      b.accuracy > a.accuracy || (b.accuracy === a.accuracy && b.value < a.value) ? b : a,
    );
    const enough = ours.filter((one) => one.accuracy >= best.accuracy);
    if (enough.length === 0)
      return `${rival.label} is more accurate at its best, ${percent(best.accuracy)} for ${cost.text(best.value)}`;
    const own = enough.reduce((a, b) => (b.value < a.value ? b : a));
    const change = 1 - own.value / best.value;
    return (
      `what ${rival.label} reaches at its best (${percent(best.accuracy)}), InstantNet reaches at ${bitsText(own.bits)} for ` +
      (change >= 0.9
        ? `${times(best.value / own.value)} ${cost.less}`
        : change >= 0
          ? `${percent(change, 0)} ${cost.less}`
          : `${times(own.value / best.value)} ${cost.more}`)
    );
  });
  if (sentences.length > 0) return `On ${device}, ${sentences.join('; ')}.`;
  const low = ours[0],
    high = ours[ours.length - 1];
  if (low === high) return '';
  return (
    `On ${device}, from ${high.bits} down to ${bitsText(low.bits)} one set of weights goes from ${percent(high.accuracy)} at ` +
    `${cost.text(high.value)} to ${percent(low.accuracy)} at ${cost.text(low.value)}.`
  );
}

function costOption(systems, device, cost) {
  return (ink, width) => ({
    legend: {data: systems.map((system) => system.label)},
    xAxis: xAxis(
      ink,
      `${width < kNarrow ? cost.name : cost.axis} on ${device} (log)`,
      logScale(
        systems.flatMap((system) => pointsOf(system, device, cost).map((point) => point.value)),
        (v) => tick(v, cost.unit),
      ),
    ),
    yAxis: accuracyAxis(ink),
    tooltip: {
      trigger: 'item',
      formatter: ({data}) =>
        tip(`${data.name} at ${bitsText(data.point.bits)}`, [
          ['accuracy', percent(data.point.accuracy)],
          ['energy', energy(data.point.total.energy_pj)],
          ['latency', milliseconds(data.point.total.latency_ms)],
          ['EDP', edp(edpOf(data.point.total))],
          ['mapped by', data.point.by],
          ['mode', data.point.total.mode],
        ]),
    },
    series: systems.map((system) => ({
      type: 'line',
      name: system.label,
      symbol: system.symbol,
      symbolSize: system.role === 'ours' ? 11 : 9,
      color: systemColor(ink, system),
      lineStyle: {
        width: system.role === 'ours' ? 2.5 : 1.5,
        type: system.role === 'ours' ? 'solid' : 'dashed',
      },
      label: {
        show: true,
        position: 'top',
        distance: 6,
        color: systemColor(ink, system),
        fontSize: 11,
        fontWeight: system.role === 'ours' ? 700 : 400,
        formatter: ({data}) => String(data.point.bits),
      },
      labelLayout: {hideOverlap: true},
      data: pointsOf(system, device, cost).map((point) => ({
        value: [point.value, 100 * point.accuracy],
        point,
        name: system.label,
      })),
    })),
  });
}

function costRows(systems, device) {
  return systems.flatMap((system) =>
    pointsOf(system, device, kCosts.edp).map((point) => ({system, ...point})),
  );
}

function costFigure(parent, systems) {
  const devices = [
    ...new Set(systems.flatMap((system) => system.costs.map((cost) => cost.device))),
  ];
  const shown = {device: devices[0], cost: 'edp'};
  const sentence = el('p', {class: 'takeaway small'});
  const row = controls(parent),
    place = el('div'),
    below = el('div');
  parent.append(sentence, place, below);
  const here = () =>
    systems.filter((system) => pointsOf(system, shown.device, kCosts.edp).length > 0);
  const card = figure(place, {
    id: 'accuracy-cost',
    title: 'Accuracy against cost',
    height: (width) => (width < kNarrow ? 360 : 440),
    label: 'Each line is a system, each point a bit-width; up and left is better.',
    option: (ink, width) => costOption(here(), shown.device, kCosts[shown.cost])(ink, width),
    data: () => [
      [
        'system',
        'device',
        'bits',
        'accuracy',
        'energy_pJ',
        'latency_ms',
        'EDP_Js',
        'mode',
        'mapped by',
      ],
      ...costRows(here(), shown.device).map((one) => [
        one.system.label,
        shown.device,
        one.bits,
        one.accuracy,
        one.total.energy_pj,
        one.total.latency_ms,
        edpOf(one.total),
        one.total.mode,
        one.by,
      ]),
    ],
  });
  const draw = () => {
    sentence.textContent = costSentence(
      here().filter((system) => system.run === run),
      shown.device,
      kCosts[shown.cost],
    );
    card.refresh();
    table(
      clear(below),
      `Systems on ${shown.device}`,
      [
        {name: 'system', of: (one) => one.system.label},
        {name: 'bits', of: (one) => one.bits},
        {name: 'accuracy', of: (one) => one.accuracy, text: (v) => percent(v)},
        {name: 'energy', of: (one) => one.total.energy_pj, text: energy},
        {name: 'latency', of: (one) => one.total.latency_ms, text: milliseconds},
        {name: 'EDP', of: (one) => edpOf(one.total), text: edp},
        {name: 'mode', of: (one) => one.total.mode, left: true},
        {name: 'mapped by', of: (one) => one.by, left: true},
      ],
      costRows(here(), shown.device),
    );
  };
  choice(
    row,
    'Cost',
    Object.keys(kCosts),
    shown.cost,
    (value) => {
      shown.cost = value;
      draw();
    },
    Object.values(kCosts).map((one) => one.name),
  );
  choice(row, 'Device', devices, shown.device, (value) => {
    shown.device = value;
    draw();
  });
  draw();
}

function widthFigure(parent, systems) {
  const widths = [...new Set(systems.flatMap((system) => widthsOf(system.accuracy)))].sort(numeric);
  figure(parent, {
    id: 'accuracy-width',
    title: 'Accuracy at each bit-width',
    height: 300,
    label: `Systems: ${systems.map((system) => system.label).join(', ')}.`,
    option: (ink, width) => ({
      xAxis: xAxis(ink, 'bit-width', {type: 'category', data: widths.map(String)}),
      yAxis: yAxis(ink, 'accuracy', {
        type: 'value',
        scale: true,
        axisLabel: {formatter: (v) => `${+v.toFixed(2)} %`},
      }),
      tooltip: {
        trigger: 'axis',
        formatter: (all) =>
          tip(
            bitsText(all[0].axisValue),
            all
              .filter((one) => typeof one.value === 'number')
              .map((one) => [one.seriesName, percent(one.value / 100), one.color]),
          ),
      },
      series: systems.map((system) => ({
        type: 'line',
        name: system.label,
        color: systemColor(ink, system),
        symbol: system.symbol,
        symbolSize: 9,
        lineStyle: {
          width: system.role === 'ours' ? 2.5 : 1.5,
          type: system.role === 'ours' ? 'solid' : 'dashed',
        },
        data: widths.map((bits) =>
          system.accuracy[bits] === undefined ? null : 100 * system.accuracy[bits],
        ),
      })),
    }),
    data: () => [
      ['system', ...widths.map(bitsText)],
      ...systems.map((system) => [
        system.label,
        ...widths.map((bits) => system.accuracy[bits] ?? null),
      ]),
    ],
  });
  table(
    parent,
    'Accuracy',
    [
      {name: 'system', of: (system) => system.label},
      ...widths.map((bits) => ({
        name: bitsText(bits),
        of: (system) => system.accuracy[bits] ?? null,
        text: (v) => percent(v),
      })),
      {
        name: 'measured on',
        of: (system) => system.images || null,
        text: (v, system) =>
          v ? `${count(v)} images${system.part ? ` (${system.part})` : ''}` : '–',
      },
      {name: 'from', of: (system) => system.accuracy_from, left: true},
    ],
    systems,
  );
}

/** One network for all bit-widths against one for each. */
function widthSentence(systems) {
  const ours = systems.find((system) => system.role === 'ours'),
    alone = systems.find((system) => system.role === 'independent');
  if (!ours) return '';
  const widths = widthsOf(ours.accuracy);
  if (widths.length < 2) return '';
  const low = widths[0],
    high = widths[widths.length - 1],
    gap = ours.accuracy[high] - ours.accuracy[low];
  let text = `One set of weights: ${percent(ours.accuracy[low])} at ${bitsText(low)}, ${points(gap)} ${gap >= 0 ? 'below' : 'above'} ${bitsText(high)}`;
  const both = alone ? widths.filter((bits) => alone.accuracy[bits] !== undefined) : [];
  if (both.length > 0) {
    const change = ours.accuracy[both[0]] - alone.accuracy[both[0]];
    text += `; ${points(change)} ${change >= 0 ? 'above' : 'below'} a network trained for ${bitsText(both[0])} alone`;
  }
  return `${text}.`;
}

function drawAccuracy() {
  const systems = allSystems();
  const measured = systems.filter((system) => widthsOf(system.accuracy).length > 0);
  if (measured.length === 0) return;
  const made = section(
    'accuracy',
    'Accuracy and cost',
    widthSentence(measured.filter((system) => system.run === run)),
  );
  if (measured.some((system) => system.costs.length > 0)) costFigure(made, measured);
  widthFigure(made, measured);
}
