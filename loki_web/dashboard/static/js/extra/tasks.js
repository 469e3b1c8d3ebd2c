// What the fields of a task mean.

/** The column of a task; a failed task is in `failed`, whatever its queue is. */
export const taskState = (task) => (task.failed ? 'failed' : task.status);

/** The position of a task's priority, highest first. */
export const priorityRank = ({ priority }) => ['critical', 'high', 'medium', 'low'].indexOf(priority);
