// ---- Mappings: where the energy goes, what bounds each layer, how sure it is.

const kTensors = ['weights', 'inputs', 'outputs', 'network'];
const kTensorNames = {
  weights: 'weights',
  inputs: 'inputs',
  outputs: 'outputs',
  network: 'network on chip',
};

/** Parts of a layer's energy by level, by tensor, or both: [{name, pj}], times how often it occurs. */
function energyParts(plan, layer, split) {
  const levels = plan.device.levels.map((level) => level.name),
    n = layer.count;
  const moved = layer.levels.flatMap((row, l) =>
    row.map((pj, t) => ({level: levels[l], tensor: kTensors[t], pj: pj * n})),
  );
  const rest = [
    {name: 'multipliers', pj: layer.mac_pj * n},
    {name: 'static', pj: layer.static_pj * n},
  ];
  const grouped = new Map();
  for (const one of moved) {
    const name =
      split === 'level'
        ? one.level
        : split === 'tensor'
          ? kTensorNames[one.tensor]
          : `${one.level} ${kTensorNames[one.tensor]}`;
    grouped.set(name, (grouped.get(name) || 0) + one.pj);
  }
  return [...[...grouped].map(([name, pj]) => ({name, pj})), ...rest];
}

/** Names of parts that are not always 0, in order. */
function partNames(plan, layers, split) {
  const sums = new Map();
  for (const layer of layers)
    for (const {name, pj} of energyParts(plan, layer, split))
      sums.set(name, (sums.get(name) || 0) + pj);
  return [...sums].filter(([, pj]) => pj > 0).map(([name]) => name);
}

function partColor(ink, plan, split, name, names) {
  if (name === 'multipliers') return ink.mac;
  if (name === 'static') return ink.rest;
  const levels = plan.device.levels.map((level) => level.name);
  if (split === 'level') return ink.levels[levels.indexOf(name) % ink.levels.length];
  if (split === 'tensor')
    return ink.levels[[...Object.values(kTensorNames)].indexOf(name) % ink.levels.length];
  const level = levels.findIndex((one) => name.startsWith(`${one} `)),
    siblings = names.filter((one) => one.startsWith(`${levels[level]} `));
  const step = siblings.length < 2 ? 0 : siblings.indexOf(name) / siblings.length;
  return blend(ink.levels[level % ink.levels.length], ink.surface, 0.75 * step);
}

