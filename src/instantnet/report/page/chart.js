// ---- Charts: one theme, light or dark; every chart has its data as a table and as CSV.

const kInk = {
  light: {
    dark: false,
    ink: '#1c2430',
    muted: '#5b6675',
    line: '#d9dee5',
    faint: '#eef1f4',
    surface: '#ffffff',
    bar: '#3d6f9e',
    // Okabe and Ito's colours, which the colour-blind tell apart.
    systems: ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#b58900', '#56b4e9', '#6b6b6b'],
    widths: ['#1b2a6b', '#1f6f8b', '#3f9a5f', '#a39424', '#dd7a3a', '#c9558d'],
    levels: ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#a05a2c'],
    mac: '#7d8794',
    rest: '#b9c0c9',
  },
  dark: {
    dark: true,
    ink: '#e8ecf1',
    muted: '#9aa6b4',
    line: '#36404c',
    faint: '#222a33',
    surface: '#171d24',
    bar: '#6ea5d8',
    systems: ['#4fa9e2', '#f0814a', '#35c49a', '#e3a0c6', '#dcb23c', '#8fd0f5', '#b0b0b0'],
    widths: ['#8c9cf0', '#58b4cf', '#74c98f', '#d6c653', '#f0a06c', '#e88abb'],
    levels: ['#4fa9e2', '#f0b642', '#35c49a', '#e3a0c6', '#8fd0f5', '#d08a5a'],
    mac: '#96a1ae',
    rest: '#5d6875',
  },
};
const kSymbols = [
  'circle',
  'diamond',
  'triangle',
  'rect',
  'path://M0,0 L10,0 L5,9 z',
  'path://M4,0 h4 v4 h4 v4 h-4 v4 h-4 v-4 h-4 v-4 h4 z',
  'pin',
];
const kNarrow = 560;

const allCharts = [];
let printing = false;
let chosenTheme = 'auto';
const systemDark = matchMedia('(prefers-color-scheme: dark)');
const isDark = () =>
  !printing && (chosenTheme === 'dark' || (chosenTheme === 'auto' && systemDark.matches));
const theme = () => (isDark() ? kInk.dark : kInk.light);

/** Colour of a bit-width, from the lowest to the highest of `all`. */
function widthColor(ink, bits, all) {
  const at =
    all.length < 2
      ? 0
      : Math.round((all.indexOf(bits) * (ink.widths.length - 1)) / (all.length - 1));
  return ink.widths[Math.max(0, at)];
}

function axis(ink, name, more, place) {
  const value = more.type !== 'category';
  return {
    name,
    ...place,
    nameTextStyle: {color: ink.muted, fontSize: 12, ...place.nameTextStyle},
    axisLine: {show: !value, lineStyle: {color: ink.line}},
    axisTick: {show: false},
    splitLine: {show: value, lineStyle: {color: ink.faint}},
    ...more,
    axisLabel: {
      color: ink.muted,
      fontSize: 11,
      hideOverlap: true,
      showMinLabel: more.min === undefined ? undefined : typeof more.min !== 'function',
      showMaxLabel: more.max === undefined ? undefined : typeof more.max !== 'function',
      ...more.axisLabel,
    },
  };
}

/** Below the plot, its name in the middle. */
const xAxis = (ink, name, more = {}) =>
  axis(ink, name, more, {nameLocation: 'middle', nameGap: 30});
/** Its name stands on top, to be read without turning the head. */
const yAxis = (ink, name, more = {}) =>
  axis(ink, name, more, {
    nameLocation: 'end',
    nameGap: 12,
    nameTextStyle: {align: 'left', padding: [0, 0, 0, -4]},
  });

/** A logarithmic axis around these values, with labels at 1, 2, 5, 10, ... or powers of ten. */
function logScale(values, text, room = 1.3) {
  const min = Math.min(...values) / room,
    max = Math.max(...values) * room;
  const decades = Math.log10(max / min),
    steps = decades > 3 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 5],
    ticks = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); ++power)
    for (const step of steps)
      if (step * 10 ** power >= min && step * 10 ** power <= max)
        ticks.push(+(step * 10 ** power).toPrecision(3));
  return {
    type: 'log',
    min,
    max,
    axisLabel: {customValues: ticks, formatter: text, showMinLabel: true, showMaxLabel: true},
    axisTick: {show: false, customValues: ticks},
  };
}

/** Some room around what is drawn. */
const roomy = {
  min: (v) => v.min - (v.max - v.min || 1) * 0.08,
  max: (v) => v.max + (v.max - v.min || 1) * 0.15,
};

/** Accuracy upwards, in percent. */
const accuracyAxis = (ink) =>
  yAxis(ink, 'accuracy', {
    type: 'value',
    scale: true,
    axisLabel: {formatter: (v) => `${+v.toFixed(2)} %`},
    ...roomy,
  });

/** What a tooltip says: a heading and rows of name and value. */
function tip(title, rows) {
  return el(
    'div',
    {class: 'tip'},
    el('strong', {}, title),
    el(
      'dl',
      {},
      rows.map(([name, value, color]) => [
        el('dt', {}, color ? el('i', {style: {background: color}}) : null, name),
        el('dd', {}, value),
      ]),
    ),
  );
}

