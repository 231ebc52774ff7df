// ---- The top of the page: what this is about, and the numbers that matter.

const report = JSON.parse(byId('document').textContent);
let run = report.runs[0];

const oursOf = (one) => (one.systems || []).find((system) => system.role === 'ours');
const totalsOf = (cost) => [...cost.totals].sort((a, b) => a.bits - b.bits);

function tile(value, label, detail) {
  return el(
    'div',
    {class: 'tile'},
    el('div', {class: 'value'}, value),
    el('div', {class: 'label'}, label),
    detail ? el('div', {class: 'detail'}, detail) : null,
  );
}

function accuracyTiles(ours) {
  const widths = widthsOf(ours && ours.accuracy);
  if (widths.length === 0) return [];
  const low = widths[0],
    high = widths[widths.length - 1];
  const one = (bits) => tile(percent(ours.accuracy[bits]), `accuracy at ${bitsText(bits)}`);
  return low === high ? [one(low)] : [one(low), one(high)];
}

function energyTile(ours) {
  const cost = ours && ours.costs[0];
  if (!cost || cost.totals.length < 2) return [];
  const totals = totalsOf(cost),
    low = totals[0],
    high = totals[totals.length - 1];
  return [
    tile(
      times(high.energy_pj / low.energy_pj),
      `less energy at ${low.bits} than at ${bitsText(high.bits)}`,
      `${energy(low.energy_pj)} an image on ${cost.device}`,
    ),
  ];
}

function switchTile(bench) {
  if (!bench) return [];
  const all = Object.values(bench.bits).map((width) => width.switch_us);
  return all.length < 2
    ? []
    : [tile(microseconds(Math.max(...all)), 'to switch bit-width', 'the slowest switch, measured')];
}

/** Mappings that are proven optimal, of all plans. */
function proofOf(mappings) {
  const layers = (mappings || []).flatMap((plan) => plan.layers);
  const open = layers.filter((layer) => !layer.certified);
  const gaps = open.map((layer) =>
    layer.lower_bound > 0 ? layer.value / layer.lower_bound - 1 : null,
  );
  return {
    all: layers.length,
    proven: layers.length - open.length,
    gap: gaps.includes(null) ? null : Math.max(0, ...gaps),
  };
}

function proofTile(mappings) {
  const proof = proofOf(mappings);
  if (proof.all === 0) return [];
  if (proof.proven === proof.all)
    return [tile('optimal', 'every mapping, proven', `${count(proof.all)} of ${count(proof.all)}`)];
  return [
    tile(
      `${count(proof.proven)} of ${count(proof.all)}`,
      'mappings proven optimal',
      proof.gap === null ? 'no bound for the rest' : `the rest within ${percent(proof.gap, 1)}`,
    ),
  ];
}

function modelBytes(deployment) {
  if (!deployment) return null;
  if (deployment.model) return deployment.model.bytes;
  const parts = (deployment.bundles || []).flatMap((bundle) => bundle.parts);
  const part = parts.find((one) => one.file === 'model.spnet');
  return part ? part.bytes : null;
}

function sizeTile(deployment) {
  const size = modelBytes(deployment);
  if (size === null) return [];
  const model = deployment.model;
  const apart = model
    ? widthsOf(model.bytes_of_separate_files).reduce(
        (sum, bits) => sum + model.bytes_of_separate_files[bits],
        0,
      )
    : 0;
  return [
    tile(
      bytes(size),
      model ? `one file for ${plural(model.bits.length, 'bit-width')}` : 'the frozen network',
      apart ? `${bytes(apart)} as one file each` : null,
    ),
  ];
}

function subtitle() {
  const ours = oursOf(run),
    facts = run.facts,
    parts = [];
  if (run.network) parts.push(run.network);
  if (facts)
    parts.push(
      `${si(facts.macs)} MACs`.replace('  ', ' '),
      `${si(facts.parameters)} parameters`,
      `images ${facts.input.join('×')}`,
    );
  if (ours && ours.data) parts.push(ours.data);
  const devices = (run.mapping || []).map((plan) => plan.name);
  if (devices.length > 0) parts.push(`on ${listed(devices)}`);
  return parts.join(' · ');
}

function drawHeader() {
  const ours = oursOf(run),
    deployment = run.deployment;
  byId('subtitle').textContent = subtitle();
  const tiles = [
    ...accuracyTiles(ours),
    ...energyTile(ours),
    ...switchTile(deployment && deployment.bench),
    ...proofTile(run.mapping),
    ...sizeTile(deployment),
  ];
  clear(byId('tiles')).append(...tiles);
}
