// The parts of the page, from top to bottom. Each takes what it shows, and the page's state (see page.js).

/** A frame for a chart that is drawn when it comes into sight; `charts` collects them. */
function chartFrame(chart, charts) {
  const box = make('div', {class: 'plot'});
  charts.push({box, chart});
  return make('figure', {}, make('figcaption', {}, chart.title,
    chart.points.length > 0 && make('span', {class: 'soft small'}, '\u25c7 as published')), box);
}

const chartGrid = (list, charts) => make('div', {class: 'charts'}, list.map(chart => chartFrame(chart, charts)));

/** A picture, which bears its title itself. A click changes between its own size and the page's width (see page.css). */
function pictureButton(picture) {
  const button = make('button', {
    type: 'button', class: 'picture', 'aria-pressed': 'false', title: 'Change the size',
    onclick: () => button.setAttribute('aria-pressed', String(button.getAttribute('aria-pressed') !== 'true')),
  }, make('img', {src: pictureData[picture.file], alt: picture.title ?? picture.file}));
  return button;
}

/** A measured accuracy minus the published one, coloured by its sign. */
function difference(measured, published) {
  const value = isNumber(measured) && isNumber(published) ? measured - published : null;
  return make('span', {class: isNumber(value) && (value >= 0 ? 'better' : 'worse')}, signed(value, 2));
}

function bannerText() {
  return [make('strong', {}, 'Synthetic data'),
          'These images are computed textures, not CIFAR-10. No accuracy on this page can be compared with a published one.'];
}

/** What runs now, as {text, part}; null before the first epoch. */
function position() {
  const study = results.study;
  if (study?.points?.length) {
    const {norm, batch_size: size} = study.points.at(-1);
    const of = study.norms.length * study.batch_sizes.length * new Set(study.points.map(point => point.seed)).size;
    return {text: `${titleOf({norm})} with ${size} images in a batch: done`, part: study.points.length / of};
  }
  const experiment = experiments.findLast(candidate => (candidate.norms ?? []).some(norm => runsOf(norm).length > 0));
  const norm = experiment?.norms.findLast(candidate => runsOf(candidate).length > 0);
  if (!norm) return null;
  const run = runsOf(norm).at(-1);
  const epoch = epochsOf(run).at(-1).epoch;
  return {text: `${experiment.recipe}, ${titleOf(norm)}, seed ${run.seed}: epoch ${epoch} of ${experiment.epochs}`,
          part: epoch / experiment.epochs};
}

function statusLine(pauseButton) {
  if (results.finished) {
    const since = results.resumed ? ' since it went on' : '';
    return [make('span', {class: 'badge'}, 'Finished'), make('span', {}, `after ${duration(results.seconds)}${since}`)];
  }
  const now = position();
  if (results.interrupted || results.failed) {
    const error = results.failed === true ? 'with an error that could not be written here' : results.failed;
    return [
      make('span', {class: 'badge'}, results.failed ? 'Failed' : 'Interrupted'),
      error && make('span', {}, error),
      now && make('span', {}, now.text),
      results.resume && make('span', {}, 'Go on with ', make('code', {}, results.resume)),
    ];
  }
  return [
    make('span', {class: 'badge running'}, 'Training'),
    now && make('span', {}, now.text),
    now && make('progress', {value: now.part, max: 1, 'aria-label': 'How far it is'}),
    make('span', {class: 'soft', id: 'age'}),
    pauseButton,
  ];
}

function factsLine() {
  const parts = [
    results.data,
    isNumber(results.train_images) && `${fixed(results.train_images)} training and ${fixed(results.test_images)} test images`,
    isNumber(results.threads) && counted(results.threads, 'thread'),
    results.simd,
  ];
  return [parts.filter(Boolean).join(' \u00b7 ')];
}

/** All norms of all experiments as rows {experiment, norm}. */
const allRows = () => experiments.flatMap(experiment => (experiment.norms ?? []).map(norm => ({experiment, norm})));

