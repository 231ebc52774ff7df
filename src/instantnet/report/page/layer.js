// ---- One layer's loops, coloured by level.

function loopLines(plan, layer) {
  const lines = [];
  let depth = 0;
  layer.mapping.forEach((level, l) => {
    lines.push({level: l, depth, head: true, text: plan.device.levels[l].name, keeps: level.keeps});
    for (const [dim, bound, kind] of level.loops)
      if (bound > 1) lines.push({level: l, depth: ++depth, dim, bound, kind});
  });
  lines.push({level: -1, depth: depth + 1, head: false, text: 'outputs += weights × inputs'});
  return lines;
}

function loopElement(ink, line) {
  const color = line.level < 0 ? ink.mac : ink.levels[line.level % ink.levels.length];
  const style = {paddingLeft: `${0.6 + 0.9 * Math.min(line.depth, 24)}em`, borderLeftColor: color};
  if (line.head)
    return el(
      'li',
      {class: 'level', style: {borderLeftColor: color, paddingLeft: style.paddingLeft}},
      el('strong', {}, line.text),
      el('span', {}, line.keeps.length > 0 ? ` keeps ${listed(line.keeps)}` : ' keeps nothing'),
    );
  if (line.level < 0) return el('li', {style}, line.text);
  const spatial = line.kind !== 'temporal';
  return el(
    'li',
    {style, class: spatial ? 'spatial' : null},
    el('b', {}, spatial ? 'parallel ' : 'for '),
    `${line.dim} in 0..${line.bound - 1}`,
    spatial ? el('em', {}, line.kind === 'spatial-x' ? ' over columns' : ' over rows') : null,
  );
}

function drawLayer(parent, plan, shown) {
  const layers = layersAt(plan, shown.bits);
  const body = el('div', {class: 'nest'}),
    row = el('div', {class: 'controls'});
  parent.append(
    el(
      'div',
      {class: 'card', id: 'loops'},
      el('div', {class: 'bar'}, el('h4', {}, 'How a layer runs')),
      row,
      body,
    ),
  );
  const show = (i) => {
    shown.layer = i;
    const layer = layers[i],
      ink = theme();
    clear(body).append(
      el(
        'p',
        {class: 'note'},
        `${layer.name} at ${bitsText(layer.own_bits || layer.bits)}: ${shapeText(layer.shape)}; ${energy(layer.energy_pj)}, ${count(layer.cycles)} cycles, ` +
          `bound by ${layer.bound_by}; ${layer.certified ? 'proven optimal' : `gap ${gapText(layer)}`}; ${plural(layer.evaluations, 'mapping')} evaluated.${layer.note ? ` ${layer.note}` : ''}`,
      ),
      el(
        'ol',
        {class: 'loops', 'aria-label': 'Loop nest, outermost first'},
        loopLines(plan, layer).map((line) => loopElement(ink, line)),
      ),
    );
  };
  select(
    row,
    'Layer',
    layers.map((_, i) => i),
    Math.min(shown.layer, layers.length - 1),
    show,
    layers.map(layerName),
  );
  show(Math.min(shown.layer, layers.length - 1));
}
