// Tables that sort by a click or a key on a column's head.

const captionOf = text => make('caption', {class: 'soft small'}, make('span', {}, text));

/**
 * A table in a box of its own. A column is {title, value(row), show(row), number, hint}: rows are sorted by value, numbers as
 * numbers, those without one last; show is what stands in the cell (by default the value), a node or a text. The first column
 * names the row. sorting is where the page keeps what was sorted how, by the table's id.
 */
function makeTable(id, caption, columns, rows, sorting) {
  const heads = columns.map((column, index) =>
    make('th', {scope: 'col', class: column.number && 'number', 'aria-sort': 'none', title: column.hint},
         make('button', {type: 'button', id: `${id}-sort-${index}`, onclick: () => sortBy(index)},
              column.title.replace(/ (%|MB)/, '\u00a0$1'))));
  const lines = rows.map(row => ({
    row,
    element: make('tr', {}, columns.map((column, index) => {
      const cell = make(index === 0 ? 'th' : 'td', {class: column.number && 'number', scope: index === 0 && 'row'},
                        column.show ? column.show(row) : String(column.value(row) ?? missing));
      column.decorate?.(cell, row);
      return cell;
    })),
  }));
  const body = make('tbody', {}, lines.map(line => line.element));

  function compare(left, right) {
    if (typeof left === 'number' && typeof right === 'number') return left - right;
    return String(left).localeCompare(String(right), 'en', {numeric: true});
  }
  function arrange(index, direction) {
    const known = value => (typeof value === 'number' ? Number.isFinite(value) : value !== null && value !== undefined);
    const order = lines.map(line => ({line, value: columns[index].value(line.row)}));
    order.sort((left, right) => {
      if (!known(left.value) || !known(right.value)) return Number(known(right.value)) - Number(known(left.value));
      return direction * compare(left.value, right.value);
    });
    body.append(...order.map(({line}) => line.element));
    heads.forEach((head, i) =>
      head.setAttribute('aria-sort', i !== index ? 'none' : direction > 0 ? 'ascending' : 'descending'));
  }
  function sortBy(index) {
    const before = sorting[id];
    sorting[id] = {index, direction: before?.index === index ? -before.direction : 1};
    arrange(index, sorting[id].direction);
  }
  if (sorting[id] && sorting[id].index < columns.length) arrange(sorting[id].index, sorting[id].direction);

  return make('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption, id},
              make('table', {}, captionOf(caption), make('thead', {}, make('tr', {}, heads)), body));
}

/** A column of figures over seeds: {mean, std}. */
const spreadColumn = (title, digits, figure, hint) => ({
  title,
  hint,
  number: true,
  value: row => figure(row)?.mean,
  show: row => spreadText(figure(row), digits),
});

const numberColumn = (title, digits, value, hint) => ({title, hint, number: true, value, show: row => fixed(value(row), digits)});

/** A cell like a bar of so many of 100 percent. */
function drawBar(cell, percent, color) {
  if (!isNumber(percent)) return;
  cell.classList.add('bar');
  cell.style.backgroundImage = `linear-gradient(${colorName(color)}, ${colorName(color)})`;
  cell.style.backgroundSize = `${Math.max(0, Math.min(100, percent))}% 3px`;
}

/** Rows are what the images are, columns what the network took them for; each row's counts shade its cells. */
function confusionTable(id, norm) {
  const known = classes.length;
  const hasOthers = norm.confusion.some(row => row.length > known);
  const names = hasOthers ? [...classes, 'no class'] : classes;
  const counts = norm.confusion.map(row =>
    hasOthers ? [...row.slice(0, known), row.slice(known).reduce((sum, count) => sum + count, 0)] : row);
  const shade = (part, right) => {
    const strength = part <= 0 ? 0 : right ? 0.12 + 0.55 * part : Math.min(0.6, 0.06 + 2 * part);
    return `rgba(var(${right ? '--right-cell' : '--wrong-cell'}), ${strength.toFixed(3)})`;
  };
  const lines = counts.map((row, truth) => {
    const images = row.reduce((sum, count) => sum + count, 0);
    return make('tr', {}, make('th', {scope: 'row'}, classes[truth] ?? String(truth)), row.map((count, predicted) => {
      const part = images > 0 ? count / images : 0;
      return make('td', {
        style: {background: shade(part, truth === predicted)},
        title: `${classes[truth]} taken for ${names[predicted]}: ${fixed(count)} of ${fixed(images)} (${fixed(100 * part, 1)} %)`,
      }, fixed(count));
    }));
  });
  const heads = names.map(name => make('th', {scope: 'col'}, make('span', {}, name)));
  return make('div', {class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `Confusion matrix of ${titleOf(norm)}`, id},
              make('table', {class: 'confusion'},
                   captionOf('Rows: what the images are. Columns: what they were taken for.'),
                   make('thead', {}, make('tr', {}, make('td'), heads)),
                   make('tbody', {}, lines)));
}

/** The pairs of classes that are mixed up most often, in words; an empty text where there is no mistake. */
function worstConfusions(norm, count = 3) {
  const pairs = norm.confusion.flatMap((row, truth) =>
    row.map((images, predicted) => ({images, truth, predicted}))
      .filter(pair => pair.truth !== pair.predicted && pair.images > 0));
  pairs.sort((left, right) => right.images - left.images);
  const texts = pairs.slice(0, count).map(
    ({images, truth, predicted}) => `${classes[truth]} for ${classes[predicted] ?? 'no class'} (${fixed(images)})`);
  return texts.length > 0 ? `Most often it takes ${texts.join(', ')}.` : '';
}
