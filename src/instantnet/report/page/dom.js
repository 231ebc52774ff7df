// ---- Elements, buttons, choices.

/** el('p', {class: 'note'}, 'text', other): text is never read as HTML. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (key === 'style') Object.assign(made.style, value);
    else made.setAttribute(key, value === true ? '' : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

const byId = (id) => document.getElementById(id);
const clear = (element) => {
  element.replaceChildren();
  return element;
};
const slug = (text) =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');

/** For screen readers. */
function say(text) {
  byId('said').textContent = text;
}

function button(text, label, pressed) {
  return el(
    'button',
    {type: 'button', class: 'button', 'aria-label': label, onclick: pressed},
    text,
  );
}

function csvText(rows) {
  const cell = (value) => {
    const text = value === null || value === undefined ? '' : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(',')).join('\n') + '\n';
}

function download(name, text) {
  const link = el('a', {
    href: URL.createObjectURL(new Blob([text], {type: 'text/csv'})),
    download: name,
  });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  say(`${name} downloaded`);
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el('textarea', {class: 'unseen'}, text);
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  say('copied');
}

let choices = 0;

/** One of some values, as buttons in a row (radio buttons); many become a list to choose from. */
function choice(parent, label, values, chosen, changed, texts = values) {
  if (values.length < 2) return;
  if (texts.join('').length + 3 * texts.length > (innerWidth < kNarrow ? 36 : 80))
    return select(parent, label, values, chosen, changed, texts);
  const name = `choice-${++choices}`;
  parent.append(
    el(
      'fieldset',
      {class: 'choice'},
      el('legend', {}, label),
      values.map((value, i) =>
        el(
          'label',
          {},
          el('input', {
            type: 'radio',
            name,
            value,
            checked: value === chosen,
            onchange: () => changed(value),
          }),
          el('span', {}, texts[i]),
        ),
      ),
    ),
  );
}

function select(parent, label, values, chosen, changed, texts = values) {
  if (values.length < 2) return;
  const list = el(
    'select',
    {onchange: () => changed(values[list.selectedIndex])},
    values.map((value, i) => el('option', {selected: value === chosen}, texts[i])),
  );
  parent.append(el('label', {class: 'select'}, el('span', {}, label), list));
}

const kSections = [];

/** A section with its heading and one sentence. */
function section(id, title, takeaway) {
  const made = el(
    'section',
    {id, 'aria-labelledby': `${id}-title`},
    el('h2', {id: `${id}-title`}, title),
    takeaway ? el('p', {class: 'takeaway'}, takeaway) : null,
  );
  byId('report').append(made);
  kSections.push({id, title});
  return made;
}

const controls = (parent) => {
  const row = el('div', {class: 'controls'});
  parent.append(row);
  return row;
};
const note = (parent, text) => text && parent.append(el('p', {class: 'note'}, text));
const heading = (parent, text) => parent.append(el('h3', {}, text));
