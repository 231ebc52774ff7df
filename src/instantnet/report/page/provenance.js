// ---- Where everything comes from.

function drawProvenance() {
  const from = run.provenance;
  const made = section(
    'provenance',
    'Provenance',
    `Made by ${report.program} from ${plural(from.files.length, 'file')} of ${run.name}; the same files give the same page, byte for byte.`,
  );
  for (const sentence of from.notes) note(made, sentence);
  if (from.pipeline) {
    note(made, from.pipeline.program ? `Stages run by ${from.pipeline.program}.` : '');
    table(
      made,
      'Stages',
      [
        {name: 'stage', of: (one) => one.name},
        {name: 'state', of: (one) => one.state, left: true},
        {name: 'key', of: (one) => one.key, text: digest, left: true},
        {
          name: 'time',
          of: (one) => one.seconds ?? null,
          text: (v) => (v === null ? '–' : seconds(v)),
        },
        {
          name: 'command',
          of: (one) => one.command.join(' ').replaceAll('{out}/', ''),
          text: (v) => el('code', {class: 'command'}, v),
          left: true,
        },
        {
          name: 'outputs',
          of: (one) =>
            one.outputs.map((output) => (output.path || '').replace('{out}/', '')).join(', '),
          left: true,
        },
      ],
      from.pipeline.stages,
    );
  }
  table(
    made,
    'Files',
    [
      {name: 'file', of: (one) => one.path},
      {name: 'size', of: (one) => one.bytes, text: bytes},
      {name: 'SHA-256', of: (one) => one.sha256, text: digest, left: true},
    ],
    from.files,
  );
  for (const {path, text} of from.configs)
    made.append(
      el('details', {class: 'config'}, el('summary', {}, path), el('pre', {tabindex: '0'}, text)),
    );
}
