// ---- The search: what it found, and how it came to it.

function softmax(row) {
  const top = Math.max(...row),
    powers = row.map((value) => Math.exp(value - top));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / sum);
}

/** The same on an axis, whose name has the unit. */
const costTick = (kind, value) =>
  kind === 'energy' || kind === 'edp' ? tick(value * 1e-12, 'J') : tick(value);

const kCostUnits = {
  macs: 'MACs',
  bitops: 'BitOPs',
  parameters: 'parameters',
  edp: 'energy × cycles',
  latency: 'cycles',
};

/** A cost as the search counts it: energy in pJ, latency in cycles, EDP in pJ cycles. */
function costText(kind, value) {
  if (kind === 'energy') return energy(value);
  if (kind === 'latency') return si(value, 'cycles').replace(/ ?cycles/, ' cycles');
  if (kind === 'edp') return `${energy(value)}·cycles`;
  const text = si(value);
  return /[A-Za-zµ]$/.test(text)
    ? `${text.slice(0, -1).trim()} ${text.slice(-1)} ${kCostUnits[kind] || ''}`.trim()
    : `${text} ${kCostUnits[kind] || ''}`.trim();
}

function operatorColor(ink, operators, name) {
  const at = operators.indexOf(name);
  return name === 'skip'
    ? ink.rest
    : [...ink.levels, ...ink.systems.slice(4), ...ink.widths][Math.max(0, at) % 18];
}

/** The operators there were to choose from; without a log only those that are named. */
function operatorsOf(search) {
  if (search.space && search.space.operators) return search.space.operators;
  const cells = search.result ? search.result.cells : [];
  return [...new Set(cells.flatMap((cell) => [cell.operator, cell.runner_up]))].sort();
}

function searchSentence(search) {
  const result = search.result;
  if (!result) return `Not finished yet: ${plural((search.epochs || []).length, 'epoch')} so far.`;
  const [least, most] = result.window,
    sure = result.cells.filter((cell) => cell.weight > 0.5).length;
  return (
    `The network found costs ${costText(result.cost_kind, result.cost)}, ${result.inside ? 'inside' : 'outside'} the window of ` +
    `${costText(result.cost_kind, least)} to ${costText(result.cost_kind, most)}; in ${sure} of ${plural(result.cells.length, 'cell')} the chosen operator holds more than half of the weight` +
    `${result.projected ? `; the likeliest operators cost ${costText(result.cost_kind, result.argmax_cost)}, so the likeliest network inside was taken${result.proven ? ', proven' : ''}` : ''}.`
  );
}

function weightsFigure(parent, search, operators) {
  const epochs = search.epochs.filter((epoch) => epoch.alpha.length > 0);
  const cells = epochs[0].alpha.length,
    shown = {cell: 0};
  const weights = (cell) => epochs.map((epoch) => softmax(epoch.alpha[cell]));
  const row = controls(parent),
    place = el('div');
  parent.append(place);
  const card = figure(place, {
    id: 'operator-weights',
    title: 'Operator weights over time',
    height: 340,
    label: 'One cell: the weight of each operator by epoch, stacked to 1.',
    option: (ink, width) => ({
      legend: {data: operators},
      xAxis: xAxis(ink, 'epoch', {
        type: 'category',
        boundaryGap: false,
        data: epochs.map((epoch) => epoch.epoch),
      }),
      yAxis: yAxis(ink, `weight in cell ${shown.cell}`, {type: 'value', min: 0, max: 1}),
      tooltip: {
        trigger: 'axis',
        formatter: (points) =>
          tip(
            `cell ${shown.cell}, epoch ${points[0].axisValue}`,
            [...points]
              .sort((a, b) => b.value - a.value)
              .map((one) => [one.seriesName, percent(one.value, 1), one.color]),
          ),
      },
      series: operators.map((name, k) => ({
        type: 'line',
        name,
        stack: 'all',
        symbol: 'none',
        color: operatorColor(ink, operators, name),
        lineStyle: {width: 0},
        areaStyle: {opacity: 0.85},
        data: weights(shown.cell).map((one) => one[k]),
      })),
    }),
    data: () => [
      ['cell', 'epoch', ...operators],
      ...Array.from({length: cells}, (_, cell) =>
        weights(cell).map((one, e) => [cell, epochs[e].epoch, ...one]),
      ).flat(),
    ],
  });
  select(
    row,
    'Cell',
    Array.from({length: cells}, (_, i) => i),
    0,
    (cell) => {
      shown.cell = cell;
      card.refresh();
    },
    Array.from({length: cells}, (_, i) =>
      search.result && search.result.cells[i]
        ? `${i}: ${search.result.cells[i].operator}`
        : String(i),
    ),
  );
}

