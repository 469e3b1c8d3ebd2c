// Values in words. What is missing is a dash, which is not the same as zero.

export const NONE = '–';

const plain = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 1 });
const clockTime = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const whole = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value);

export const number = (value) => (isNumber(value) ? plain.format(value) : NONE);

/** 950, 12.4k, 3.1M: tokens and other large counts. */
export function compact(value) {
  if (!isNumber(value)) return NONE;
  const size = Math.abs(value);
  if (size >= 999_950) return `${round(value / 1e6)}M`;
  return size >= 1000 ? `${round(value / 1000)}k` : plain.format(value);
}

const round = (value) => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(1).replace(/\.0$/, ''));

/** Dollars; small sums with the digits that say something. */
export function money(value) {
  if (!isNumber(value)) return NONE;
  const digits = value !== 0 && Math.abs(value) < 0.1 ? 4 : 2;
  return `${value < 0 ? '−' : ''}$${Math.abs(value).toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })}`;
}

/** A share of one hundred. */
export const percent = (value) => (isNumber(value) ? `${plain.format(value)}%` : NONE);

/** Seconds: 4s, 3m 04s, 2h 52m, 3d 4h. */
export function duration(seconds) {
  if (!isNumber(seconds)) return NONE;
  const all = Math.max(0, Math.round(seconds));
  const [d, hours, minutes, rest] = [Math.floor(all / 86400), Math.floor(all / 3600) % 24, Math.floor(all / 60) % 60, all % 60];
  if (d) return `${d}d ${hours}h`;
  if (hours) return `${hours}h ${two(minutes)}m`;
  return minutes ? `${minutes}m ${two(rest)}s` : `${rest}s`;
}

const two = (value) => String(value).padStart(2, '0');

/** Milliseconds of a moment in any form that the API gives, or null; without a zone it is UTC. */
export function moment(value) {
  const text = /T[\d:.]+$/.test(value) ? `${value}Z` : value;
  const parsed = isNumber(value) ? value : Date.parse(text);
  return Number.isFinite(parsed) ? parsed : null;
}

const by = (formatter) => (value) => {
  const at = moment(value);
  return at === null ? NONE : formatter.format(at);
};
export const time = by(clockTime);
export const dateTime = by(whole);
export const shortDate = by(day);

/** `in_progress` → In progress; `QA` stays. */
export function words(value) {
  const text = String(value ?? '').replace(/[_-]+/g, ' ').trim();
  if (!text) return NONE;
  const calm = text.length > 3 && text === text.toUpperCase() ? text.toLowerCase() : text;
  return calm[0].toUpperCase() + calm.slice(1);
}

/** 1 task, 3 tasks. */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;
