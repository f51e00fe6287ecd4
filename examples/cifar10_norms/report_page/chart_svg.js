// Curves as static SVG, where the page was built without Chart.js. Each point names its value.

/** Round numbers from below `low` to above `high`, some `count` of them. */
function roundTicks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough * 0.999);
  const first = Math.floor(low / step + 1e-9), last = Math.ceil(high / step - 1e-9);
  return Array.from({length: Math.max(1, last - first) + 1}, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Draws a chart into a box; returns a function that removes it. */
function drawAsSvg(box, chart) {
  const shape = (tag, attributes, ...children) => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  };
  const width = Math.max(240, box.clientWidth), height = Math.max(180, box.clientHeight);

  // The legend stands in lines above the data.
  const places = [];
  let entryX = 58, entryY = 14;
  for (const entry of chart.series) {
    const length = 34 + 6.8 * entry.name.length;
    if (entryX > 58 && entryX + length > width) [entryX, entryY] = [58, entryY + 18];
    places.push([entryX, entryY]);
    entryX += length;
  }
  const frame = {left: 58, right: width - 12, top: entryY + 16, bottom: height - 42};

  const known = chart.series.flatMap(series => series.figures.filter(Boolean).flatMap(figure => [figure.low, figure.high]));
  known.push(...chart.points.map(point => point.y));
  const yTicks = known.length > 0 ? roundTicks(Math.min(...known), Math.max(...known), 5) : [0, 1];
  const xTicks = chart.ticks ?? roundTicks(chart.first, chart.last, Math.min(chart.last, width / 70))
    .filter(x => Number.isInteger(x) && x >= chart.first && x <= chart.last);
  const [low, high] = [yTicks[0], yTicks.at(-1)];
  const digits = Math.max(0, -Math.floor(Math.log10(yTicks[1] - yTicks[0]) + 1e-9));
  const x = value => frame.left + (frame.right - frame.left) * (chart.place(value) - chart.first) / (chart.last - chart.first);
  const y = value => frame.bottom - (frame.bottom - frame.top) * (value - low) / (high - low);

  const svg = shape('svg', {width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': describe(chart)});
  const line = (x1, y1, x2, y2, stroke) => svg.append(shape('line', {x1, y1, x2, y2, stroke}));
  const text = (left, top, anchor, content, more = {}) =>
    svg.append(shape('text', {x: left, y: top, 'text-anchor': anchor, ...more}, content));
  for (const tick of yTicks) {
    line(frame.left, y(tick), frame.right, y(tick), 'var(--grid)');
    text(frame.left - 7, y(tick) + 4, 'end', fixed(tick, digits));
  }
  for (const tick of xTicks) {
    line(x(tick), frame.bottom, x(tick), frame.bottom + 5, 'var(--soft)');
    text(x(tick), frame.bottom + 19, 'middle', String(tick));
  }
  line(frame.left, frame.bottom, frame.right, frame.bottom, 'var(--soft)');
  text((frame.left + frame.right) / 2, height - 6, 'middle', chart.xLabel);
  const middle = (frame.top + frame.bottom) / 2;
  text(13, middle, 'middle', chart.yLabel, {transform: `rotate(-90 13 ${middle})`});

  const mark = (left, top, {dashed, color}) =>
    shape('circle', {cx: left, cy: top, r: 3.2, fill: dashed ? 'var(--panel)' : colorName(color), stroke: colorName(color)});
  const diamond = (left, top, color) =>
    shape('rect', {x: left - 5, y: top - 5, width: 10, height: 10, transform: `rotate(45 ${left} ${top})`, fill: 'var(--panel)',
                   stroke: colorName(color), 'stroke-width': 2.2});
  const dashes = entry => (entry.dashed ? '6 4' : 'none');
  chart.series.forEach((entry, i) => {
    const [left, top] = places[i];
    svg.append(shape('line', {x1: left, y1: top - 4, x2: left + 22, y2: top - 4, stroke: colorName(entry.color),
                              'stroke-width': 2.2, 'stroke-dasharray': dashes(entry)}));
    svg.append(mark(left + 11, top - 4, entry));
    text(left + 27, top, 'start', entry.name);
  });

  for (const series of chart.series) {
    const indices = series.figures.flatMap((figure, i) => (figure ? [i] : []));
    const path = (list, name) => list.map(i => `${x(chart.xs[i]).toFixed(1)},${y(series.figures[i][name]).toFixed(1)}`).join(' ');
    const color = colorName(series.color);
    if (indices.some(i => series.figures[i].count > 1)) {
      const outline = `${path(indices, 'high')} ${path([...indices].reverse(), 'low')}`;
      svg.append(shape('polygon', {points: outline, fill: color, opacity: 0.18}));
    }
    svg.append(shape('polyline', {points: path(indices, 'mean'), fill: 'none', stroke: color, 'stroke-width': 2.2,
                                  'stroke-dasharray': dashes(series)}));
    for (const i of indices) {
      const dot = mark(x(chart.xs[i]), y(series.figures[i].mean), series);
      dot.append(shape('title', {}, `${chart.xLabel} ${chart.xs[i]}, ${valueText(series, i, chart)}`));
      svg.append(dot);
    }
  }
  for (const point of chart.points) {
    const published = diamond(x(point.x), y(point.y), point.color);
    published.append(shape('title', {}, `${point.name}: ${fixed(point.y, chart.digits)}${chart.unit}`));
    svg.append(published);
  }
  box.replaceChildren(svg);
  return () => svg.remove();
}
