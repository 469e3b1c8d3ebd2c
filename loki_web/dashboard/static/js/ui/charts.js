// The two charts that several views show, from the API's answers to a chart's props.

import { compact, money, number, words } from '../core/format.js';
import { isRunning, spend } from '../core/situation.js';

const VERDICTS = { complete: { shape: 'check', tone: 'tgood' }, continue: { shape: 'next', tone: 'tquiet' } };

/** Files changed and done signals in each iteration, with the council's verdicts and the phases. */
export function progressChart(points, verdicts = [], iterations = []) {
  const at = new Map(points.map((point, index) => [point.iteration, index]));
  const phases = new Map(iterations.map((each) => [each.iteration, each.phase]));
  const bands = runs(points.map((point) => phases.get(point.iteration)));
  return {
    label: 'Files changed and done signals in each iteration', axis: 'Iteration', labels: points.map((point) => point.iteration), format: compact,
    series: [
      { name: 'files changed', kind: 'bar', tone: 't1', values: points.map((point) => point.files_changed), format: number },
      { name: 'done signals', kind: 'line', tone: 't3', values: points.map((point) => point.done_signals), format: number },
    ],
    marks: verdicts.filter(({ iteration }) => at.has(iteration)).map((verdict) => ({
      at: at.get(verdict.iteration), ...(VERDICTS[verdict.result] ?? VERDICTS.continue),
      label: `council: ${words(verdict.result).toLowerCase()}, ${verdict.votes_complete} to ${verdict.votes_continue}`,
    })),
    bands: bands.length > 1 ? bands : [],
  };
}

/** Neighbours of the same name as bands. */
function runs(names) {
  const found = [];
  names.forEach((name, index) => {
    const last = found.at(-1);
    if (last && last.name === name) last.to = index;
    else found.push({ name, label: name ? words(name) : '', from: index, to: index });
  });
  return found;
}

/** What was spent so far against the budget, with where it leads at the present rate. */
export function spendChart(cost, status) {
  const points = cost.by_iteration;
  const { limit, left, used } = spend(cost);
  const recent = points.slice(-8);
  const step = recent.reduce((sum, each) => sum + each.cost_usd, 0) / recent.length;
  const steps = isRunning(status) && left > 0 && step > 0 ? Math.max(1, Math.min(Math.ceil(left / step), Math.ceil(points.length / 3) + 2)) : 0;
  return {
    label: 'Spent so far, by iteration', axis: 'Iteration', labels: points.map((each) => each.iteration), format: money,
    series: [{ name: 'spent', kind: 'area', tone: 't1', values: points.map((each) => each.cumulative) }],
    limit: limit === null ? null : { value: limit, label: `Budget ${money(limit)}` },
    forecast: steps ? { steps, value: Math.min(limit, used + steps * step) } : null,
  };
}