function heatFigure(parent, search, operators) {
  const last = search.epochs[search.epochs.length - 1],
    rows = last.alpha.map(softmax);
  figure(parent, {
    id: 'operator-map',
    title: `Weights of all cells, epoch ${last.epoch}`,
    height: () => 90 + 24 * operators.length,
    label: 'A column a cell, a row an operator; darker is heavier.',
    option: (ink, width) => ({
      legend: null,
      grid: {left: 12, right: 12, top: 8, bottom: 44, containLabel: true},
      xAxis: xAxis(ink, 'cell', {
        type: 'category',
        data: rows.map((_, i) => i),
        splitLine: {show: false},
      }),
      yAxis: yAxis(ink, '', {
        type: 'category',
        data: operators,
        inverse: true,
        axisLine: {show: false},
      }),
      visualMap: {show: false, min: 0, max: 1, inRange: {color: [ink.faint, ink.systems[0]]}},
      tooltip: {
        formatter: ({value}) =>
          tip(`cell ${value[0]}`, [[operators[value[1]], percent(value[2], 1)]]),
      },
      series: [
        {
          type: 'heatmap',
          itemStyle: {borderColor: ink.surface, borderWidth: 2},
          label: {
            show: width > 40 * rows.length,
            formatter: ({value}) => (value[2] < 0.1 ? '' : value[2].toFixed(2).slice(1)),
            fontSize: 11,
          },
          data: rows.flatMap((row, i) => row.map((weight, k) => [i, k, +weight.toFixed(4)])),
        },
      ],
    }),
    data: () => [['cell', ...operators], ...rows.map((row, i) => [i, ...row])],
  });
}

function searchCostFigure(parent, search) {
  const kind = search.cost_kind || (search.result && search.result.cost_kind) || '';
  const lines = {
    cost: 'derived network',
    argmax_cost: 'likeliest operators',
    expected_cost: 'expected of a drawn one',
  };
  const window = search.window || (search.result && search.result.window);
  figure(parent, {
    id: 'search-cost',
    title: 'Cost of the network over time',
    height: 320,
    label: 'The band is the window that the result must lie in.',
    option: (ink, width) => ({
      xAxis: xAxis(ink, 'epoch', {type: 'value', minInterval: 1}),
      yAxis: yAxis(ink, `cost (${kCostUnits[kind] || kind})`, {
        type: 'value',
        scale: true,
        axisLabel: {formatter: (v) => costTick(kind, v)},
      }),
      tooltip: {
        trigger: 'axis',
        formatter: (points) =>
          tip(
            `epoch ${points[0].value[0]}`,
            points.map((one) => [one.seriesName, costText(kind, one.value[1]), one.color]),
          ),
      },
      series: Object.entries(lines).map(([key, name], i) => ({
        type: 'line',
        name,
        color: ink.systems[[0, 1, 2][i]],
        symbol: kSymbols[i],
        symbolSize: 5,
        data: search.epochs
          .filter((epoch) => epoch[key] !== null)
          .map((epoch) => [epoch.epoch, epoch[key]]),
        markArea:
          i === 0 && window
            ? {
                silent: true,
                itemStyle: {color: ink.systems[0], opacity: 0.1},
                data: [[{yAxis: window[0]}, {yAxis: window[1]}]],
              }
            : undefined,
      })),
    }),
    data: () => [
      ['epoch', ...Object.keys(lines), 'lambda', 'undecided'],
      ...search.epochs.map((epoch) => [
        epoch.epoch,
        ...Object.keys(lines).map((key) => epoch[key]),
        epoch.lambda,
        epoch.undecided,
      ]),
    ],
  });
}

