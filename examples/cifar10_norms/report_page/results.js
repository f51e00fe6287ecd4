// results.json, and what is computed from it.

const results = JSON.parse(document.getElementById('results').textContent);
const pictureData = JSON.parse(document.getElementById('pictures').textContent);
const experiments = results.experiments ?? [];
const classes = results.classes ?? [];

const imagesName = results.synthetic ? 'synthetic textures' : 'CIFAR-10';

/** The pictures whose bytes are in this page. */
const pictures = (results.pictures ?? []).filter(picture => pictureData[picture.file]);

/** The same normalization has the same colour and the same marks everywhere; those that are not usual, in order of appearance. */
const colorOf = (() => {
  const usual = ['bn', 'gn', 'ln'];
  const others = [];
  for (const experiment of experiments) {
    for (const {norm} of experiment.norms ?? []) if (!usual.includes(norm) && !others.includes(norm)) others.push(norm);
  }
  for (const norm of results.study?.norms ?? []) if (!usual.includes(norm) && !others.includes(norm)) others.push(norm);
  const order = [...usual, ...others];
  return norm => (Math.max(0, order.indexOf(norm)) % 8) + 1;
})();

const titleOf = ({norm, title}) => title ?? (norm === 'none' ? 'no norm' : norm.replace(':', '').toUpperCase());
const epochsOf = run => run.epochs ?? [];
const runsOf = norm => (norm.runs ?? []).filter(run => epochsOf(run).length > 0);

/** The runs that have come to their end, or, as long as there are none, those that have begun. */
function settledRuns(experiment, norm) {
  const runs = runsOf(norm);
  const whole = runs.filter(run => epochsOf(run).length >= experiment.epochs);
  return whole.length > 0 ? whole : runs;
}

/** A figure of the last epoch, over the seeds. */
const finalFigure = (experiment, norm, name) =>
  spread(settledRuns(experiment, norm).map(run => epochsOf(run).at(-1)[name]));

/** A figure at an epoch (null: the last), over the seeds that have reached it. */
function figureAt(experiment, norm, epoch, name) {
  if (!isNumber(epoch)) return finalFigure(experiment, norm, name);
  return spread(runsOf(norm).map(run => epochsOf(run).find(record => record.epoch === epoch)?.[name]));
}

/** The highest test accuracy of each run, over the seeds. */
const bestFigure = (experiment, norm) =>
  spread(settledRuns(experiment, norm).map(run => Math.max(...epochsOf(run).map(record => record.test_acc).filter(isNumber))));

/** A figure's mean over the epochs of each run, over the seeds. */
const meanFigure = (norm, name) =>
  spread(runsOf(norm).map(run => spread(epochsOf(run).map(record => record[name]))?.mean));
const trainingSeconds = (experiment, norm) => norm.seconds_per_epoch ?? meanFigure(norm, 'train_seconds');
const trainingSpeed = (experiment, norm) => norm.images_per_second ?? meanFigure(norm, 'images_per_second');

/** Published accuracies, unless the data make any comparison meaningless. */
const publishedOf = norm => (results.synthetic ? null : norm.published ?? null);
const anyPublished = experiments.some(experiment => (experiment.norms ?? []).some(publishedOf));

/** For each class the percentage of its test images that were recognised; null where that is not known. */
function classAccuracy(norm) {
  if (norm.class_accuracy) return norm.class_accuracy;
  if (!norm.confusion) return null;
  return norm.confusion.map((row, truth) => {
    const images = row.reduce((sum, count) => sum + count, 0);
    return images > 0 ? (100 * row[truth]) / images : null;
  });
}

const seedCount = experiment => Math.max(1, ...(experiment.norms ?? []).map(norm => runsOf(norm).length));
const sectionId = experiment => `recipe-${experiment.recipe}`;
