import { getJson, project, projectLink } from '../core/api.js';
import { route } from '../core/views.js';
import { isolated, words } from '../core/words.js';
import { toast } from '../ui/elements.js';
import { choose } from './palette.js';

/** Choose the project that the page shows, which stays at its view. */
export async function open() {
  const show = (name) => location.assign(projectLink(name, route.value.view));
  try {
    const { projects } = await getJson('api/fleet');
    const named = projects.filter((each) => each.id || each.is_server_project);
    const own = { icon: 'now', label: 'The one that the server shows', run: () => show('') };
    choose([...named.map((each) => command(each, show)), ...(project ? [own] : [])], {
      title: 'Show another project',
      label: 'Project',
      placeholder: 'Name, alias, path or state',
    });
  } catch (error) {
    toast(/** @type {any} */ (error).sentence ?? String(error), { failed: true });
  }
}

const command = ({ id, name, alias, path, status }, show) => ({
  icon: 'projects',
  label: name,
  note: [isolated(alias), words(status), path].filter(Boolean).join(' · '),
  run: () => show(id ?? path),
});
