// Builds the page, and keeps it fresh while training runs.

const refreshSeconds = 5;
const storageKey = `normnet-report ${location.pathname}`;

/** What survives a refresh: the place on the page, how tables are sorted, what is open, what has the focus. */
function loadState() {
  const empty = {sorting: {}, open: {}, scrolled: {}, paused: false, anchor: null, focus: null};
  try {
    return {...empty, ...JSON.parse(sessionStorage.getItem(storageKey)), charts: []};
  } catch {  // no storage for this page, or something else in it
    return {...empty, charts: []};
  }
}

/** The place on the page is kept as a distance from a section, because what is above it may grow. */
function saveState(state) {
  const {charts, ...kept} = state;
  const sections = [...document.querySelectorAll('main section')];
  const above = sections.findLast(section => section.getBoundingClientRect().top <= 100);
  kept.anchor = {id: above?.id ?? null, offset: above ? -above.getBoundingClientRect().top : window.scrollY};
  kept.scrolled = {};
  for (const box of document.querySelectorAll('.scroll[id]')) {
    if (box.scrollLeft > 0) kept.scrolled[box.id] = box.scrollLeft;
  }
  kept.focus = document.activeElement?.id || null;
  try {
    sessionStorage.setItem(storageKey, JSON.stringify(kept));
  } catch {
    return;  // without storage the page starts afresh
  }
}

function restorePlace(state) {
  for (const [id, left] of Object.entries(state.scrolled)) {
    const box = document.getElementById(id);
    if (box) box.scrollLeft = left;
  }
  if (state.focus) document.getElementById(state.focus)?.focus({preventScroll: true});
  if (!state.anchor) return;
  const section = state.anchor.id && document.getElementById(state.anchor.id);
  window.scrollTo(0, (section ? section.getBoundingClientRect().top + window.scrollY : 0) + state.anchor.offset);
}

/** Draws each chart when it comes near the window, and all drawn ones anew when light and dark change. */
function drawCharts(charts) {
  const draw = typeof Chart === 'undefined' ? drawAsSvg : drawOnCanvas;
  const redraw = item => {
    item.remove?.();
    item.remove = draw(item.box, item.chart);
  };
  const drawOnce = item => item.remove || redraw(item);
  const near = 400;
  const observer = new IntersectionObserver(entries => {
    for (const entry of entries) if (entry.isIntersecting) drawOnce(charts.find(item => item.box === entry.target));
  }, {rootMargin: `${near}px`});
  for (const item of charts) {  // those in sight at once, so that a refresh does not flicker
    const {top, bottom, width} = item.box.getBoundingClientRect();
    if (width > 0 && bottom > -near && top < innerHeight + near) drawOnce(item);
    observer.observe(item.box);
  }
  const redrawAll = () => charts.filter(item => item.remove).forEach(redraw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawAll);
  if (draw === drawAsSvg) {
    let width = innerWidth;
    addEventListener('resize', () => {
      if (innerWidth !== width) redrawAll();
      width = innerWidth;
    });
  }
}

/** When the page was written; after half an hour, the doubt whether anybody still writes it. */
function showAge() {
  const age = (Date.now() - Date.parse(results.started)) / 1000 - results.seconds;
  if (!isNumber(age)) return;
  const text = duration(Math.max(0, Math.round(age)));
  document.getElementById('age').textContent =
    age < 1800 ? `updated ${text} ago` : `no news for ${text}: is the program still running?`;
}

/** Loads the page again and again: not while it is paused, hidden, or read under the pointer (for at most half a minute). */
function keepFresh(state) {
  let waited = 0;
  showAge();
  setInterval(() => {
    showAge();
    waited += 1;
    const reading = document.querySelector('.plot:hover') || !getSelection().isCollapsed;
    if (waited < refreshSeconds || state.paused || document.hidden || (reading && waited < 30)) return;
    location.reload();
  }, 1000);
}

function buildPage() {
  const state = loadState();
  const place = (id, ...content) => document.getElementById(id).replaceChildren(...content.flat().filter(Boolean));
  const pauseButton = make('button', {
    type: 'button', id: 'pause', 'aria-pressed': String(state.paused),
    onclick: () => {
      state.paused = !state.paused;
      pauseButton.setAttribute('aria-pressed', String(state.paused));
      pauseButton.textContent = state.paused ? 'Refresh again' : 'Pause';
    },
  }, state.paused ? 'Refresh again' : 'Pause');

  if (results.synthetic) {
    place('banner', bannerText());
    document.getElementById('banner').hidden = false;
  }
  place('subject', `on ${imagesName}`);
  place('status', statusLine(pauseButton));
  place('facts', factsLine());
  const sections = [publishedSection(state), overviewSection(state),
                    ...experiments.map(experiment => experimentSection(experiment, state)), studySection(results.study, state),
                    dataSection()].filter(Boolean);
  place('main', sections.length > 0 ? sections : make('p', {class: 'soft'}, 'There is no result yet.'));
  place('contents', sections.length < 2 ? [] : sections.map(section =>
    make('a', {href: `#${section.id}`}, section.querySelector('h2').textContent.replace('Recipe ', ''))));
  place('footer', footerText());
  const ended = results.finished || results.interrupted || results.failed;
  const recipes = experiments.map(experiment => experiment.recipe).join(', ') || 'batch size';
  document.title = `${ended ? '' : '\u25cf '}${recipes} \u00b7 normalizations on ${imagesName}`;

  history.scrollRestoration = 'manual';
  restorePlace(state);
  drawCharts(state.charts);
  addEventListener('pagehide', () => saveState(state));
  if (!ended) keepFresh(state);
}

buildPage();
