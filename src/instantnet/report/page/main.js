// ---- All sections, drawn for the run that is chosen.

function drawTools() {
  const tools = clear(byId('tools'));
  select(
    tools,
    'Run',
    report.runs,
    run,
    (one) => {
      run = one;
      draw();
    },
    report.runs.map((one) => one.name),
  );
  const names = {auto: 'Auto', light: 'Light', dark: 'Dark'};
  const toggle = button('', '', () => {
    chosenTheme = isDark() ? 'light' : 'dark';
    relabel();
    applyTheme();
  });
  const relabel = () => {
    toggle.textContent = isDark() ? '☀' : '☾';
    toggle.setAttribute(
      'aria-label',
      isDark()
        ? `Theme: ${names[chosenTheme]}; change to light`
        : `Theme: ${names[chosenTheme]}; change to dark`,
    );
  };
  relabel();
  systemDark.addEventListener('change', relabel);
  toggle.id = 'theme';
  tools.append(
    toggle,
    button('Print', 'Print this page', () => print()),
  );
}

function drawContents() {
  clear(byId('contents')).append(
    ...kSections.map(({id, title}) => el('li', {}, el('a', {href: `#${id}`}, title))),
  );
}

function draw() {
  dropCharts();
  kSections.length = 0;
  clear(byId('report'));
  drawHeader();
  for (const one of [
    drawAccuracy,
    drawTraining,
    drawSearch,
    drawMapping,
    drawDeployment,
    drawBudget,
    drawProvenance,
  ])
    one();
  drawContents();
}

drawTools();
draw();
watchTheme();

/** For tests: what was drawn. */
window.instantnetReport = {
  document: report,
  charts: () => allCharts.map(({id, chart, plot}) => ({id, option: chart.getOption(), plot})),
  print: (on) => {
    printing = on;
    applyTheme();
  },
};
