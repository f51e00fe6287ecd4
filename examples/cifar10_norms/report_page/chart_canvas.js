// Curves by Chart.js (3 or 4): the values under the pointer are shown.

// By colour; 'rectRot' is left for what was published.
const shapes = ['circle', 'triangle', 'rect', 'crossRot', 'star', 'cross', 'dash', 'rectRounded'];

/** A vertical line where the values are read. */
const readingLine = {
  id: 'readingLine',
  beforeDatasetsDraw(chart) {
    const active = chart.tooltip?.getActiveElements() ?? [];
    if (active.length === 0) return;
    const {ctx, chartArea} = chart;
    ctx.save();
    ctx.strokeStyle = colorValue('--soft');
    ctx.setLineDash([3, 3]);
    ctx.beginPath();
    ctx.moveTo(active[0].element.x, chartArea.top);
    ctx.lineTo(active[0].element.x, chartArea.bottom);
    ctx.stroke();
    ctx.restore();
  },
};

/** The lines of a chart: for each series its mean and, over several seeds, the band from the lowest to the highest. */
function datasetsOf(chart) {
  const at = (values, index) => ({x: chart.place(chart.xs[index]), y: isNumber(values) ? values : null});
  const datasets = [];
  for (const series of chart.series) {
    const color = colorValue(`--line-${series.color}`);
    const shape = shapes[series.color - 1];
    datasets.push({
      label: series.name,
      series,
      data: series.figures.map((figure, i) => at(figure?.mean, i)),
      borderColor: color,
      backgroundColor: series.dashed ? colorValue('--panel') : color,
      borderDash: series.dashed ? [6, 4] : [],
      borderWidth: 2,
      clip: 10,
      pointStyle: shape,
      pointRadius: chart.xs.length > 30 ? 0 : 3,
      pointHoverRadius: 6,
    });
    if (!series.figures.some(figure => figure?.count > 1)) continue;
    const edge = {band: true, borderWidth: 0, pointRadius: 0, pointHoverRadius: 0, backgroundColor: `${color}30`};
    datasets.push({...edge, data: series.figures.map((figure, i) => at(figure?.low, i)), fill: false},
                  {...edge, data: series.figures.map((figure, i) => at(figure?.high, i)), fill: '-1'});
  }
  for (const point of chart.points) {
    const color = colorValue(`--line-${point.color}`);
    datasets.push({
      label: point.name,
      point,
      data: chart.xs.map((x, i) => at(x === point.x ? point.y : null, i)),
      borderColor: color,
      backgroundColor: colorValue('--panel'),
      pointStyle: 'rectRot',
      clip: 10,
      pointRadius: 6,
      pointHoverRadius: 9,
      borderWidth: 2.5,
      showLine: false,
    });
  }
  return datasets;
}

/** Draws a chart into a box; returns a function that removes it. */
function drawOnCanvas(box, chart) {
  const canvas = make('canvas', {role: 'img', 'aria-label': describe(chart)});
  box.replaceChildren(canvas);
  const grid = {color: colorValue('--grid'), borderColor: colorValue('--rule')};
  const ink = colorValue('--soft');
  const axis = (text, more) => ({grid, border: {color: grid.borderColor}, title: {display: true, text, color: ink}, ...more});
  const datasets = datasetsOf(chart);
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  const drawn = new Chart(canvas, {
    type: 'line',
    data: {datasets},
    plugins: [readingLine],
    options: {
      animation: false,
      layout: {padding: {right: 10}},
      maintainAspectRatio: false,
      interaction: {mode: 'index', intersect: false},
      scales: {
        x: axis(chart.xLabel, {
          type: 'linear',
          min: chart.first,
          max: chart.last,
          afterBuildTicks: scale => {
            if (chart.ticks) scale.ticks = chart.ticks.map(x => ({value: chart.place(x)}));
          },
          ticks: {
            color: ink,
            precision: 0,
            autoSkip: chart.ticks === null,
            maxRotation: 0,
            callback: value => (chart.ticks ? chart.ticks.find(x => chart.place(x) === value) : value),
          },
        }),
        y: axis(chart.yLabel, {grace: '4%', ticks: {color: ink}}),
      },
      plugins: {
        legend: {
          labels: {
            color: colorValue('--ink'),
            usePointStyle: true,
            boxHeight: 7,
            boxWidth: 14,
            filter: item => Boolean(datasets[item.datasetIndex].series),
          },
          // With a line goes its band, which stands in the two datasets behind it.
          onClick: (event, item, legend) => {
            const index = item.datasetIndex;
            const visible = !legend.chart.isDatasetVisible(index);
            legend.chart.setDatasetVisibility(index, visible);
            for (let i = index + 1; datasets[i]?.band; ++i) legend.chart.setDatasetVisibility(i, visible);
            legend.chart.update();
          },
        },
        tooltip: {
          backgroundColor: colorValue('--raised'),
          titleColor: colorValue('--ink'),
          bodyColor: colorValue('--ink'),
          borderColor: colorValue('--rule'),
          borderWidth: 1,
          padding: 10,
          boxPadding: 6,
          usePointStyle: true,
          filter: item => !item.dataset.band,
          callbacks: {
            title: items => (items.length > 0 ? `${chart.xLabel}: ${chart.xs[items[0].dataIndex]}` : ''),
            label: ({dataset, dataIndex}) => dataset.series
              ? valueText(dataset.series, dataIndex, chart)
              : `${dataset.point.name}: ${fixed(dataset.point.y, chart.digits)}${chart.unit}`,
          },
        },
      },
    },
  });
  return () => drawn.destroy();
}