const recipeColumn = {
  title: 'recipe',
  value: row => row.experiment.recipe,
  show: row => make('a', {href: `#${sectionId(row.experiment)}`}, row.experiment.recipe),
};
const normColumn = {
  title: 'norm',
  value: row => titleOf(row.norm),
  show: row => make('span', {}, swatch(colorOf(row.norm.norm)), titleOf(row.norm)),
};

/** The published accuracies beside those measured at the same epoch; null where nothing was published. */
function publishedSection(state) {
  const rows = allRows().filter(row => publishedOf(row.norm));
  if (rows.length === 0) return null;
  const published = (row, name) => publishedOf(row.norm)[name];
  const measured = (row, name) => figureAt(row.experiment, row.norm, published(row, 'epoch'), name);
  const group = (title, name) => [
    numberColumn(`published ${title} %`, 2, row => published(row, name)),
    spreadColumn(`measured ${title} %`, 2, row => measured(row, name)),
    {
      title: `difference, ${title}`,
      number: true,
      value: row => (isNumber(published(row, name)) ? (measured(row, name)?.mean ?? NaN) - published(row, name) : null),
      show: row => difference(measured(row, name)?.mean, published(row, name)),
    },
  ];
  const columns = [recipeColumn, normColumn,
                   {title: 'epoch', number: true, value: row => published(row, 'epoch') ?? row.experiment.epochs},
                   ...group('test', 'test_acc'), ...group('training', 'train_acc')];
  const partial = isNumber(results.train_images) && results.train_images < 50000;
  return make('section', {id: 'published'},
    make('h2', {}, 'Published against measured'),
    make('p', {}, 'Each accuracy at the epoch that it was published for.',
         rows.some(row => !measured(row, 'test_acc')) && ' A dash stands where no run has come that far.',
         partial && make('strong', {}, ` Trained on ${fixed(results.train_images)} of the 50,000 images only: expect less.`)),
    makeTable('published-table', 'Published and measured accuracies', columns, rows, state.sorting));
}

/** What each norm reached and what it costs. */
function figureColumns() {
  const count = row => settledRuns(row.experiment, row.norm).length;
  return [
    spreadColumn('test %', 2, row => finalFigure(row.experiment, row.norm, 'test_acc'), 'Test accuracy after the last epoch'),
    spreadColumn('training %', 2, row => finalFigure(row.experiment, row.norm, 'train_acc'), 'Training accuracy, last epoch'),
    spreadColumn('best test %', 2, row => bestFigure(row.experiment, row.norm), 'Highest test accuracy after any epoch'),
    {title: 'seeds', number: true, value: count},
    numberColumn('parameters', 0, row => row.norm.parameters),
    {
      title: 'multiply-adds',
      hint: 'In the forward pass of one image',
      number: true,
      value: row => row.norm.multiply_adds,
      show: row => (isNumber(row.norm.multiply_adds) ? `${fixed(row.norm.multiply_adds / 1e6, 2)} M` : missing),
    },
    spreadColumn('s/epoch', 1, row => trainingSeconds(row.experiment, row.norm), 'Seconds for the training of an epoch'),
    spreadColumn('images/s', 0, row => trainingSpeed(row.experiment, row.norm), 'Images trained in a second'),
    numberColumn('activations MB', 1, row => row.norm.activation_mb, 'Memory of what the layers keep for the backward pass'),
    numberColumn('peak MB', 0, row => row.norm.peak_rss_mb, 'The most memory of the program so far, data included'),
  ];
}

function overviewSection(state) {
  if (experiments.length < 2) return null;
  return make('section', {id: 'overview'}, make('h2', {}, 'All experiments'),
    makeTable('overview-table', 'After the last epoch; mean \u00b1 standard deviation over the seeds',
              [recipeColumn, normColumn, ...figureColumns()], allRows(), state.sorting));
}