/** Lines that a legend takes when nothing of it is hidden; 0 for none. */
function legendLines(option, width) {
  if (option.legend === null) return 0;
  const names = (option.legend && option.legend.data) || [
    ...new Set(option.series.map((series) => series.name).filter(Boolean)),
  ];
  let lines = names.length > 0 ? 1 : 0,
    at = 0;
  for (const name of names) {
    const needs = 42 + 6.9 * name.length;
    if (at > 0 && at + needs > width - 16) {
      ++lines;
      at = 0;
    }
    at += needs;
  }
  return lines;
}

const kLegendLine = 22,
  kMostLegendLines = 5;

function base(ink, option, lines) {
  const plain = lines <= kMostLegendLines,
    shift = plain ? kLegendLine * Math.max(0, lines - 1) : 0;
  const grid = {left: 12, right: 24, top: 60, bottom: 40, containLabel: true};
  const shifted = (one) => (one.top === undefined ? one : {...one, top: one.top + shift});
  return {
    animation: false,
    backgroundColor: 'transparent',
    color: ink.systems,
    textStyle: {
      fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
      color: ink.ink,
    },
    ...option,
    grid: Array.isArray(option.grid) ? option.grid.map(shifted) : shifted(option.grid || grid),
    legend:
      option.legend === null
        ? undefined
        : {
            type: plain ? 'plain' : 'scroll',
            top: 0,
            left: 0,
            itemWidth: 18,
            itemHeight: 10,
            itemGap: 16,
            textStyle: {color: ink.ink, fontSize: 12},
            pageTextStyle: {color: ink.muted},
            pageIconColor: ink.ink,
            pageIconInactiveColor: ink.line,
            inactiveColor: ink.line,
            ...option.legend,
          },
    tooltip: {
      confine: true,
      backgroundColor: ink.surface,
      borderColor: ink.line,
      textStyle: {color: ink.ink, fontSize: 12},
      ...option.tooltip,
    },
  };
}

/**
 * A figure. id: unique; title; label: what it shows in words; height: pixels or (width) => pixels;
 * option: (ink, width) => an ECharts option; data: () => rows with a header, for CSV and table.
 */
function figure(parent, {id, title, label, height = 340, option, data}) {
  const plot = el('div', {class: 'plot', role: 'img', 'aria-label': `${title}. ${label || ''}`});
  const details = el(
    'details',
    {
      class: 'data',
      ontoggle: () => {
        const place = details.querySelector('.scroll');
        if (details.open && !place.firstChild) place.append(plainTable(data()));
      },
    },
    el('summary', {}, 'Data as a table'),
    el('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `Data of ${title}`}),
  );
  const card = el(
    'figure',
    {class: 'card', id},
    el(
      'div',
      {class: 'bar'},
      el('figcaption', {}, title),
      el(
        'span',
        {class: 'buttons'},
        button('CSV', `Download the data of ${title} as CSV`, () =>
          download(`${id}.csv`, csvText(data())),
        ),
      ),
    ),
    plot,
    details,
  );
  parent.append(card);
  const made = {
    id,
    plot,
    card,
    chart: null,
    width: 0,
    refresh() {
      const width = plot.clientWidth || 600;
      const drawn = option(theme(), width),
        lines = legendLines(drawn, width);
      const tall =
        (typeof height === 'function' ? height(width) : height) +
        (lines <= kMostLegendLines ? kLegendLine * Math.max(0, lines - 1) : 0);
      plot.style.height = `${tall}px`;
      if (!made.chart)
        made.chart = echarts.init(plot, null, {renderer: 'svg', width, height: tall});
      else made.chart.resize({width, height: tall});
      made.width = width;
      made.chart.setOption(base(theme(), drawn, lines), true);
      const place = details.querySelector('.scroll');
      if (place.firstChild) clear(place).append(plainTable(data()));
    },
  };
  allCharts.push(made);
  made.refresh();
  return made;
}

function plainTable([header, ...rows]) {
  const shown = (value) =>
    typeof value === 'number' && !Number.isInteger(value)
      ? String(+value.toPrecision(6))
      : (value ?? '');
  return el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        header.map((name) => el('th', {scope: 'col'}, name)),
      ),
    ),
    el(
      'tbody',
      {},
      rows.slice(0, 2000).map((row) =>
        el(
          'tr',
          {},
          row.map((value) => el('td', {}, shown(value))),
        ),
      ),
    ),
  );
}

function refreshAll() {
  for (const one of allCharts) one.refresh();
}

function dropCharts() {
  for (const one of allCharts) one.chart.dispose();
  allCharts.length = 0;
}

function applyTheme() {
  document.documentElement.dataset.theme = printing ? 'light' : chosenTheme;
  refreshAll();
}

function watchTheme() {
  systemDark.addEventListener('change', applyTheme);
  const print = (on) => {
    if (printing !== on) {
      printing = on;
      applyTheme();
    }
  };
  addEventListener('beforeprint', () => print(true));
  addEventListener('afterprint', () => print(false));
  matchMedia('print').addEventListener('change', (event) => print(event.matches));
  new ResizeObserver(() => {
    for (const one of allCharts)
      if (one.plot.clientWidth && one.plot.clientWidth !== one.width) one.refresh();
  }).observe(byId('report'));
}
