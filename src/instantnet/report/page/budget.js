// ---- What a policy chose along a trace of budgets.

function outcomeRows(budget) {
  return [
    {name: 'policy', ...budget.policy},
    ...widthsOf(budget.fixed).map((bits) => ({
      name: `always ${bitsText(bits)}`,
      ...budget.fixed[bits],
    })),
  ];
}

const outcomeAccuracy = (one) => one.accuracy ?? one.expected_accuracy ?? null;

function budgetSentence(budget) {
  const policy = budget.policy,
    safe = outcomeRows(budget)
      .slice(1)
      .filter((one) => one.violations === 0 && one.skipped === 0);
  const used = widthsOf(policy.inferences_by_bits).filter(
    (bits) => policy.inferences_by_bits[bits] > 0,
  );
  const best = safe
    .filter((one) => outcomeAccuracy(one) !== null)
    .reduce((a, b) => (a === null || outcomeAccuracy(b) > outcomeAccuracy(a) ? b : a), null);
  let text = `Over ${plural(policy.inferences, 'inference')} on ${budget.device} the policy switched ${plural(policy.switches, 'time')} between ${listed(used.map(String))} bits and ${policy.violations === 0 ? 'never broke the budget' : `broke the budget ${plural(policy.violations, 'time')}`}`;
  const own = outcomeAccuracy(policy);
  if (best && own !== null) {
    const change = own - outcomeAccuracy(best);
    text += `; ${points(change)} ${change >= 0 ? 'more' : 'less'} accurate than the best fixed width that never breaks it (${best.name.replace('always ', '')})`;
  }
  return `${text}.`;
}

/** Steps as a line: two points a stretch. */
function steps(shown, value) {
  return shown.flatMap(([first, length, ...rest]) => [
    [first, value(rest)],
    [first + length, value(rest)],
  ]);
}

function traceFigure(parent, budget) {
  const shown = budget.trace.shown;
  const unit = budget.unit || '',
    unitText = unit.replace(/^u/, 'µ').replace('percent', '%');
  figure(parent, {
    id: 'budget-trace',
    title: 'Budget and chosen bit-width',
    height: (width) => (width < kNarrow ? 420 : 460),
    label:
      'Above: the budget of each inference, and what it took; below: the bit-width that was chosen.',
    option: (ink, width) => {
      const widths = [...new Set(shown.map((one) => one[3]))].sort(numeric);
      const asEnergy = unit === 'uJ' || unit === 'nJ' || unit === 'mJ' || unit === 'pJ';
      const scale = {pJ: 1, nJ: 1e-3, uJ: 1e-6, mJ: 1e-9}[unit] || 1;
      return {
        legend: {data: asEnergy ? ['budget', 'energy taken'] : ['budget']},
        axisPointer: {link: [{xAxisIndex: 'all'}]},
        grid: [
          {left: 48, right: 24, top: 62, height: '40%'},
          {left: 48, right: 24, bottom: 44, height: '24%'},
        ],
        xAxis: [
          xAxis(ink, '', {type: 'value', gridIndex: 0, axisLabel: {show: false}, max: 'dataMax'}),
          xAxis(ink, 'inference', {
            type: 'value',
            gridIndex: 1,
            max: 'dataMax',
            axisLabel: {formatter: (v) => tick(v)},
          }),
        ],
        yAxis: [
          yAxis(ink, `budget${unit ? ` (${unitText})` : ''}`, {type: 'value', gridIndex: 0}),
          yAxis(ink, 'bits', {
            type: 'category',
            gridIndex: 1,
            data: widths.map((bits) => (bits === 0 ? 'skip' : String(bits))),
            splitLine: {show: true, lineStyle: {color: ink.faint}},
          }),
        ],
        tooltip: {
          trigger: 'axis',
          formatter: (all) => {
            const at = all[0].value[0],
              one =
                shown.find(([first, length]) => at >= first && at <= first + length) || shown[0];
            return tip(`inference ${count(Math.round(at))}`, [
              ['budget', `${one[2]}${kSpace}${unitText}`],
              ['bits', one[3] || 'skipped'],
              ['energy', energy(one[5])],
              ['within the budget', one[4] ? 'yes' : 'no'],
            ]);
          },
        },
        series: [
          {
            type: 'line',
            name: 'budget',
            symbol: 'none',
            color: ink.systems[0],
            xAxisIndex: 0,
            yAxisIndex: 0,
            lineStyle: {width: 2},
            data: steps(shown, ([value]) => value),
          },
          ...(asEnergy
            ? [
                {
                  type: 'line',
                  name: 'energy taken',
                  symbol: 'none',
                  color: ink.systems[1],
                  lineStyle: {width: 1.5, type: 'dashed'},
                  xAxisIndex: 0,
                  yAxisIndex: 0,
                  data: steps(shown, ([, , , pj]) => pj * scale),
                },
              ]
            : []),
          {
            type: 'line',
            name: 'bits',
            symbol: 'none',
            color: ink.systems[2],
            xAxisIndex: 1,
            yAxisIndex: 1,
            lineStyle: {width: 2.5},
            data: steps(shown, ([, bits]) => widths.indexOf(bits)),
          },
        ],
      };
    },
    data: () => [
      ['first_inference', 'inferences', 'budget', 'bits', 'fits', 'energy_pJ', 'right'],
      ...shown,
    ],
  });
  if (budget.trace.stretches > shown.length)
    note(
      parent,
      `The trace has ${count(budget.trace.stretches)} stretches; ${count(shown.length)} of them, evenly spread, are drawn.`,
    );
}

