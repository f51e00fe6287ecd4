// What all parts of the page use: making elements, writing numbers, and figures over several seeds.

/** An element with attributes (`on...` are listeners; false and null are left out) and children (nodes or texts). */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'style') Object.assign(element.style, value);
    else if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false));
  return element;
}

const isNumber = value => typeof value === 'number' && Number.isFinite(value);
const missing = '\u2013';
const minus = '\u2212';

/** With so many digits behind the point and commas between thousands; a dash for what is not known. */
function fixed(value, digits = 0) {
  if (!isNumber(value)) return missing;
  const text = Math.abs(value).toLocaleString('en-US', {minimumFractionDigits: digits, maximumFractionDigits: digits});
  return (value < 0 && /[1-9]/.test(text) ? minus : '') + text;
}

const signed = (value, digits) => (isNumber(value) && value >= 0 ? '+' : '') + fixed(value, digits);

/** A learning rate or penalty: as short as it is exact. */
const short = value => (isNumber(value) ? String(Number(value.toPrecision(6))) : missing);

/** "3 seeds", "1 seed". */
const counted = (count, noun) => `${fixed(count)} ${noun}${count === 1 ? '' : 's'}`;

function duration(seconds) {
  if (!isNumber(seconds)) return missing;
  if (seconds < 60) return `${fixed(seconds, seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : counted(Math.floor(minutes / 60 / 24), 'day');
}

/** Mean, sample standard deviation (null for less than two), lowest and highest of the known values; null without any. */
function spread(values) {
  const known = values.filter(isNumber);
  if (known.length === 0) return null;
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    mean,
    std: known.length > 1 ? Math.sqrt(squares / (known.length - 1)) : null,
    low: Math.min(...known),
    high: Math.max(...known),
    count: known.length,
  };
}

/** "74.71", or "74.71 ± 0.21" over several seeds. */
function spreadText(figure, digits) {
  if (!figure) return missing;
  return fixed(figure.mean, digits) + (isNumber(figure.std) ? ` \u00b1 ${fixed(figure.std, digits)}` : '');
}

/** The colour of a line as the style sheet has it, for light or dark. */
const colorName = index => `var(--line-${index})`;
const colorValue = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const swatch = color => make('span', {class: 'swatch', style: {background: colorName(color)}, 'aria-hidden': 'true'});
