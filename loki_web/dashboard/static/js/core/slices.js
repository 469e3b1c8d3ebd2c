// The addresses that several views read. A view's own ones are made where they are used.

import { slice } from './store.js';

export const status = slice('api/status', { channels: ['status'], message: 'status', every: 5 });
export const tasks = slice('api/tasks', { channels: ['tasks'], every: 10 });
export const agents = slice('api/agents', { channels: ['agents'], message: 'agents', every: 10 });
export const processes = slice('api/health/processes', { channels: ['agents'], every: 15 });
export const cost = slice('api/cost', { channels: ['cost'], message: 'cost', every: 10 });
export const contextWindow = slice('api/context', { channels: ['cost'], every: 10 });
export const council = slice('api/council/state', { channels: ['council'], message: 'council', every: 10 });
export const convergence = slice('api/council/convergence', { channels: ['council'], every: 10 });
export const verdicts = slice('api/council/verdicts?limit=200', { channels: ['council'], every: 10 });
export const notifications = slice('api/notifications?limit=1000', { channels: ['notifications'], every: 10 });
export const triggers = slice('api/notifications/triggers', { every: 60 });
export const checkpoints = slice('api/checkpoints?limit=200', { channels: ['checkpoints'], every: 20 });
export const projects = slice('api/registry/projects?include_inactive=true', { channels: ['projects'], every: 30 });
export const enterprise = slice('api/enterprise/status', { every: 300 });
