// ---- Tables: sorted by a click on a heading, copied, saved as CSV.

/**
 * columns: {name, of: row -> value, text: value, row -> shown, left: true for text}.
 * A value sorts and goes into the CSV, its text is shown.
 */
function table(parent, title, columns, rows) {
  if (rows.length === 0) return null;
  const values = rows.map((row) => columns.map((column) => column.of(row)));
  const order = rows.map((_, i) => i);
  const body = el('tbody');
  const draw = () =>
    clear(body).append(
      ...order.map((i) =>
        el(
          'tr',
          {},
          columns.map((column, c) => {
            const shown = column.text ? column.text(values[i][c], rows[i]) : values[i][c];
            const text = shown === null || shown === undefined ? '–' : shown;
            return el(
              c === 0 ? 'th' : 'td',
              {class: column.left || c === 0 ? 'left' : null, scope: c === 0 ? 'row' : null},
              text,
            );
          }),
        ),
      ),
    );
  let sorted = -1,
    down = false;
  const heads = columns.map((column, c) =>
    el(
      'th',
      {scope: 'col', class: column.left || c === 0 ? 'left' : null},
      el(
        'button',
        {
          type: 'button',
          onclick: () => {
            down = sorted === c && !down;
            sorted = c;
            order.sort((a, b) => compare(values[a][c], values[b][c]) * (down ? -1 : 1) || a - b);
            heads.forEach((head, i) =>
              head.setAttribute('aria-sort', i !== c ? 'none' : down ? 'descending' : 'ascending'),
            );
            draw();
          },
        },
        column.name,
      ),
    ),
  );
  draw();
  const data = () => [columns.map((column) => column.name), ...order.map((i) => values[i])];
  const bar = el(
    'div',
    {class: 'bar'},
    el('h4', {}, title),
    el(
      'span',
      {class: 'buttons'},
      button('Copy', `Copy the table ${title}`, () =>
        copy(
          data()
            .map((row) => row.join('\t'))
            .join('\n'),
        ),
      ),
      button('CSV', `Download the table ${title} as CSV`, () =>
        download(`${slug(title)}.csv`, csvText(data())),
      ),
    ),
  );
  const made = el(
    'div',
    {class: 'table'},
    bar,
    el(
      'div',
      {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title},
      el('table', {}, el('thead', {}, el('tr', {}, heads)), body),
    ),
  );
  parent.append(made);
  return made;
}

function compare(a, b) {
  const none = (value) => value === null || value === undefined || value === '';
  if (none(a) || none(b)) return none(a) - none(b);
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), 'en', {numeric: true});
}
