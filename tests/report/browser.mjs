// Opens reports in headless Chromium, as a reader would, from file://.
//   node browser.mjs TOOLS FULL.html PART.html...
// TOOLS: a folder with node_modules/playwright-core; FULL: of a folder with every part; PART: of
// folders with some.
import assert from 'node:assert/strict';
import {existsSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {resolve} from 'node:path';

const [tools, full, ...parts] = process.argv.slice(2).map((path) => resolve(path));
const {chromium} = createRequire(`${tools}/x.js`)('playwright-core');
const executablePath = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find(existsSync);
const browser = await chromium.launch({executablePath, args: ['--no-sandbox']});

/** A page that must not say a word on the console nor ask the network for anything. */
async function open(file, {width = 1440, scheme = 'light', ...more} = {}) {
  const context = await browser.newContext({
    viewport: {width, height: 900},
    colorScheme: scheme,
    acceptDownloads: true,
    ...more,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(120000); // machines that build meanwhile are slow
  const complaints = [],
    requests = [];
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.route('**/*', (route) => {
    const url = route.request().url();
    if (url === `file://${file}` || url.startsWith('data:') || url.startsWith('blob:'))
      return route.continue();
    requests.push(url);
    return route.abort();
  });
  await page.goto(`file://${file}`);
  await page.waitForFunction(() => window.instantnetReport);
  return {
    page,
    async close() {
      assert.deepEqual(complaints, [], `${file} at ${width}`);
      assert.deepEqual(requests, [], `${file} at ${width} asks the network`);
      await context.close();
    },
  };
}

/** Of each chart: its series, the points they hold, and the shapes that were drawn. */
const drawn = (page) =>
  page.evaluate(() =>
    window.instantnetReport.charts().map(({id, option, plot}) => ({
      id,
      points: option.series.map(
        (series) => series.data.filter((one) => one !== null && one !== undefined).length,
      ),
      shapes: plot.querySelectorAll('svg path, svg rect, svg text').length,
      width: plot.clientWidth,
      label: plot.getAttribute('aria-label'),
    })),
  );

async function checkCharts(page, where) {
  const charts = await drawn(page);
  for (const chart of charts) {
    assert.ok(
      chart.points.length > 0 && Math.max(...chart.points) > 0,
      `${where}: ${chart.id} has no data`,
    );
    assert.ok(chart.shapes > 10, `${where}: ${chart.id} drew ${chart.shapes} shapes`);
    assert.ok(chart.label.length > 10, `${where}: ${chart.id} says nothing to a screen reader`);
  }
  return charts.map((chart) => chart.id);
}

const kAll = [
  'accuracy-cost',
  'accuracy-width',
  'training-curves',
  'operator-weights',
  'operator-map',
  'search-cost',
  'search-decision',
  'energy-width',
  'roofline',
  'energy-layer',
  'size',
  'times',
  'budget-trace',
  'budget-outcome',
];

const tests = {
  async 'every chart is drawn with data at three widths, light and dark'() {
    for (const width of [390, 820, 1440])
      for (const scheme of ['light', 'dark']) {
        const {page, close} = await open(full, {width, scheme});
        assert.deepEqual(await checkCharts(page, `${width} ${scheme}`), kAll);
        assert.equal(
          await page.evaluate(() => document.documentElement.scrollWidth),
          width,
          `the page scrolls sideways at ${width}`,
        );
        await close();
      }
  },
  async 'a report of part of a pipeline shows what is there'() {
    for (const file of parts) {
      const {page, close} = await open(file);
      await checkCharts(page, file);
      assert.ok((await page.locator('section').count()) > 0);
      await close();
    }
  },
  async 'sections have headings, the contents lead to them, tiles have numbers'() {
    const {page, close} = await open(full);
    const headings = await page.locator('section > h2').allTextContents();
    assert.deepEqual(headings, [
      'Accuracy and cost',
      'Training',
      'Search',
      'Mapping',
      'Deployment',
      'By a budget',
      'Provenance',
    ]);
    assert.deepEqual(await page.locator('#contents a').allTextContents(), headings);
    for (const link of await page.locator('#contents a').all())
      assert.equal(await page.locator(await link.getAttribute('href')).count(), 1);
    for (const text of await page.locator('.tile .value').allTextContents())
      assert.match(text, /\d|optimal/);
    for (const sentence of await page.locator('.takeaway').allTextContents())
      assert.doesNotMatch(sentence, /NaN|undefined|null|Infinity/);
    await close();
  },
  async 'nothing on the page reads undefined or NaN'() {
    const {page, close} = await open(full);
    assert.doesNotMatch(
      await page.evaluate(() => document.getElementById('report').innerText),
      /\b(NaN|undefined|Infinity)\b/,
    );
    await close();
  },
  async 'the figure of accuracy against cost switches cost and device'() {
    const {page, close} = await open(full);
    const x = () =>
      page.evaluate(() => window.instantnetReport.charts()[0].option.series[0].data[0].value[0]);
    const before = await x();
    await page.locator('#accuracy .choice label', {hasText: 'Energy'}).click();
    const energy = await x();
    assert.notEqual(energy, before);
    const devices = page.locator('#accuracy .choice').nth(1).locator('label');
    await devices.nth(1).click();
    assert.notEqual(await x(), energy);
    await close();
  },
  async 'every choice can be made'() {
    for (const file of [full, ...parts]) {
      const {page, close} = await open(file, {width: 820});
      for (let i = 0; i < (await page.locator('.choice label').count()); ++i)
        await page.locator('.choice label').nth(i).click();
      for (let i = 0; i < (await page.locator('select').count()); ++i)
        for (
          let at = (await page.locator('select').nth(i).locator('option').count()) - 1;
          at >= 0;
          --at
        )
          await page.locator('select').nth(i).selectOption({index: at});
      await checkCharts(page, file);
      await close();
    }
  },
  async 'a chart says what the mouse points at'() {
    const {page, close} = await open(full);
    for (const {id} of await drawn(page)) {
      await page.locator(`#${id} .plot`).scrollIntoViewIfNeeded();
      const box = await page.locator(`#${id} .plot`).boundingBox();
      for (const at of [0.3, 0.5, 0.7])
        await page.mouse.move(box.x + box.width * at, box.y + box.height * 0.5, {steps: 3});
    }
    const tips = await page.locator('.tip').allTextContents();
    assert.ok(tips.length > 5, `${tips.length} charts said something`);
    for (const text of tips) assert.doesNotMatch(text, /object|undefined|NaN/);
    await close();
  },
  async 'a table sorts by a click, up and down'() {
    const {page, close} = await open(full);
    const table = page.locator('#accuracy .table').first();
    const head = table.locator('thead th', {hasText: 'energy'});
    const column = async () =>
      (
        await table
          .locator('tbody tr')
          .evaluateAll((rows) => rows.map((row) => row.children[3].textContent))
      ).map(
        (text) =>
          parseFloat(text) *
          ({n: 1e-9, µ: 1e-6, m: 1e-3, p: 1e-12}[text.replace(/[\d.\s\u00a0]/g, '')[0]] || 1),
      );
    await head.locator('button').click();
    assert.equal(await head.getAttribute('aria-sort'), 'ascending');
    const up = await column();
    assert.deepEqual(
      up,
      [...up].sort((a, b) => a - b),
    );
    await head.locator('button').click();
    assert.equal(await head.getAttribute('aria-sort'), 'descending');
    assert.deepEqual(
      await column(),
      [...(await column())].sort((a, b) => b - a),
    );
    await close();
  },
  async 'CSV holds what the chart shows'() {
    const {page, close} = await open(full);
    for (const id of kAll) {
      await page.waitForTimeout(150); // Chromium drops the eleventh download in a second
      const [file] = await Promise.all([
        page.waitForEvent('download'),
        page.locator(`#${id} .buttons button`).click(),
      ]);
      assert.equal(file.suggestedFilename(), `${id}.csv`);
      const lines = readFileSync(await file.path(), 'utf8')
        .trim()
        .split('\n');
      assert.ok(lines.length > 1, `${id}.csv has no line`);
      for (const line of lines) assert.doesNotMatch(line, /undefined|NaN|\[object/, `${id}.csv`);
    }
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('#accuracy-width .buttons button').click(),
    ]);
    const [header, ours] = readFileSync(await file.path(), 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split(','));
    const accuracy = await page.evaluate(
      () => window.instantnetReport.document.runs[0].systems[0].accuracy,
    );
    assert.deepEqual(
      ours.slice(1).map(Number),
      header.slice(1).map((name) => accuracy[parseInt(name)]),
    );
    await close();
  },
  async 'a table is copied with its heading'() {
    const {page, close} = await open(full, {permissions: ['clipboard-read', 'clipboard-write']});
    await page.locator('#accuracy .table').first().locator('button', {hasText: 'Copy'}).click();
    await page.waitForFunction(() => document.getElementById('said').textContent === 'copied');
    const text = await page.evaluate(() => navigator.clipboard.readText());
    assert.match(text, /^system\tbits\taccuracy\t/);
    await close();
  },
  async 'the button changes between light and dark'() {
    const {page, close} = await open(full);
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await background();
    await page.locator('#theme').click();
    assert.notEqual(await background(), light);
    await page.locator('#theme').click();
    assert.equal(await background(), light);
    await close();
  },
  async 'on paper it is light and has no buttons'() {
    const {page, close} = await open(full, {scheme: 'dark'});
    await page.emulateMedia({media: 'print', colorScheme: 'dark'});
    await page.waitForFunction(() => document.documentElement.dataset.theme === 'light');
    assert.equal(
      await page.evaluate(() => getComputedStyle(document.body).backgroundColor),
      'rgb(255, 255, 255)',
    );
    assert.equal(await page.locator('.button:visible').count(), 0);
    await checkCharts(page, 'print');
    await close();
  },
  async 'all of it can be reached by the keyboard'() {
    const {page, close} = await open(full);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
    const unnamed = await page.evaluate(
      () =>
        [...document.querySelectorAll('button, select, input, a')].filter(
          (one) =>
            !(
              one.getAttribute('aria-label') ||
              one.textContent ||
              (one.labels && one.labels.length)
            ),
        ).length,
    );
    assert.equal(unnamed, 0);
    await close();
  },
  async 'the data of a chart can be read as a table'() {
    const {page, close} = await open(full);
    await page.locator('#training-curves summary').click();
    const rows = page.locator('#training-curves details tbody tr');
    await rows.nth(1).waitFor(); // the table is made when the browser says that it was opened
    assert.ok((await rows.count()) > 1);
    await close();
  },
};

let failed = 0;
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok: ${name}`);
  } catch (error) {
    ++failed;
    console.log(`FAILED: ${name}\n${error.stack}`);
  }
}
await browser.close();
console.log(`${Object.keys(tests).length - failed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
