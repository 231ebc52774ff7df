// ---- The network that a search found, as boxes in stages.

/** k5_e3_g2 in words. */
function operatorText(name) {
  const [, kind, kernel, expansion, groups] = /^([kf])(\d+)_e(\d+)(?:_g(\d+))?$/.exec(name) || [];
  if (!kind) return name === 'skip' ? 'identity, or 1×1 where shapes change' : name;
  return `${kind === 'k' ? 'inverted residual' : 'fused residual'}, ${kernel}×${kernel}, ${expansion}× channels${groups ? `, ${groups} groups` : ''}`;
}

function plainBox(name, text) {
  return el('li', {class: 'box plain'}, el('strong', {}, name), el('span', {}, text));
}

function cellBox(cell, at, kind, color) {
  const words =
    `Cell ${at}: ${cell.operator} (${operatorText(cell.operator)}), weight ${percent(cell.weight, 1)}; runner-up ${cell.runner_up} ` +
    `${percent(cell.runner_up_weight, 1)}; ${percent(cell.cost_share, 1)} of the cost`;
  return el(
    'li',
    {
      class: `box${cell.operator === 'skip' ? ' thin' : ''}`,
      title: words,
      'aria-label': words,
      style: {borderTopColor: color},
    },
    el('strong', {}, cell.operator),
    el('span', {}, `weight ${percent(cell.weight, 0)}`),
    el(
      'i',
      {class: 'meter', 'aria-hidden': true},
      el('i', {style: {width: `${100 * cell.weight}%`, background: color}}),
    ),
    el('span', {}, `cost ${percent(cell.cost_share, 0)}`),
    el(
      'i',
      {class: 'meter', 'aria-hidden': true},
      el('i', {class: 'cost', style: {width: `${100 * cell.cost_share}%`}}),
    ),
  );
}

function drawNetwork(parent, search, operators) {
  const {result, space} = search,
    ink = theme();
  const stages = space && space.cells ? space.cells : [result.cells.length];
  const groups = [];
  let at = 0;
  stages.forEach((cells, stage) => {
    const boxes = result.cells
      .slice(at, at + cells)
      .map((cell, i) =>
        cellBox(cell, at + i, result.cost_kind, operatorColor(ink, operators, cell.operator)),
      );
    at += cells;
    const facts =
      space && space.channels
        ? `${space.channels[stage]} channels${space.strides[stage] > 1 ? `, stride ${space.strides[stage]}` : ''}`
        : '';
    groups.push(
      el(
        'div',
        {class: 'stage'},
        el(
          'p',
          {},
          stages.length > 1 ? `Stage ${stage + 1}` : 'Cells',
          facts ? el('span', {}, facts) : null,
        ),
        el('ol', {}, boxes),
      ),
    );
  });
  const rest = percent(result.cost > 0 ? result.fixed_cost / result.cost : 0, 0);
  const first = el(
    'div',
    {class: 'stage'},
    el('p', {}, 'Input'),
    el('ol', {}, plainBox('stem', space ? `${space.stem_channels} channels` : '')),
  );
  const last = el(
    'div',
    {class: 'stage'},
    el('p', {}, 'Output'),
    el(
      'ol',
      {},
      space && space.header_channels > 0
        ? plainBox('header', `${space.header_channels} channels`)
        : null,
      plainBox('classifier', ''),
    ),
  );
  parent.append(
    el(
      'figure',
      {class: 'card', id: 'network'},
      el('div', {class: 'bar'}, el('figcaption', {}, 'The network that was found')),
      el('div', {class: 'network'}, first, groups, last),
      el(
        'p',
        {class: 'note'},
        `Upper bar: weight of the chosen operator; lower bar: its share of the cost. Stem, header and classifier are the same in every network and cost ${rest}.`,
      ),
    ),
  );
}