function normCard(experiment, norm) {
  const test = finalFigure(experiment, norm, 'test_acc');
  const reached = Math.max(0, ...settledRuns(experiment, norm).map(run => epochsOf(run).length));
  const published = publishedOf(norm);
  const atPublished = published && figureAt(experiment, norm, published.epoch, 'test_acc');
  return make('div', {class: 'card', style: {borderLeftColor: colorName(colorOf(norm.norm))}},
    make('div', {class: 'name'}, titleOf(norm)),
    make('div', {class: 'large', title: 'Test accuracy'}, fixed(test?.mean, 2), make('small', {}, ' %'),
         isNumber(test?.std) && make('small', {}, ` \u00b1 ${fixed(test.std, 2)}`), make('small', {}, ' test')),
    make('p', {class: 'soft'}, `training ${spreadText(finalFigure(experiment, norm, 'train_acc'), 2)} %`),
    reached < experiment.epochs && make('p', {class: 'soft'}, `after ${reached} of ${counted(experiment.epochs, 'epoch')}`),
    published && make('p', {class: 'soft'}, `published ${fixed(published.test_acc, 2)} % `,
                      isNumber(published.epoch) && `at epoch ${published.epoch} `,
                      atPublished && ['(', difference(atPublished.mean, published.test_acc), ')']));
}

/** Per class and norm the percentage that was recognised, as sortable columns of bars; null without any. */
function classTable(experiment, state) {
  const norms = experiment.norms.filter(norm => classAccuracy(norm));
  if (norms.length === 0) return null;
  const rows = classes.map((name, index) => ({name, index}));
  const columns = [{title: 'class', value: row => row.name}, ...norms.map(norm => ({
    ...numberColumn(`${titleOf(norm)} %`, 1, row => classAccuracy(norm)[row.index]),
    decorate: (cell, row) => drawBar(cell, classAccuracy(norm)[row.index], colorOf(norm.norm)),
  }))];
  return [make('h3', {}, 'Accuracy by class'),
          makeTable(`classes-${experiment.recipe}`, 'Test images of each class that were recognised, first seed', columns, rows,
                    state.sorting)];
}

/** All about one norm, behind its name. */
function normDetails(experiment, norm, state, isFirst) {
  const id = `norm-${experiment.recipe}-${norm.norm}`;
  const mistakes = pictures.filter(picture =>
    picture.kind === 'misclassified' && picture.experiment === experiment.recipe && picture.norm === norm.norm);
  const facts = [
    `${fixed(norm.parameters)} parameters`,
    norm.schedule && `learning rate: ${norm.schedule}`,
    norm.l1_penalty > 0 && `L1 penalty ${short(norm.l1_penalty)}`,
  ].filter(Boolean).join(' \u00b7 ');
  const details = make('details', {id, open: state.open[id] ?? isFirst, ontoggle: () => { state.open[id] = details.open; }},
    make('summary', {}, swatch(colorOf(norm.norm)), make('strong', {}, titleOf(norm)), make('span', {class: 'soft'}, facts)),
    make('div', {},
      chartGrid(curvesOfNorm(experiment, norm), state.charts),
      make('div', {class: 'side-by-side'},
        norm.confusion && make('div', {}, make('h4', {}, 'Confusion matrix'),
                               make('p', {class: 'soft small'}, worstConfusions(norm)),
                               confusionTable(`confusion-${experiment.recipe}-${norm.norm}`, norm)),
        mistakes.length > 0 && make('div', {class: 'pictures'}, mistakes.map(pictureButton)))));
  return details;
}