function decisionFigure(parent, search) {
  const epochs = search.epochs,
    widths = [...new Set(epochs.flatMap((epoch) => widthsOf(epoch.accuracy)))].sort(numeric);
  figure(parent, {
    id: 'search-decision',
    title: 'How decided, how accurate',
    height: 320,
    label:
      'Entropy of the operator weights, 1 at the start; accuracy of the derived network with shared weights.',
    option: (ink, width) => ({
      xAxis: xAxis(ink, 'epoch', {type: 'value', minInterval: 1}),
      yAxis: yAxis(ink, '', {type: 'value', min: 0, max: 1}),
      tooltip: {
        trigger: 'axis',
        formatter: (points) =>
          tip(
            `epoch ${points[0].value[0]}`,
            points.map((one) => [one.seriesName, percent(one.value[1], 1), one.color]),
          ),
      },
      series: [
        {
          type: 'line',
          name: 'undecided',
          color: ink.muted,
          lineStyle: {type: 'dashed'},
          symbol: 'none',
          data: epochs.map((epoch) => [epoch.epoch, epoch.undecided]),
        },
        ...widths.map((bits) => ({
          type: 'line',
          name: `accuracy, ${bitsText(bits)}`,
          color: widthColor(ink, bits, widths),
          symbol: 'circle',
          symbolSize: 5,
          data: epochs
            .filter((epoch) => epoch.accuracy && epoch.accuracy[bits] !== undefined)
            .map((epoch) => [epoch.epoch, epoch.accuracy[bits]]),
        })),
      ],
    }),
    data: () => [
      ['epoch', 'undecided', ...widths.map((bits) => `accuracy_${bits}`)],
      ...epochs.map((epoch) => [
        epoch.epoch,
        epoch.undecided,
        ...widths.map((bits) => (epoch.accuracy || {})[bits] ?? null),
      ]),
    ],
  });
}

function drawSearch() {
  const search = run.search;
  if (!search) return;
  const made = section('search', 'Search', searchSentence(search)),
    operators = operatorsOf(search);
  if (search.result) drawNetwork(made, search, operators);
  const epochs = search.epochs || [];
  if (epochs.length > 0 && operators.length === (epochs[0].alpha[0] || []).length) {
    weightsFigure(made, search, operators);
    heatFigure(made, search, operators);
  }
  if (epochs.length > 0) {
    const pair = el('div', {class: 'pair'});
    made.append(pair);
    searchCostFigure(pair, search);
    decisionFigure(pair, search);
  }
  if (!search.result) return;
  table(
    made,
    'Cells',
    [
      {name: 'cell', of: (cell) => cell.i},
      {name: 'operator', of: (cell) => cell.operator, left: true},
      {name: 'weight', of: (cell) => cell.weight, text: (v) => percent(v, 1)},
      {name: 'runner-up', of: (cell) => cell.runner_up, left: true},
      {name: 'its weight', of: (cell) => cell.runner_up_weight, text: (v) => percent(v, 1)},
      {name: 'cost', of: (cell) => cell.cost, text: (v) => costText(search.result.cost_kind, v)},
      {name: 'share', of: (cell) => cell.cost_share, text: (v) => percent(v, 1)},
    ],
    search.result.cells.map((cell, i) => ({i, ...cell})),
  );
}
