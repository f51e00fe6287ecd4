// Which curves the page shows, as plain data that chart_canvas.js or chart_svg.js draws:
//
//   {title, xLabel, yLabel, digits, unit, xs, place(x), ticks, first, last, series, points}
//
// series: {name, color, dashed, figures}, figures[i] = spread() at xs[i] or null; points: {name, color, x, y}, single marks.
// place() is where on the axis an x belongs; ticks are the x that have a label, or null for any whole numbers.

const percent = {digits: 2, unit: ' %'};
const crossEntropy = {digits: 4, unit: ''};

/** Curves over the epochs of an experiment; lines are {norm, figure, name, color, dashed}. */
function epochCurves(experiment, title, yLabel, format, lines, points = []) {
  const recorded = lines.flatMap(line => runsOf(line.norm).map(run => epochsOf(run).at(-1).epoch));
  const last = Math.max(1, experiment.epochs ?? 0, ...recorded);
  const xs = Array.from({length: last}, (_, i) => i + 1);
  return {
    title, yLabel, ...format, xs, points,
    first: last > 1 ? 1 : 0.5,
    last: last > 1 ? last : 1.5,
    xLabel: 'epoch',
    place: x => x,
    ticks: last > 1 ? null : [1],
    series: lines.filter(line => runsOf(line.norm).length > 0).map(line => ({
      ...line,
      figures: xs.map(x => spread(runsOf(line.norm).map(run => epochsOf(run).find(record => record.epoch === x)?.[line.figure]))),
    })),
  };
}

/** One figure of all norms of an experiment together; `published` is the name of the published counterpart, if there is one. */
function compareNorms(experiment, title, yLabel, format, figure, published) {
  const norms = experiment.norms ?? [];
  const points = norms.filter(norm => isNumber(publishedOf(norm)?.[published])).map(norm => ({
    name: `${titleOf(norm)} as published`,
    color: colorOf(norm.norm),
    x: norm.published.epoch ?? experiment.epochs,
    y: norm.published[published],
  })).filter(point => point.x <= experiment.epochs);
  return epochCurves(experiment, title, yLabel, format,
                     norms.map(norm => ({norm, figure, name: titleOf(norm), color: colorOf(norm.norm)})), points);
}

const curvesOfAll = experiment => [
  compareNorms(experiment, 'Test accuracy', 'accuracy (%)', percent, 'test_acc', 'test_acc'),
  compareNorms(experiment, 'Training accuracy', 'accuracy (%)', percent, 'train_acc', 'train_acc'),
  compareNorms(experiment, 'Test loss', 'cross-entropy', crossEntropy, 'test_loss'),
  compareNorms(experiment, 'Training loss', 'cross-entropy', crossEntropy, 'train_loss'),
];

/** Training and test of one norm. */
function curvesOfNorm(experiment, norm) {
  const color = colorOf(norm.norm);
  const lines = kind => [{norm, figure: `test_${kind}`, name: 'test', color},
                         {norm, figure: `train_${kind}`, name: 'training', color, dashed: true}];
  const title = titleOf(norm);
  return [epochCurves(experiment, `${title}: accuracy`, 'accuracy (%)', percent, lines('acc')),
          epochCurves(experiment, `${title}: loss`, 'cross-entropy', crossEntropy, lines('loss'))];
}

/** A figure of the batch-size study: each doubling of the batch is a step on the axis. */
function studyCurves(study, title, figure) {
  const xs = [...(study.batch_sizes ?? [])].sort((left, right) => left - right);
  const place = x => Math.log2(x);
  const of = (norm, x) => study.points.filter(point => point.norm === norm && point.batch_size === x);
  return {
    title, ...percent, xs, place, points: [], ticks: xs,
    first: place(xs[0]) - 0.3,
    last: place(xs.at(-1)) + 0.3,
    xLabel: 'images in a batch',
    yLabel: 'accuracy (%)',
    series: study.norms.map(norm => ({
      name: titleOf({norm}),
      color: colorOf(norm),
      figures: xs.map(x => spread(of(norm, x).map(point => point[figure]))),
    })),
  };
}

/** For those who cannot see the curves: where each of them ends. */
function describe(chart) {
  const ends = chart.series.map(series => {
    const index = series.figures.findLastIndex(figure => figure !== null);
    return index < 0 ? `${series.name}: no value yet`
                     : `${series.name}: ${spreadText(series.figures[index], chart.digits)}${chart.unit} at ${chart.xs[index]}`;
  });
  return `${chart.title} by ${chart.xLabel}. ${ends.join('; ')}.`;
}

/** What a reader sees of a curve at one place. */
function valueText(series, index, chart) {
  const figure = series.figures[index];
  return `${series.name}: ${spreadText(figure, chart.digits)}${chart.unit}` +
         (figure.count > 1 ? ` (${fixed(figure.low, chart.digits)} to ${fixed(figure.high, chart.digits)})` : '');
}