function experimentSection(experiment, state) {
  const norms = experiment.norms ?? [];
  const seeds = seedCount(experiment);
  const facts = [
    counted(experiment.epochs, 'epoch'), `batch of ${fixed(experiment.batch_size)}`,
    `learning rate ${short(experiment.learning_rate)}${experiment.schedule ? `, ${experiment.schedule}` : ''}`,
    isNumber(experiment.momentum) && `momentum ${short(experiment.momentum)}`,
    experiment.flip > 0 && `${short(100 * experiment.flip)} % of the training images mirrored`,
    experiment.crop_padding > 0 && `training images moved by up to ${counted(experiment.crop_padding, 'pixel')}`,
    counted(seeds, 'seed'),
  ].filter(Boolean);
  const rows = norms.map(norm => ({experiment, norm}));
  return make('section', {id: sectionId(experiment)},
    make('h2', {}, `Recipe ${experiment.recipe}`),
    make('p', {class: 'soft'}, experiment.description ?? ''),
    make('ul', {class: 'facts'}, facts.map(fact => make('li', {}, fact))),
    make('div', {class: 'cards'}, norms.map(norm => normCard(experiment, norm))),
    make('h3', {}, 'The norms together'),
    seeds > 1 && make('p', {class: 'soft small'}, 'Lines are means over the seeds; bands reach from the lowest to the highest.'),
    chartGrid(curvesOfAll(experiment), state.charts),
    make('h3', {}, 'Figures, time and memory'),
    makeTable(`figures-${experiment.recipe}`,
              seeds > 1 ? 'After the last epoch; mean \u00b1 standard deviation over the seeds' : 'After the last epoch',
              [normColumn, ...figureColumns()], rows, state.sorting),
    classTable(experiment, state),
    make('h3', {}, 'Norm by norm'),
    norms.map((norm, index) => normDetails(experiment, norm, state, index === 0)));
}

/** Accuracy against batch size. */
function studySection(study, state) {
  if (!study?.points?.length) return null;
  const groups = new Map();
  for (const point of study.points) {
    const key = `${point.norm} ${point.batch_size}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(point);
  }
  const rows = [...groups.values()];
  const figure = name => row => spread(row.map(point => point[name]));
  const columns = [
    {title: 'norm', value: row => row[0].norm, show: row => make('span', {}, swatch(colorOf(row[0].norm)), titleOf(row[0]))},
    {title: 'batch size', number: true, value: row => row[0].batch_size},
    {title: 'learning rate', number: true, value: row => row[0].learning_rate, show: row => short(row[0].learning_rate)},
    spreadColumn('test %', 2, figure('test_acc')),
    spreadColumn('training %', 2, figure('train_acc')),
    {title: 'seeds', number: true, value: row => row.length},
    spreadColumn('seconds', 1, figure('seconds')),
  ];
  const size = [study.recipe && `recipe ${study.recipe}`, isNumber(study.epochs) && counted(study.epochs, 'epoch'),
                isNumber(study.limit) && `${fixed(study.limit)} images`];
  return make('section', {id: 'batch-size'},
    make('h2', {}, 'Batch size'),
    make('p', {}, 'Group and layer norm look at each image alone; batch norm takes the statistics of its batch, which say ',
         'little where the batch is small. The learning rate is in proportion to the batch.'),
    make('ul', {class: 'facts'}, size.filter(Boolean).map(fact => make('li', {}, fact))),
    chartGrid([studyCurves(study, 'Test accuracy by batch size', 'test_acc'),
               studyCurves(study, 'Training accuracy by batch size', 'train_acc')], state.charts),
    make('h3', {}, 'All batch sizes'),
    makeTable('study-table', 'Mean \u00b1 standard deviation over the seeds', columns, rows, state.sorting));
}

/** Pictures that belong to no norm: samples, classes, channels. */
function dataSection() {
  const list = pictures.filter(picture => picture.kind !== 'misclassified');
  if (list.length === 0) return null;
  return make('section', {id: 'data'}, make('h2', {}, 'The data'),
    make('p', {class: 'soft'}, 'A click changes the size of a picture.'),
    make('div', {class: 'pictures'}, list.map(pictureButton)));
}

function footerText() {
  return [
    make('p', {}, `Written by ${results.program ?? 'cifar10_norms'} ${results.version ?? ''}`,
         results.started && `, started ${results.started.replace('T', ' ').replace('Z', ' UTC')}`, '.'),
    results.command && make('p', {}, make('code', {}, results.command)),
  ];
}