function outcomeFigure(parent, budget) {
  const rows = outcomeRows(budget).filter((one) => outcomeAccuracy(one) !== null);
  if (rows.length === 0) return;
  const mean = (one) => (one.energy_pj / Math.max(1, one.inferences)) * 1e-12;
  figure(parent, {
    id: 'budget-outcome',
    title: 'The policy against fixed bit-widths',
    height: 320,
    label: 'Mean energy of an inference against accuracy; hollow points break the budget.',
    option: (ink, width) => ({
      legend: null,
      grid: {left: 12, right: 30, top: 34, bottom: 40, containLabel: true},
      xAxis: xAxis(
        ink,
        'mean energy of an inference (log)',
        logScale(rows.map(mean), (v) => tick(v, 'J')),
      ),
      yAxis: accuracyAxis(ink),
      tooltip: {
        formatter: ({data}) =>
          tip(data.row.name, [
            ['accuracy', percent(outcomeAccuracy(data.row))],
            ['energy', energy(data.row.energy_pj)],
            ['violations', count(data.row.violations)],
            ['skipped', count(data.row.skipped)],
          ]),
      },
      series: [
        {
          type: 'scatter',
          symbolSize: 13,
          labelLayout: {hideOverlap: true},
          label: {
            show: true,
            position: 'top',
            color: ink.ink,
            fontSize: 11,
            formatter: ({data}) => data.row.name.replace('always ', ''),
          },
          data: rows.map((row, i) => ({
            value: [mean(row), 100 * outcomeAccuracy(row)],
            row,
            symbol: i === 0 ? 'diamond' : 'circle',
            itemStyle: {
              color: row.violations > 0 ? 'transparent' : i === 0 ? ink.systems[1] : ink.systems[0],
              borderColor: i === 0 ? ink.systems[1] : ink.systems[0],
              borderWidth: 2,
            },
          })),
        },
      ],
    }),
    data: () => [
      ['runs', 'mean_energy_J', 'accuracy', 'violations', 'skipped'],
      ...rows.map((one) => [
        one.name,
        mean(one),
        outcomeAccuracy(one),
        one.violations,
        one.skipped,
      ]),
    ],
  });
}

function drawBudget() {
  if (!run.budget) return;
  const devices = (run.mapping || []).map((plan) => plan.name);
  const budgets = [...run.budget].sort(
    (a, b) => devices.indexOf(a.device) - devices.indexOf(b.device),
  );
  const made = section('budget', 'By a budget'),
    row = controls(made),
    body = el('div');
  made.append(body);
  const show = (budget) => {
    for (let i = allCharts.length - 1; i >= 0; --i)
      if (body.contains(allCharts[i].plot)) {
        allCharts[i].chart.dispose();
        allCharts.splice(i, 1);
      }
    clear(body).append(el('p', {class: 'takeaway'}, budgetSentence(budget)));
    if (budget.trace) traceFigure(body, budget);
    outcomeFigure(body, budget);
    table(
      body,
      `Outcomes on ${budget.device}`,
      [
        {name: 'runs', of: (one) => one.name},
        {name: 'accuracy', of: (one) => one.accuracy ?? null, text: (v) => percent(v)},
        {name: 'expected', of: (one) => one.expected_accuracy ?? null, text: (v) => percent(v)},
        {name: 'energy', of: (one) => one.energy_pj, text: energy},
        {name: 'violations', of: (one) => one.violations, text: count},
        {name: 'skipped', of: (one) => one.skipped, text: count},
        {name: 'switches', of: (one) => one.switches, text: count},
        {name: 'switch energy', of: (one) => one.switch_energy_pj, text: energy},
      ],
      outcomeRows(budget),
    );
  };
  choice(
    row,
    'Device',
    budgets,
    budgets[0],
    show,
    budgets.map((budget) => budget.device),
  );
  show(budgets[0]);
}
