// The twelve views: what they are called, the key after `g`, the module that is loaded when needed.

export const VIEWS = {
  now: { title: 'Now', key: 'n', load: () => import('./views/now.js') },
  tasks: { title: 'Tasks', key: 't', load: () => import('./views/tasks.js') },
  agents: { title: 'Agents', key: 'a', load: () => import('./views/agents.js') },
  council: { title: 'Council', key: 'c', load: () => import('./views/council.js') },
  logs: { title: 'Logs', key: 'l', load: () => import('./views/logs.js') },
  cost: { title: 'Cost and context', key: 'u', load: () => import('./views/cost.js') },
  memory: { title: 'Memory', key: 'm', load: () => import('./views/memory.js') },
  learning: { title: 'Learning', key: 'e', load: () => import('./views/learning.js') },
  alerts: { title: 'Alerts', key: 'r', load: () => import('./views/alerts.js') },
  checkpoints: { title: 'Checkpoints', key: 'k', load: () => import('./views/checkpoints.js') },
  projects: { title: 'Projects', key: 'p', load: () => import('./views/projects.js') },
  admin: { title: 'Admin', key: 'd', load: () => import('./views/admin.js') },
};