function blend(a, b, share) {
  const parse = (color) => [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
  const [x, y] = [parse(a), parse(b)];
  return `#${x
    .map((value, i) =>
      Math.round(value + (y[i] - value) * share)
        .toString(16)
        .padStart(2, '0'),
    )
    .join('')}`;
}

const kSplits = {level: 'level', tensor: 'tensor', both: 'level and tensor'};
/** The end of a long name says more than its beginning. */
const shortened = (name, most) => (name.length > most ? `…${name.slice(1 - most)}` : name);
const layersAt = (plan, bits) => plan.layers.filter((layer) => layer.bits === bits);
const layerName = (layer) => (layer.count > 1 ? `${layer.name} ×${layer.count}` : layer.name);
const planWidths = (plan) => [...new Set(plan.layers.map((layer) => layer.bits))].sort(numeric);

function energySentence(plan, bits) {
  const layers = layersAt(plan, bits),
    names = partNames(plan, layers, 'level'),
    sums = new Map(names.map((name) => [name, 0]));
  for (const layer of layers)
    for (const {name, pj} of energyParts(plan, layer, 'level'))
      if (sums.has(name)) sums.set(name, sums.get(name) + pj);
  const all = [...sums.values()].reduce((a, b) => a + b, 0),
    [top, most] = [...sums].reduce((a, b) => (b[1] > a[1] ? b : a));
  const bound = new Map();
  for (const layer of layers)
    bound.set(layer.bound_by, (bound.get(layer.bound_by) || 0) + layer.count);
  const [reason, most_often] = [...bound].reduce((a, b) => (b[1] > a[1] ? b : a)),
    n = layers.reduce((sum, layer) => sum + layer.count, 0);
  return `At ${bitsText(bits)} on ${plan.name}, ${top} takes ${percent(most / all, 0)} of the energy, and ${most_often === n ? `all ${n}` : `${most_often} of ${n}`} layers are bound by ${reason}.`;
}

function widthEnergyFigure(parent, plan, shown) {
  const widths = planWidths(plan);
  return figure(parent, {
    id: 'energy-width',
    title: 'Energy of one image by bit-width',
    height: 380,
    label: `Stacked by ${kSplits[shown.split]}.`,
    option: (ink, width) => {
      const names = partNames(plan, plan.layers, shown.split);
      return {
        xAxis: xAxis(ink, 'bit-width', {type: 'category', data: widths.map(String)}),
        yAxis: yAxis(ink, 'energy', {
          type: 'value',
          axisLabel: {formatter: (pj) => tick(pj * 1e-12, 'J')},
        }),
        tooltip: {
          trigger: 'axis',
          axisPointer: {type: 'shadow'},
          formatter: (all) =>
            tip(bitsText(all[0].axisValue), [
              ...all
                .filter((one) => one.value > 0)
                .reverse()
                .map((one) => [one.seriesName, energy(one.value), one.color]),
              ['all', energy(all.reduce((sum, one) => sum + one.value, 0))],
            ]),
        },
        series: names.map((name) => ({
          type: 'bar',
          stack: 'all',
          name,
          barMaxWidth: 56,
          color: partColor(ink, plan, shown.split, name, names),
          data: widths.map((bits) =>
            layersAt(plan, bits).reduce(
              (sum, layer) =>
                sum +
                energyParts(plan, layer, shown.split)
                  .filter((one) => one.name === name)
                  .reduce((a, one) => a + one.pj, 0),
              0,
            ),
          ),
        })),
      };
    },
    data: () => [
      ['bits', 'layer', 'count', 'level', 'tensor', 'energy_pJ'],
      ...plan.layers.flatMap((layer) => energyRows(plan, layer)),
    ],
  });
}

function energyRows(plan, layer) {
  return [
    ...layer.levels.flatMap((row, l) =>
      row.map((pj, t) => [
        layer.bits,
        layer.name,
        layer.count,
        plan.device.levels[l].name,
        kTensors[t],
        pj,
      ]),
    ),
    [layer.bits, layer.name, layer.count, 'multipliers', '', layer.mac_pj],
    [layer.bits, layer.name, layer.count, 'static', '', layer.static_pj],
  ];
}

function layerEnergyFigure(parent, plan, shown) {
  return figure(parent, {
    id: 'energy-layer',
    title: 'Energy of each layer',
    height: () => 90 + 22 * layersAt(plan, shown.bits).length,
    label: `At ${shown.bits} bits, stacked by ${kSplits[shown.split]}.`,
    option: (ink, width) => {
      const layers = layersAt(plan, shown.bits),
        names = partNames(plan, layers, shown.split);
      return {
        grid: {left: 12, right: 24, top: 36, bottom: 40, containLabel: true},
        xAxis: xAxis(
          ink,
          `energy at ${bitsText(shown.bits)}${width < kNarrow ? '' : ', all layers of a shape together'}`,
          {type: 'value', axisLabel: {formatter: (pj) => tick(pj * 1e-12, 'J')}},
        ),
        yAxis: yAxis(ink, '', {
          type: 'category',
          inverse: true,
          data: layers.map(layerName),
          axisLabel: {interval: 0, formatter: (name) => shortened(name, width < kNarrow ? 18 : 40)},
          splitLine: {show: false},
        }),
        tooltip: {
          trigger: 'axis',
          axisPointer: {type: 'shadow'},
          formatter: (all) =>
            tip(all[0].axisValue, [
              ...all
                .filter((one) => one.value > 0)
                .map((one) => [one.seriesName, energy(one.value), one.color]),
              ['all', energy(all.reduce((sum, one) => sum + one.value, 0))],
            ]),
        },
        series: names.map((name) => ({
          type: 'bar',
          stack: 'all',
          name,
          barMaxWidth: 16,
          color: partColor(ink, plan, shown.split, name, names),
          data: layers.map((layer) =>
            energyParts(plan, layer, shown.split)
              .filter((one) => one.name === name)
              .reduce((sum, one) => sum + one.pj, 0),
          ),
        })),
      };
    },
    data: () => [
      ['bits', 'layer', 'count', 'level', 'tensor', 'energy_pJ'],
      ...layersAt(plan, shown.bits).flatMap((layer) => energyRows(plan, layer)),
    ],
  });
}

/** Operations per byte of the outermost level against MACs a cycle. */
function rooflineFigure(parent, plan, shown) {
  const outer = plan.device.levels[0].name,
    speed = plan.device.bytes_a_cycle,
    widths = planWidths(plan);
  const at = (layer) => ({
    value: [layer.macs / Math.max(layer.bytes, 1e-9), layer.macs / layer.cycles],
    layer,
  });
  const kept = () => (shown.roofs === 'all' ? plan.layers : layersAt(plan, shown.bits));
  return figure(parent, {
    id: 'roofline',
    title: 'Roofline',
    height: 380,
    label: 'Slanted: what the memory allows; flat: what the multipliers do; points: layers.',
    option: (ink, width) => {
      const layers = kept(),
        peaks = new Map();
      for (const layer of layers)
        if (!layer.own_bits)
          peaks.set(layer.peak, [...new Set([...(peaks.get(layer.peak) || []), layer.bits])]);
      if (peaks.size === 0)
        for (const layer of layers)
          peaks.set(layer.peak, [...new Set([...(peaks.get(layer.peak) || []), layer.bits])]);
      const xs = layers.map((layer) => at(layer).value[0]),
        top = Math.max(...peaks.keys());
      const left = Math.min(...xs) / 2,
        right = Math.max(...xs, speed > 0 ? top / speed : 0) * 2,
        low = Math.min(...layers.map((layer) => at(layer).value[1])) / 2;
      const roofs = [...peaks].map(([peak, bits]) => ({
        type: 'line',
        silent: true,
        symbol: 'none',
        color: ink.muted,
        lineStyle: {width: 1.5},
        endLabel: {
          show: true,
          formatter: () =>
            shown.roofs === 'all'
              ? `${tick(peak)} at ${bits.join(', ')} bits`
              : `at most ${tick(peak)}`,
          color: ink.muted,
          fontSize: 11,
          offset: [-8, -11],
          align: 'right',
        },
        data: [
          ...(speed > 0
            ? [
                [Math.max(left, low / speed), speed * Math.max(left, low / speed)],
                [peak / speed, peak],
              ]
            : [[left, peak]]),
          [right, peak],
        ],
      }));
      const shownWidths = widths.filter((bits) => layers.some((layer) => layer.bits === bits));
      return {
        legend: {data: shownWidths.map(bitsText)},
        xAxis: xAxis(
          ink,
          `MACs a byte of ${outer} (log)`,
          logScale([left, right], (v) => tick(v), 1),
        ),
        yAxis: yAxis(
          ink,
          'MACs a cycle (log)',
          logScale([low, top * 2.2], (v) => tick(v), 1),
        ),
        tooltip: {
          trigger: 'item',
          formatter: ({data}) =>
            tip(`${data.layer.name} at ${bitsText(data.layer.bits)}`, [
              ['MACs a cycle', digits(data.value[1])],
              [`of at most`, digits(data.layer.peak)],
              ['MACs a byte', digits(data.value[0])],
              ['bound by', data.layer.bound_by],
              ['utilisation', percent(data.layer.utilization, 1)],
            ]),
        },
        series: [
          ...shownWidths.map((bits) => ({
            type: 'scatter',
            name: bitsText(bits),
            color: widthColor(ink, bits, widths),
            symbolSize: 11,
            symbol: kSymbols[widths.indexOf(bits) % kSymbols.length],
            itemStyle: {opacity: 0.85},
            data: layers.filter((layer) => layer.bits === bits).map(at),
          })),
          ...roofs,
        ],
      };
    },
    data: () => [
      [
        'layer',
        'bits',
        'MACs_a_byte',
        'MACs_a_cycle',
        'peak_MACs_a_cycle',
        'bound_by',
        'utilization',
      ],
      ...kept().map((layer) => [
        layer.name,
        layer.bits,
        ...at(layer).value,
        layer.peak,
        layer.bound_by,
        layer.utilization,
      ]),
    ],
  });
}

function gapText(layer) {
  if (layer.certified) return 'optimal';
  if (!(layer.lower_bound > 0)) return 'no bound';
  const gap = layer.value / layer.lower_bound - 1;
  return gap < 0.0005 ? `< ${percent(0.001, 1)}` : `≤ ${percent(gap, 1)}`;
}

const gapOf = (layer) =>
  layer.certified ? 0 : layer.lower_bound > 0 ? layer.value / layer.lower_bound - 1 : null;

function proofSentence(plan) {
  const proof = proofOf([plan]),
    search = plan.search,
    objective = search.objective === 'edp' ? 'EDP' : search.objective;
  const what =
    search.engine === 'template'
      ? `among the mappings of the dataflow ${search.template}`
      : `among all mappings with ${search.factors} factors`;
  if (proof.proven === proof.all)
    return `Every one of the ${proof.all} mappings is proven to have the least ${objective} ${what}.`;
  const rest =
    proof.gap === null
      ? 'some have no bound'
      : `${proof.proven === 0 ? 'all' : 'the others'} are at most ${percent(proof.gap, 1)} above the least possible`;
  return `${proof.proven === 0 ? 'None' : proof.proven} of the ${proof.all} mappings ${proof.proven === 1 ? 'is' : 'are'} proven to have the least ${objective} ${what}; ${rest}.`;
}

function layersTable(parent, plan, bits) {
  const layers = layersAt(plan, bits);
  table(
    parent,
    `Layers at ${bitsText(bits)} on ${plan.name}`,
    [
      {name: 'layer', of: (layer) => layer.name},
      {name: 'count', of: (layer) => layer.count},
      {name: 'bits', of: (layer) => layer.own_bits || layer.bits},
      {name: 'shape', of: (layer) => shapeText(layer.shape), left: true},
      {name: 'MACs', of: (layer) => layer.macs, text: (v) => si(v)},
      {name: 'energy', of: (layer) => layer.energy_pj, text: energy},
      {name: 'cycles', of: (layer) => layer.cycles, text: count},
      {name: 'utilisation', of: (layer) => layer.utilization, text: (v) => percent(v, 1)},
      {name: 'bound by', of: (layer) => layer.bound_by, left: true},
      {name: 'gap', of: gapOf, text: (v, layer) => gapText(layer), left: true},
    ],
    layers,
  );
}

function shapeText(shape) {
  const rest = [
    shape.stride > 1 ? `/${shape.stride}` : '',
    shape.groups > 1 ? ` g${shape.groups}` : '',
    shape.n > 1 ? ` n${shape.n}` : '',
  ].join('');
  return `${shape.c * shape.groups}→${shape.k}, ${shape.r}×${shape.s}${rest}, ${shape.p}×${shape.q}`;
}

function totalsTable(parent, plan) {
  const others = [...plan.multi_cycle, ...plan.pipeline];
  const rows = plan.totals.flatMap((total) => [
    {...total, chosen: 'yes'},
    ...others
      .filter((one) => one.bits === total.bits && one.mode !== total.mode)
      .map((one) => ({...one, chosen: ''})),
  ]);
  table(
    parent,
    `Totals on ${plan.name}`,
    [
      {name: 'bits', of: (one) => one.bits},
      {name: 'mode', of: (one) => one.mode, left: true},
      {name: 'chosen', of: (one) => one.chosen, left: true},
      {name: 'energy', of: (one) => one.energy_pj, text: energy},
      {name: 'latency', of: (one) => one.latency_ms, text: milliseconds},
      {name: 'interval', of: (one) => one.interval_ms, text: milliseconds},
      {
        name: 'images/s',
        of: (one) => (one.interval_ms > 0 ? 1000 / one.interval_ms : null),
        text: (v) => si(v),
      },
      {name: 'EDP', of: edpOf, text: edp},
      {name: 'optimum', of: (one) => (one.proven ? 'proven' : '–'), left: true},
    ],
    rows,
  );
  if (plan.switches.length > 0)
    table(
      parent,
      `Switching on ${plan.name}`,
      [
        {name: 'from', of: (one) => one.from},
        {name: 'to', of: (one) => one.to},
        {name: 'layers that change', of: (one) => one.layers},
        {name: 'cycles', of: (one) => one.cycles, text: (v) => digits(v)},
        {name: 'time', of: (one) => one.us, text: microseconds},
        {name: 'energy', of: (one) => one.energy_pj, text: energy},
        {
          name: 'another FPGA design',
          of: (one) => one.reconfiguration_ms || null,
          text: (v) => (v ? milliseconds(v) : 'not needed'),
        },
      ],
      plan.switches,
    );
}

function stagesTable(parent, plan, bits) {
  const stages = plan.stages[plan.totals.findIndex((total) => total.bits === bits)] || [];
  table(
    parent,
    `Stages of the pipeline at ${bitsText(bits)} on ${plan.name}`,
    [
      {name: 'layer', of: (one) => one.layer},
      {name: 'multipliers', of: (one) => one.multipliers, text: count},
      {name: 'buffer words', of: (one) => one.buffer_words, text: count},
      {name: 'cycles', of: (one) => one.cycles, text: count},
      {name: 'of them memory', of: (one) => one.memory_cycles, text: count},
      {name: 'energy', of: (one) => one.energy_pj, text: energy},
    ],
    stages,
  );
}

function drawPlan(parent, plan, shown) {
  const widths = planWidths(plan);
  if (!widths.includes(shown.bits)) shown.bits = widths[0];
  const sentence = el('p', {class: 'takeaway small'}),
    row = controls(parent),
    place = el('div'),
    below = el('div');
  parent.append(sentence, place);
  const pair = el('div', {class: 'pair'});
  place.append(pair);
  const cards = [
    widthEnergyFigure(pair, plan, shown),
    rooflineFigure(pair, plan, shown),
    layerEnergyFigure(place, plan, shown),
  ];
  parent.append(below);
  const draw = () => {
    sentence.textContent = energySentence(plan, shown.bits);
    cards.forEach((card) => card.refresh());
    layersTable(clear(below), plan, shown.bits);
    drawLayer(below, plan, shown);
    stagesTable(below, plan, shown.bits);
    totalsTable(below, plan);
    const piped = plan.totals.some((total) => total.mode !== 'multi-cycle');
    note(
      below,
      piped
        ? 'Where the chosen mode is a pipeline, layers run on parts of the device; the figures of single layers show them on the whole device.'
        : '',
    );
    for (const why of new Set(plan.why)) note(below, why);
    if (plan.unmapped.length > 0) note(below, `Not mapped: ${plan.unmapped.join(', ')}.`);
  };
  choice(row, 'Bit-width', widths, shown.bits, (bits) => {
    shown.bits = bits;
    draw();
  });
  choice(
    row,
    'Split by',
    Object.keys(kSplits),
    shown.split,
    (split) => {
      shown.split = split;
      draw();
    },
    Object.values(kSplits),
  );
  choice(
    row,
    'Roofline',
    ['one', 'all'],
    shown.roofs,
    (roofs) => {
      shown.roofs = roofs;
      draw();
    },
    ['this width', 'all widths'],
  );
  draw();
}

function drawMapping() {
  const plans = run.mapping;
  if (!plans || plans.length === 0) return;
  const made = section('mapping', 'Mapping');
  const sentence = el('p', {class: 'takeaway'}),
    row = controls(made),
    body = el('div');
  made.append(sentence, body);
  const shown = {bits: planWidths(plans[0])[0], split: 'level', roofs: 'one', layer: 0};
  const show = (plan) => {
    for (let i = allCharts.length - 1; i >= 0; --i)
      if (body.contains(allCharts[i].plot)) {
        allCharts[i].chart.dispose();
        allCharts.splice(i, 1);
      }
    sentence.textContent = proofSentence(plan);
    drawPlan(clear(body), plan, shown);
  };
  choice(
    row,
    'Device',
    plans,
    plans[0],
    show,
    plans.map((plan) => plan.name),
  );
  show(plans[0]);
}
